package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/app"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
)

// dataIn is the setting that keeps the journal in a folder.
func dataIn(dir string) string { return fmt.Sprintf("data_dir: %q", dir) }

// TestStartNamesRoutesThatDiffer: a start reports the routes that the API has changed and that
// differ from the file.
func TestStartNamesRoutesThatDiffer(t *testing.T) {
	dir, data := doubles(t, 2), t.TempDir()
	const file = "routes: {double: {variants: [{version: 1, weight: 100%}]}}"
	begin := func(want int) *gateway {
		t.Helper()
		core, logs := observer.New(zapcore.WarnLevel)
		g := startLogging(t, zap.New(core), &fakes{}, dir, dataIn(data), file)
		if n := logs.FilterMessageSnippet("route double differs from the file").Len(); n != want {
			t.Errorf("%d notices, want %d", n, want)
		}
		return g
	}
	g := begin(0)
	g.set(t, "double", split(1, 2, 500))
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	begin(1)
}

// TestRestart stops a gateway and starts another on the same data: routes, revisions and slots
// are the same as before.
func TestRestart(t *testing.T) {
	dir, data := triple(t), filepath.Join(t.TempDir(), "data")
	g := start(t, dir, dataIn(data))
	for _, weight := range []int{500, 2000, 300, 1000} { // slots that do not follow from the weights
		g.set(t, "double", split(1, 2, weight), "Sluice-Actor", "alice", "Sluice-Change-Reason", "ramp")
	}
	g.set(t, "shop", split(2, 3, 5000, `,"model":"double","shadows":[{"version":1,"sample":100}],"fallback":"stable"`))
	g.set(t, "gone", split(2, 3, 5000, `,"model":"double"`))
	g.change(t, http.MethodDelete, "gone", `"1"`, "").result(t)
	routes, keys, events := g.must(t, http.MethodGet, g.admin+"/api/v1/routes", ""), g.assigned(t, "double", 300), g.journal(t, 0)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	g = start(t, dir, dataIn(data))
	if diff := cmp.Diff(routes, g.must(t, http.MethodGet, g.admin+"/api/v1/routes", "")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(keys, g.assigned(t, "double", 300)); diff != "" {
		t.Errorf("keys that moved: %s", diff)
	}
	if diff := cmp.Diff(events, g.journal(t, 0)); diff != "" {
		t.Error(diff)
	}
	if result := g.change(t, http.MethodPut, "gone", `"0"`, split(2, 3, 5000, `,"model":"double"`)).result(t); result.Revision != 2 {
		t.Errorf("a route that was deleted before the restart: %+v", result)
	}
	if result := g.change(t, http.MethodPut, "double", `"4"`, split(1, 2, 1500)).result(t); result.SlotsMoved != 500 {
		t.Errorf("%+v", result)
	}
	g.fold(t)
}

// TestRestartWithoutAVersion: a version that a route names and that is gone, or no longer
// loads, is reported. The others serve.
func TestRestartWithoutAVersion(t *testing.T) {
	dir, data := triple(t), t.TempDir()
	g := start(t, dir, dataIn(data))
	g.set(t, "double", split(1, 2, 5000, `,"fallback":"stable"`))
	if err := errors.Join(g.stop(), os.RemoveAll(filepath.Join(dir, "double", "2"))); err != nil {
		t.Fatal(err)
	}
	g = start(t, dir, dataIn(data))
	seen := map[answered]int{}
	for i := range 100 {
		seen[g.predict(t, "double", "User", fmt.Sprintf("user-%d", i))]++
	}
	sticky, fallback := answered{"1", "double@1", "sticky", "[2 4 6]"}, answered{"1", "double@1", "fallback", "[2 4 6]"}
	if seen[sticky] < 20 || seen[fallback] < 20 || len(seen) != 2 {
		t.Errorf("%v", seen)
	}
	if result := g.change(t, http.MethodPut, "double", `"1"`, split(1, 3, 500)).result(t); result.Revision != 2 {
		t.Errorf("%+v", result)
	}
	if err := errors.Join(g.stop(), os.RemoveAll(filepath.Join(dir, "double"))); err != nil {
		t.Fatal(err)
	}
	g = start(t, dir, dataIn(data))
	if status, text := g.call(t, http.MethodPost, g.url+"/v2/models/double/infer", doubleRequest); status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", status, text)
	}
	if r := g.route(t, "double"); r.Revision != 2 {
		t.Errorf("%+v", r)
	}
	if result := g.change(t, http.MethodDelete, "double", `"2"`, "").result(t); result.SlotsMoved != 10000 {
		t.Errorf("%+v", result)
	}
	g.fold(t)
}

