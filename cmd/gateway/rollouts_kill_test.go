//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/rollout"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// TestKillRollouts kills the gateway in rollouts, again and again. After each start a rollout goes on with the state that
// the journal has last, and the route becomes what that state says.
func TestKillRollouts(t *testing.T) {
	dir := t.TempDir()
	for version := range int64(2) {
		if err := onnxgen.Scale(float32(version+1)).As("model").Write(dir, version+1); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(t.TempDir(), "data")
	k := killable(t, dir, data, "defaults: {instances: 1, warmup: false}\nroutes: {model: {variants: [{version: 1, weight: 100%}]}}\n")
	states := map[string]int{}
	for i := range *kills + 1 {
		k.start(t)
		r := k.settled(t, "model")
		if i == *kills {
			k.toldAt(t)
		}
		if t.Failed() || i == *kills {
			break
		}
		k.moveOn(t, r, i)
		time.Sleep(time.Duration(i%12) * 40 * time.Millisecond)
		k.stop(t)
		states[r.State]++
	}
	k.stop(t)
	if verified := command(t, "", []string{"journal", "verify", "--data-dir", data}); verified.code != exitOK {
		t.Errorf("%+v", verified)
	}
	t.Logf("states after %d kills: %v", *kills, states)
}

// toldAt checks that the journal says what serves the route when its rollout has ended, and before the first rollout.
func (k *killed) toldAt(t *testing.T) {
	t.Helper()
	var first []api.Event
	k.read(t, "/api/v1/journal?type=rollout.started&limit=1", &first)
	if len(first) == 0 {
		return
	}
	if r := k.lastOf(t, "model"); !r.Final() {
		k.ask(t, "/api/v1/rollouts/model/abort", "") // it may have ended meanwhile
	}
	k.until(t, "model", api.RolloutRolledBack)
	served := func(at time.Time, want ...string) {
		t.Helper()
		got := command(t, "", []string{"journal", "at", at.UTC().Format(time.RFC3339Nano), "model", "--admin", k.admin})
		for _, text := range want {
			if got.code != exitOK || !strings.Contains(got.out, text) {
				t.Errorf("at %v: %+v, want %q", at, got, text)
			}
		}
	}
	r := k.settled(t, "model")
	var route api.Route
	k.read(t, "/api/v1/routes/model", &route)
	served(time.Now(), r.ID, r.State, fmt.Sprintf("Revision:  %d", route.Revision))
	served(first[0].Time.Add(-time.Microsecond), "Revision:  1")
}

// settled waits until a route is what its last rollout says, and returns that; the zero Rollout if there was none.
func (k *killed) settled(t *testing.T, name string) (r api.Rollout) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		var route api.Route
		r = k.lastOf(t, name)
		k.read(t, "/api/v1/routes/"+name, &route)
		if r.ID == "" {
			return r
		}
		want := rollout.RouteOf(&r)
		if slices.Equal(route.Variants, want.Variants) && r.State != api.RolloutAborting {
			return r
		}
		if time.Now().After(deadline) {
			t.Fatalf("the rollout is %s, the route %+v, want %+v", r.State, route.Variants, want.Variants)
		}
	}
}

// moveOn starts a rollout if none runs, and otherwise sometimes pauses, promotes or aborts it.
func (k *killed) moveOn(t *testing.T, r api.Rollout, i int) {
	t.Helper()
	const path = "/api/v1/rollouts"
	version := int64(2)
	if r.Final() && rollout.RouteOf(&r).Variants[0].Version == 2 {
		version = 1
	}
	switch {
	case r.ID == "" || r.Final():
		k.ask(t, path+"/model/unfreeze", "") // if it is frozen
		k.ask(t, path, fmt.Sprintf(`{"route": "model", "version": %d, "inconclusive": "ship", "min_requests": 1, "bake": "300ms",
			"steps": [{"weight": 1000, "for": "200ms"}, {"weight": 5000, "for": "200ms"}]}`, version))
	case i%3 == 0:
		k.ask(t, path+"/model/"+[]string{"pause", "resume", "promote", "abort"}[i/3%4], "")
	}
}

// ask posts a change, which the state may refuse.
func (k *killed) ask(t *testing.T, path, body string) {
	t.Helper()
	answer, err := http.Post(k.admin+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode >= http.StatusInternalServerError {
		t.Errorf("POST %s: %s", path, answer.Status)
	}
}

func (k *killed) read(t *testing.T, path string, doc any) {
	t.Helper()
	answer, err := http.Get(k.admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	if err := json.NewDecoder(answer.Body).Decode(doc); err != nil {
		t.Fatal(err)
	}
}
