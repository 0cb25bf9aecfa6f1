//go:build unix

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// instant is the state of a name at a time, as the gateway reported it then.
type instant struct {
	at       time.Time
	step     string
	name     string
	revision int64
	variants []string // "1 stable 9000 sha256:…"; without a digest if it did not serve
	shadows  []string // "3 1000"
}

// lived is a gateway with its state at some instants.
type lived struct {
	killed
	repository, file, dataDir string
	instants                  []instant
}

// TestEveryInstant changes the serving versions in every possible way, across a kill and a stop. At
// the end it asks for every instant: the journal must give what the gateway reported then.
func TestEveryInstant(t *testing.T) {
	l := &lived{repository: t.TempDir(), file: filepath.Join(t.TempDir(), "sluice.yaml"), dataDir: filepath.Join(t.TempDir(), "data")}
	l.args = []string{"serve", "-c", l.file}
	before := time.Now()
	l.publish(t, 1, 1)
	l.publish(t, 2, 2)
	l.configure(t, "poll", "")
	l.start(t)
	l.look(t, "start", "model", nil)
	second := l.digest(t, 2)

	l.publish(t, 2, 20)
	l.look(t, "a file is replaced", "model", func() bool { return l.digest(t, 2) != second && l.digest(t, 2) != "" })
	l.spoil(t, 2)
	l.look(t, "a file is spoilt", "model", func() bool { return strings.Contains(l.version(t, 2).Reason, "failed to load") })
	l.publish(t, 3, 3)
	l.look(t, "a newer version", "model", func() bool { return l.digest(t, 3) != "" })

	split := func(canary int) api.Route {
		return api.Route{
			Model: "model", Fallback: api.Fallback{Stable: true},
			Variants: []api.Variant{{Version: 1, Weight: api.TotalWeight - canary}, {Version: 3, Weight: canary, Role: api.RoleCanary}},
		}
	}
	l.set(t, "model", split(500))
	l.look(t, "a route", "model", nil)
	l.set(t, "model", split(5000))
	l.look(t, "other weights", "model", nil)
	l.set(t, "shop", api.Route{Model: "model", Variants: []api.Variant{{Version: 1, Weight: api.TotalWeight}}, Shadows: []api.Shadow{{Version: 3, Sample: 1000}}})
	l.look(t, "a shadow", "shop", nil)
	loaded := l.version(t, 3).LoadedAt
	l.configure(t, "poll", "models: {model: {instances: 2}}\n")
	l.must(t, http.MethodPost, "/-/reload", nil)
	l.look(t, "a reload", "model", func() bool { return !l.version(t, 3).LoadedAt.Equal(*loaded) })
	l.must(t, http.MethodDelete, "/api/v1/routes/model", nil, "If-Match", "*")
	l.look(t, "a route ends", "model", nil)

	l.stop(t) // kill -9
	l.start(t)
	l.look(t, "after a kill", "model", nil)
	l.look(t, "after a kill", "shop", nil)
	l.must(t, http.MethodDelete, "/api/v1/routes/shop", nil, "If-Match", "*")
	l.end(t)

	l.configure(t, "explicit", "")
	l.start(t)
	l.look(t, "nothing is loaded", "model", nil)
	l.must(t, http.MethodPost, "/api/v1/models/model/load", nil)
	l.look(t, "a load", "model", nil)
	l.must(t, http.MethodPost, "/api/v1/models/model/unload", nil)
	l.look(t, "an unload", "model", nil)
	defer l.stop(t)

	t.Run("routes", l.checkRoutes)
	t.Run("gateway", func(t *testing.T) { l.checkGateway(t, before) })
	t.Run("versions", l.checkVersions)
}

// publish puts a version in place atomically.
func (l *lived) publish(t *testing.T, version int64, factor float32) {
	t.Helper()
	work := t.TempDir()
	if err := onnxgen.Scale(factor).As("model").Write(work, version); err != nil {
		t.Fatal(err)
	}
	l.place(t, version, filepath.Join(work, "model", strconv.FormatInt(version, 10), "model.onnx"))
}

// spoil puts a file in place that is not a model.
func (l *lived) spoil(t *testing.T, version int64) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(file, []byte("not a model"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.place(t, version, file)
}

func (l *lived) place(t *testing.T, version int64, file string) {
	t.Helper()
	folder := filepath.Join(l.repository, "model", strconv.FormatInt(version, 10))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file, filepath.Join(folder, "model.onnx")); err != nil {
		t.Fatal(err)
	}
}