// TestJournalIsTheTrail reads the actors, the changes and their reasons.
func TestJournalIsTheTrail(t *testing.T) {
	const token = "a-token-of-twenty-letters"
	g := start(t, triple(t), "repository.control: explicit", "admin.tokens: {alice: "+token+"}")
	auth := []string{"Authorization", "Bearer " + token}
	g.change(t, http.MethodPut, "double", "*", split(1, 2, 500), append(auth, "Sluice-Actor", "mallory", "Sluice-Change-Reason", "try 2")...).result(t)
	g.change(t, http.MethodDelete, "double", "*", "", auth...).result(t)
	get := func(query string) (events []api.Event) {
		t.Helper()
		r, err := g.send(t.Context(), http.MethodGet, g.admin+"/api/v1/journal"+query, "", auth...)
		if err == nil {
			err = json.Unmarshal([]byte(r.body), &events)
		}
		if err != nil {
			t.Fatalf("%v %+v", err, r)
		}
		return events
	}
	g.must(t, http.MethodGet, g.admin+"/-/ready", "")
	events := get("?after=0&type=route.")
	if len(events) != 2 {
		t.Fatalf("%+v", events)
	}
	set, deleted := events[0], events[1]
	var after, before api.RouteState
	if err := errors.Join(json.Unmarshal(set.After, &after), json.Unmarshal(deleted.Before, &before)); err != nil {
		t.Fatal(err)
	}
	if set.Seq < 1 || set.Type != api.EventRouteSet || set.Subject != "routes/double" || set.Origin != api.OriginAPI || set.Time.IsZero() || set.Before != nil {
		t.Errorf("%+v", set)
	}
	if set.Actor != (api.Actor{Actor: "alice", Verified: true, Reason: "try 2"}) {
		t.Errorf("%+v", set.Actor)
	}
	if after.Revision != 1 || len(after.Slots) != 2 || after.Variants[1].Weight != 500 {
		t.Errorf("%s", set.After)
	}
	if deleted.Type != api.EventRouteDeleted || deleted.After != nil || cmp.Diff(after, before) != "" {
		t.Errorf("%+v", deleted)
	}
	if list := get(fmt.Sprintf("?type=route.set,route.deleted&after=%d", set.Seq)); len(list) != 1 || list[0].Seq != deleted.Seq {
		t.Errorf("after the first: %+v", list)
	}
	if list := get("?since=" + deleted.Time.Format(time.RFC3339Nano) + "&until=" + deleted.Time.Format(time.RFC3339Nano)); len(list) != 1 || list[0].Seq != deleted.Seq {
		t.Errorf("at the time of the last: %+v", list)
	}
	if list := get("?limit=1&subject=routes/double"); len(list) != 1 || list[0].Seq != set.Seq {
		t.Errorf("limit=1: %+v", list)
	}
	if list := get("?after=99"); list == nil || len(list) != 0 {
		t.Errorf("after=99: %+v", list)
	}
}

// TestLoadsAreInTheTrail: other actions of operators are recorded too.
func TestLoadsAreInTheTrail(t *testing.T) {
	g := start(t, triple(t), "repository.control: explicit")
	for _, verb := range []string{"load", "unload"} {
		if r, err := g.send(t.Context(), http.MethodPost, g.admin+"/api/v1/models/double/"+verb, "", "Sluice-Actor", "bob"); err != nil || r.status != http.StatusOK {
			t.Fatalf("%v %+v", err, r)
		}
	}
	g.must(t, http.MethodPost, g.admin+"/-/reload", "")
	var types []string
	for _, e := range g.journal(t, 0) {
		types = append(types, fmt.Sprintf("%s %s %s %s %t", e.Type, e.Subject, e.Origin, e.Actor.Actor, e.Verified))
	}
	want := []string{"model.loaded models/double api bob false", "model.unloaded models/double api bob false", "config.reloaded config api anonymous false"}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Error(diff)
	}
}

// fileRoute is the section of a file with one route of the model "double".
func fileRoute(name string, canary int, more ...string) string {
	return fmt.Sprintf("  %s: {model: double, variants: [{version: 1, weight: %d%%}, {version: 2, weight: %d%%, role: canary}]%s}\n", name, 100-canary, canary, strings.Join(more, ""))
}

