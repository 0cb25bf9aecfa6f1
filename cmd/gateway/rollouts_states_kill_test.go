//go:build unix

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// rolloutKills is how often TestKillRolloutStates kills the gateway in each state of a rollout. The default keeps the whole test run short.
var rolloutKills = flag.Int("rollout-kills", 1, "how often TestKillRolloutStates kills the gateway in each state of a rollout")

// killedStates are the states in which TestKillRolloutStates kills the gateway.
var killedStates = [...]string{
	api.RolloutValidating, api.RolloutAwaiting, api.RolloutShadowing, api.RolloutCanary, api.RolloutPaused, api.RolloutBaking, api.RolloutAborting,
	api.RolloutRolledBack, api.RolloutCompleted,
}

// tally counts the kills in each state.
type tally struct {
	mu     sync.Mutex
	kills  map[string]int // by the last state in the journal
	all    int
	tries  int
	target int
}

// next returns the state with the fewest kills, "" if all have enough, or if a state is too short to be met.
func (c *tally) next() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	const patience = 3
	if c.tries++; c.tries > patience*c.target*len(killedStates) {
		return ""
	}
	least := ""
	for _, s := range killedStates {
		if c.kills[s] < c.target && (least == "" || c.kills[s] < c.kills[least]) {
			least = s
		}
	}
	return least
}

// count counts a kill, and tells from time to time how many there were.
func (c *tally) count(t *testing.T, state string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kills[state]++
	c.all++
	const some = 500
	if c.all%some == 0 {
		t.Logf("%d kills so far: %v", c.all, c.kills)
	}
}

// TestKillRolloutStates kills gateways with a rollout in each of its states. After the next start the rollout is the one that the journal has
// last, the route is what its state says, and what had ended has not begun again.
func TestKillRolloutStates(t *testing.T) {
	c := &tally{kills: map[string]int{}, target: *rolloutKills}
	gateways, err := strconv.Atoi(flag.Lookup("test.parallel").Value.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("all", func(t *testing.T) {
		for i := range gateways {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				killInStates(t, c)
			})
		}
	})
	t.Logf("%d kills, by the last state in the journal: %v", c.all, c.kills)
	for _, s := range killedStates {
		if s != api.RolloutValidating && s != api.RolloutAborting && c.kills[s] < c.target { // those two may be over before the kill
			t.Errorf("%d kills in %s, want %d", c.kills[s], s, c.target)
		}
	}
}

// killInStates kills one gateway until the tally has enough. Rollouts of the model guarded need an approval that nobody gives.
func killInStates(t *testing.T, c *tally) {
	t.Helper()
	dir, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
	for version := range int64(2) {
		for _, model := range []string{"model", "guarded"} {
			if err := onnxgen.Scale(float32(version+1)).As(model).Write(dir, version+1); err != nil {
				t.Fatal(err)
			}
		}
	}
	k := killable(t, dir, data, `defaults: {instances: 1, warmup: false}
models: {guarded: {rollouts: {approvals: 1}}}
routes: {model: {variants: [{version: 1, weight: 100%}]}, guarded: {variants: [{version: 1, weight: 100%}]}}
`)
	var before map[string]api.Rollout // by route, as the journal has them at the last kill
	for target := c.next(); target != "" && !t.Failed(); target = c.next() {
		k.start(t)
		route := "model"
		if target == api.RolloutAwaiting {
			route = "guarded"
		}
		for name, was := range before {
			if r := k.settled(t, name); r.ID != was.ID || was.Final() && r.State != was.State {
				t.Errorf("rollout %s of %s was %s, and is %s, %s", was.ID, name, was.State, r.ID, r.State)
			}
		}
		k.aim(t, route, target)
		k.stop(t)
		before = lastRollouts(t, data)
		c.count(t, before[route].State)
	}
	if before == nil {
		return // the others were faster
	}
	if report, err := journal.Verify(t.Context(), data); err != nil || report.Problem != "" {
		t.Errorf("%+v %v", report, err)
	}
}

// lastRollouts returns the last rollout of each route in the journal of a gateway that does not run.
func lastRollouts(t *testing.T, data string) map[string]api.Rollout {
	t.Helper()
	j, err := journal.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close() //nolint:errcheck // only read
	last := map[string]api.Rollout{}
	for _, route := range []string{"model", "guarded"} {
		events, err := j.Newest(0, 1, journal.Filter{Subjects: []string{"rollouts/" + route}, Types: []string{"rollout."}})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			var r api.Rollout
			if err := json.Unmarshal(e.After, &r); err != nil {
				t.Fatal(err)
			}
			last[route] = r
		}
	}
	return last
}

// aim brings a rollout of a route to a state, if that can be met.
func (k *killed) aim(t *testing.T, route, target string) {
	t.Helper()
	const path = "/api/v1/rollouts"
	act := func(what string) { k.ask(t, path+"/"+route+"/"+what, "") }
	r := k.lastOf(t, route)
	if r.State == target {
		return
	}
	if target == api.RolloutValidating && r.ID != "" && !r.Final() { // only a new rollout is
		act("abort")
		k.until(t, route, api.RolloutRolledBack)
		r = k.lastOf(t, route)
	}
	if r.State == api.RolloutPaused {
		act("resume")
	}
	if r.ID == "" || r.Final() {
		act("unfreeze") // if it is frozen
		k.ask(t, path, fmt.Sprintf(`{"route": %q, "version": %d, "inconclusive": "ship", "min_requests": 1, "shadow": {"sample": 10000, "for": "300ms"},
			"bake": "500ms", "steps": [{"weight": 1000, "for": "300ms"}, {"weight": 5000, "for": "300ms"}]}`, route, k.other(t, route)))
	}
	switch target {
	case api.RolloutValidating:
	case api.RolloutPaused:
		k.until(t, route, api.RolloutCanary)
		act("pause")
		k.until(t, route, target)
	case api.RolloutAborting, api.RolloutRolledBack:
		k.until(t, route, api.RolloutCanary)
		act("abort")
		if target == api.RolloutRolledBack {
			k.until(t, route, target)
		}
	default:
		k.until(t, route, target)
	}
}

// other returns the version that does not serve a route.
func (k *killed) other(t *testing.T, route string) int64 {
	t.Helper()
	var r api.Route
	k.read(t, "/api/v1/routes/"+route, &r)
	for i := range r.Variants {
		if r.Variants[i].Version == 2 {
			return 1
		}
	}
	return 2
}

// lastOf returns the last rollout of a route, the zero Rollout if there was none.
func (k *killed) lastOf(t *testing.T, route string) (last api.Rollout) {
	t.Helper()
	var list []api.Rollout
	k.read(t, "/api/v1/rollouts", &list)
	for i := range list {
		if list[i].Spec.Route == route {
			return list[i]
		}
	}
	return last
}

// until waits until a rollout of a route has a state, or has ended in another one.
func (k *killed) until(t *testing.T, route, state string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		r := k.lastOf(t, route)
		switch {
		case r.State == state, r.Final(), r.State == api.RolloutBaking && state == api.RolloutCanary:
			return
		case r.State == api.RolloutPaused:
			k.ask(t, "/api/v1/rollouts/"+route+"/resume", "") // it is, after a kill
		case time.Now().After(deadline):
			t.Fatalf("the rollout of %s is %s, expected %s", route, r.State, state)
		}
	}
}