func (l *lived) configure(t *testing.T, control, more string) {
	t.Helper()
	text := fmt.Sprintf("repository: {path: %q, control: %s, poll_interval: 100ms}\nserver: {http: {address: '127.0.0.1:0'}, grpc: {address: none}}\nadmin: {address: '127.0.0.1:0'}\n"+
		"data_dir: %q\ndefaults: {instances: 1, warmup: false}\n%s", l.repository, control, l.dataDir, more)
	if err := os.WriteFile(l.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// end stops the gateway in order.
func (l *lived) end(t *testing.T) {
	t.Helper()
	if err := l.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := l.process.Wait(); err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// must makes a call that must succeed, and decodes the answer unless it is nil.
func (l *lived) must(t *testing.T, method, path string, answer any, headers ...string) {
	t.Helper()
	if answer == nil {
		answer = &json.RawMessage{}
	}
	if err := l.call(method, l.admin+path, http.NoBody, answer, append(headers, "Sluice-Actor", "alice", "Sluice-Change-Reason", "test")...); err != nil {
		t.Fatal(err)
	}
}

func (l *lived) set(t *testing.T, name string, route api.Route) {
	t.Helper()
	var now api.Route
	if err := l.call(http.MethodGet, l.admin+"/api/v1/routes/"+name, http.NoBody, &now); err != nil {
		now = api.Route{}
	}
	if _, err := l.put(name, route, now.Revision); err != nil {
		t.Fatal(err)
	}
}

func (l *lived) version(t *testing.T, number int64) api.ModelStatus {
	t.Helper()
	var list []api.ModelStatus
	l.must(t, http.MethodGet, "/api/v1/models", &list)
	for _, m := range list {
		if m.Version == number {
			return m
		}
	}
	return api.ModelStatus{}
}

// digest returns the digest of a version that serves, "" if it does not.
func (l *lived) digest(t *testing.T, number int64) string {
	t.Helper()
	if m := l.version(t, number); m.State == api.StateReady {
		return m.Digest
	}
	return ""
}

// look waits until a step is done and records the state that the gateway reports for a name.
func (l *lived) look(t *testing.T, step, name string, done func() bool) {
	t.Helper()
	var now instant
	wait(t, step, func() bool {
		if done != nil && !done() {
			return false
		}
		now = l.present(t, name)
		return gocmp.Diff(now, l.past(t, name, time.Now()), gocmp.AllowUnexported(instant{}), gocmp.FilterPath(isWhen, gocmp.Ignore())) == ""
	})
	now.at, now.step = time.Now(), step
	l.instants = append(l.instants, now)
}

func isWhen(p gocmp.Path) bool {
	last := p.Last().String()
	return last == ".at" || last == ".step"
}

// wait calls done until it returns true, for up to a time that is long on any machine.
func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it did not come to pass", what)
		}
	}
}

// present returns the current state of a name, from the gateway.
func (l *lived) present(t *testing.T, name string) instant {
	t.Helper()
	i := instant{name: name}
	var route api.Route
	if err := l.call(http.MethodGet, l.admin+"/api/v1/routes/"+name, http.NoBody, &route); err != nil {
		return i // nothing serves the name
	}
	i.revision = route.Revision
	for _, v := range route.Variants {
		i.variants = append(i.variants, variantAt(v.Version, cmp.Or(v.Role, api.RoleStable), v.Weight, l.digest(t, v.Version)))
	}
	for _, s := range route.Shadows {
		i.shadows = append(i.shadows, fmt.Sprint(s.Version, " ", s.Sample))
	}
	return i
}

func variantAt(version int64, role string, weight int, digest string) string {
	return strings.TrimSpace(fmt.Sprint(version, " ", role, " ", weight, " ", digest))
}

// served returns what served a name at a time.
func (l *lived) served(name string, at time.Time) (served api.ServedAt, err error) {
	query := url.Values{"at": {at.Format(time.RFC3339Nano)}}
	err = l.call(http.MethodGet, l.admin+"/api/v1/routes/"+name+"?"+query.Encode(), http.NoBody, &served)
	return served, err
}

// past returns the state of a name at a time, from the journal.
func (l *lived) past(t *testing.T, name string, at time.Time) instant {
	t.Helper()
	served, err := l.served(name, at)
	if err != nil {
		t.Fatal(err)
	}
	i := instant{at: at, name: name, revision: served.Revision}
	for _, v := range served.Variants {
		i.variants = append(i.variants, variantAt(v.Version, v.Role, v.Weight, v.Digest))
	}
	for _, s := range served.Shadows {
		i.shadows = append(i.shadows, fmt.Sprint(s.Version, " ", s.Sample))
	}
	return i
}