// TestFileAndEditsMeet follows DESIGN: a route is applied only if its own entry in the file
// changed, appeared or vanished.
func TestFileAndEditsMeet(t *testing.T) {
	dir, data := triple(t), t.TempDir()
	file := func(routes ...string) []string { return []string{dataIn(data), "routes:\n" + strings.Join(routes, "")} }
	g := start(t, dir, file(fileRoute("a", 5), fileRoute("b", 5))...)
	canary := func(name string, revision int64, weight int) {
		t.Helper()
		if r := g.route(t, name); r.Revision != revision || r.Variants[1].Weight != weight {
			t.Errorf("%+v, want revision %d and a weight of %d", r, revision, weight)
		}
	}
	reload := func(routes ...string) (result api.ReloadResult) {
		t.Helper()
		g.configure(t, dir, file(routes...)...)
		if err := json.Unmarshal([]byte(g.must(t, http.MethodPost, g.admin+"/-/reload", "")), &result); err != nil {
			t.Fatal(err)
		}
		return result
	}
	canary("a", 1, 500)
	g.set(t, "a", split(1, 2, 2000, `,"model":"double"`))
	g.set(t, "mine", split(1, 2, 2000, `,"model":"double"`))
	result := reload(fileRoute("a", 5), fileRoute("b", 5))
	canary("a", 2, 2000)
	if len(result.Changed) != 0 || len(result.Differing) != 1 || !strings.Contains(result.Differing[0], "route a ") {
		t.Errorf("the same file: %+v", result)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	g = start(t, dir, file(fileRoute("a", 5), fileRoute("b", 7))...)
	canary("a", 2, 2000)
	canary("b", 2, 700) // changed while the gateway was down
	canary("mine", 1, 2000)

	result = reload(fileRoute("a", 6), fileRoute("c", 1))
	canary("a", 3, 600)
	canary("c", 1, 100)
	canary("mine", 1, 2000)
	if r := g.change(t, http.MethodGet, "b", "", ""); r.status != http.StatusNotFound {
		t.Errorf("the entry of b is gone, yet: %s", r.body)
	}
	if diff := cmp.Diff([]string{"route a set to revision 3", "route c set to revision 1", "route b deleted"}, result.Changed); diff != "" || len(result.Differing) != 0 {
		t.Errorf("%+v %s", result, diff)
	}

	// A route that was deleted through the API stays deleted until its entry changes.
	g.change(t, http.MethodDelete, "c", "*", "").result(t)
	if result = reload(fileRoute("a", 6), fileRoute("c", 1)); len(result.Changed) != 0 || len(result.Differing) != 1 {
		t.Errorf("%+v", result)
	}
	reload(fileRoute("a", 6), fileRoute("c", 2))
	canary("c", 2, 200)
	for i, e := range g.journal(t, 0) {
		if api := e.Subject == "routes/mine" || i == 2; !api && e.Origin != "file" && e.Type == "route.set" {
			t.Errorf("%+v", e)
		}
	}
	g.fold(t)
}

// TestReloadWithABadRoute applies nothing of the file, and reports all problems.
func TestReloadWithABadRoute(t *testing.T) {
	dir := triple(t)
	put(t, dir, "double", 4, []byte("this is not ONNX"))
	models := "models: {double: {versions: [3]}}"
	g := start(t, dir, models, "routes:\n"+fileRoute("a", 5, ", seed: one")+fileRoute("d", 5, ", seed: one"))
	before := g.must(t, http.MethodGet, g.admin+"/api/v1/routes", "")
	f := func(parts []string, routes ...string) {
		t.Helper()
		g.configure(t, dir, models, "routes:\n"+strings.Join(routes, ""))
		status, text := g.call(t, http.MethodPost, g.admin+"/-/reload", "")
		for _, part := range parts {
			if status == http.StatusOK || !strings.Contains(text, part) {
				t.Errorf("reload: %d %s, want %q", status, text, part)
			}
		}
		if diff := cmp.Diff(before, g.must(t, http.MethodGet, g.admin+"/api/v1/routes", "")); diff != "" {
			t.Errorf("half a file was applied: %s", diff)
		}
		if events := g.journal(t, 0); len(events) != 2 {
			t.Errorf("%+v", events)
		}
	}
	bad := func(version int) string {
		return fmt.Sprintf("  z: {model: double, variants: [{version: 1, weight: 90%%}, {version: %d, weight: 10%%, role: canary}]}\n", version)
	}
	good := fileRoute("a", 6, ", seed: one")
	f([]string{"routes.z.variants[1].version", "no version 9"}, good, bad(9))
	f([]string{"routes.z.variants[1].version", "version 4 of model 'double' failed to load"}, good, bad(4))
	f([]string{"routes.a.seed", "nothing was applied"}, fileRoute("a", 6, ", seed: two"), fileRoute("b", 5))
	f([]string{"routes.a.seed", "routes.d.seed"}, fileRoute("a", 6, ", seed: two"), fileRoute("d", 5, ", seed: two"))
	f([]string{"'strings' is the name of another model"}, good, fileRoute("strings", 5))
	f([]string{"routes.y.", "routes.z."}, good, bad(9), strings.Replace(bad(9), "z:", "y:", 1))
	eventually(t, func() bool {
		return slices.Equal(g.ready(t), []string{"double/1", "double/2", "double/3", "strings/1"})
	})
}

// TestTenWriters races edits that name the same revision: exactly one of them wins.
func TestTenWriters(t *testing.T) {
	g := start(t, triple(t), dataIn(t.TempDir()))
	const writers, rounds = 10, 20
	weights := map[int64]int{} // by revision, as it was acknowledged
	for round := range rounds {
		revision := g.route(t, "double").Revision
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for w := range writers {
			weight := round*writers + w + 1
			wg.Go(func() {
				r, err := g.send(t.Context(), http.MethodPut, g.admin+"/api/v1/routes/double", split(1, 2, weight),
					"If-Match", quoted(revision), "Sluice-Actor", fmt.Sprintf("writer %d", w))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					t.Error(err)
				case r.status == http.StatusOK:
					won++
					weights[revision+1] = weight
				case r.status != http.StatusPreconditionFailed:
					t.Errorf("%d %s", r.status, r.body)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%d writers changed revision %d", won, revision)
		}
	}
	events := g.journal(t, 0)
	if len(events) != rounds {
		t.Errorf("%d events of %d changes", len(events), rounds)
	}
	for i, e := range events {
		var state api.RouteState
		if err := json.Unmarshal(e.After, &state); err != nil {
			t.Fatal(err)
		}
		if state.Revision != int64(i)+1 || state.Variants[1].Weight != weights[state.Revision] {
			t.Errorf("event %d has revision %d and a weight of %d, acknowledged was %d", e.Seq, state.Revision, state.Variants[1].Weight, weights[state.Revision])
		}
	}
	g.fold(t)
}

// TestJournalsThatAreNone: the gateway does not start on a file that it cannot read, and does
// not change it.
func TestJournalsThatAreNone(t *testing.T) {
	dir, data := triple(t), t.TempDir()
	g := start(t, dir, dataIn(data))
	for i := range 30 {
		g.set(t, "double", split(1, 2, i))
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(data, "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	f := func(part string, content []byte) {
		t.Helper()
		data := t.TempDir()
		file := filepath.Join(data, "journal.db")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		err := refusedStart(t, dir, data, zap.NewNop())
		if err == nil || !strings.Contains(infer.Message(err)+err.Error(), part) {
			t.Errorf("a journal of %d bytes: %v, want %q", len(content), err, part)
		}
		if now, err := os.ReadFile(file); err != nil || string(now) != string(content) {
			t.Errorf("the file was changed: %v", err)
		}
	}
	f("is not a journal", []byte("PRAGMA journal_mode"))
	f("is not a journal", make([]byte, 1<<16))
	f("journal.db", nil)
	f("is damaged", good[:len(good)/2])
	torn := slices.Clone(good)
	clear(torn[2<<12 : len(torn)/2]) // more than pages that are free
	f("is damaged", torn)
	core, logs := observer.New(zapcore.WarnLevel)
	if err := refusedStart(t, dir, "", zap.New(core)); err != nil {
		t.Error(err)
	}
	if logs.FilterMessageSnippet("--data-dir").Len() != 1 {
		t.Errorf("no warning that the journal is kept in memory: %v", logs.All())
	}
}

// refusedStart builds a gateway on a data directory and closes it again.
func refusedStart(t *testing.T, repository, data string, log *zap.Logger) error {
	t.Helper()
	cfg := config.Default()
	cfg.Repository.Path, cfg.DataDir = repository, data
	cfg.Server.HTTP.Address, cfg.Server.GRPC.Address, cfg.Admin.Address = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	a, err := app.New(app.Options{Config: cfg, Logger: log, OpenRuntime: fakeRuntime})
	if err != nil {
		return err
	}
	return a.Close()
}

// TestOneGatewayOnADataDirectory: a second one is refused while the first one runs.
func TestOneGatewayOnADataDirectory(t *testing.T) {
	dir, data := triple(t), t.TempDir()
	g := start(t, dir, dataIn(data))
	if err := refusedStart(t, dir, data, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("got %v", err)
	}
	if result := g.set(t, "double", split(1, 2, 500)); result.Revision != 1 {
		t.Errorf("%+v", result)
	}
}