// checkRoutes checks the declared routes, without versions.
func (l *lived) checkRoutes(t *testing.T) {
	for _, was := range l.instants {
		if was.revision == 0 {
			continue
		}
		served, err := l.served(was.name, was.at)
		if err != nil {
			t.Fatalf("%s: %v", was.step, err)
		}
		var got, want []string
		for _, v := range served.Variants {
			got = append(got, variantAt(v.Version, v.Role, v.Weight, ""))
		}
		for _, text := range was.variants {
			parts := strings.Fields(text)
			want = append(want, strings.Join(parts[:3], " "))
		}
		if diff := gocmp.Diff(want, got); diff != "" || served.Revision != was.revision || served.Change.Actor.Actor != "anonymous" || served.Gateway.State != api.GatewayUp {
			t.Errorf("%s: revision %d, want %d; made by %+v; gateway %+v; %s", was.step, served.Revision, was.revision, served.Change, served.Gateway, diff)
		}
	}
}

// checkGateway asks for times at which the gateway did not run.
func (l *lived) checkGateway(t *testing.T, before time.Time) {
	var events []api.Event
	l.must(t, http.MethodGet, "/api/v1/journal?type=gateway.", &events)
	types := make([]string, len(events))
	for i, e := range events {
		types[i] = e.Type
	}
	want := []string{api.EventGatewayStarted, api.EventGatewayStarted, api.EventGatewayStopped, api.EventGatewayStarted}
	if diff := gocmp.Diff(want, types); diff != "" {
		t.Fatal(diff)
	}
	var start api.GatewayStart
	if err := json.Unmarshal(events[1].After, &start); err != nil || start.Before == nil || start.Before.How != api.EndKilled {
		t.Fatalf("the start after a kill says %s, %v", events[1].After, err)
	}
	state := func(at time.Time, want string) api.GatewayAt {
		t.Helper()
		served, err := l.served("shop", at)
		if err != nil || served.Gateway.State != want {
			t.Errorf("at %v: %+v, %v; want %s", at, served.Gateway, err, want)
		}
		return served.Gateway
	}
	alive := start.Before.LastAlive
	state(alive, api.GatewayUp)
	if alive.Before(events[1].Time.Add(-1)) {
		for _, at := range []time.Time{alive.Add(1), events[1].Time.Add(-1)} {
			got := state(at, api.GatewayKilled)
			if got.LastAlive == nil || !got.LastAlive.Equal(alive) || got.NextStart == nil || !got.NextStart.Equal(events[1].Time) {
				t.Errorf("it stopped between %v and %v, want %v and %v", got.LastAlive, got.NextStart, alive, events[1].Time)
			}
		}
	}
	state(events[1].Time, api.GatewayUp)
	for at, want := range map[time.Time]int{before: http.StatusNotFound, time.Now().Add(time.Hour): http.StatusBadRequest} {
		if _, err := l.served("model", at); err == nil || !strings.Contains(err.Error(), fmt.Sprintf(": %d ", want)) {
			t.Errorf("at %v: %v, want %d", at, err, want)
		}
	}
	if _, err := l.served("none", time.Now()); err == nil || !strings.Contains(err.Error(), ": 404 ") {
		t.Errorf("a name that is not known: %v", err)
	}
}

// checkVersions asks for every instant again.
func (l *lived) checkVersions(t *testing.T) {
	for _, was := range l.instants {
		got := l.past(t, was.name, was.at)
		got.step = was.step
		if diff := gocmp.Diff(was, got, gocmp.AllowUnexported(instant{})); diff != "" {
			t.Errorf("%s: %s", was.step, diff)
		}
	}
	var events []api.Event
	l.must(t, http.MethodGet, "/api/v1/journal?limit=10000&type=version.", &events)
	seen := map[string]bool{}
	failures := map[string]int{}
	for _, e := range events {
		var c api.VersionChange
		if err := json.Unmarshal(e.After, &c); err != nil {
			t.Fatal(err)
		}
		seen[e.Type+" "+c.Cause] = true
		if e.Type == api.EventVersionFailed {
			failures[c.Digest+c.Files+c.Reason]++
		} else if c.Digest == "" {
			t.Errorf("an event without a digest: %+v %s", e, e.After)
		}
	}
	for _, want := range []string{
		"version.loaded start", "version.replaced poll", "version.failed poll", "version.loaded poll", "version.retired poll",
		"version.loaded route", "version.replaced reload", "version.loaded call", "version.unloaded call",
	} {
		if !seen[want] {
			t.Errorf("no event %s", want)
		}
	}
	for what, n := range failures {
		if n > 1 {
			t.Errorf("%d events of the failure %s", n, what)
		}
	}
	var stopped []api.Event
	l.must(t, http.MethodGet, "/api/v1/journal?type=gateway.stopped", &stopped)
	down := stopped[0].Time
	if i := slices.IndexFunc(l.instants, func(i instant) bool { return i.at.After(down) }); i < 0 {
		t.Fatal("nothing was asked after the stop")
	}
	if served, err := l.served("model", down); err != nil || served.Gateway.State != api.GatewayDown || served.Variants[0].State != api.StateUnavailable {
		t.Errorf("after the stop: %+v, %v", served, err)
	}
}
