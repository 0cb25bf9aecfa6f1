package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/fake"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// rollout returns the last rollout of the route double.
func (g *gateway) rollout(t *testing.T) (r api.Rollout) {
	t.Helper()
	if err := json.Unmarshal([]byte(g.must(t, http.MethodGet, g.admin+"/api/v1/rollouts/double", "")), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// startRollout starts one with short steps.
func (g *gateway) startRollout(t *testing.T) {
	t.Helper()
	g.must(t, http.MethodPost, g.admin+"/api/v1/rollouts",
		`{"route": "double", "version": 2, "preset": "fast", "min_requests": 20, "bake": "1s", "inconclusive": "ship",
		"steps": [{"weight": 2000, "for": "1s"}, {"weight": 5000, "for": "1s"}], "latency": {"tolerance": 1}}`)
}

// askUntil sends requests until a rollout is in a state, and returns how many version 2 has answered.
func (g *gateway) askUntil(t *testing.T, state string) (fromCanary int) {
	t.Helper()
	eventually(t, func() bool {
		for range 20 {
			reply, err := g.send(t.Context(), http.MethodPost, g.url+"/v2/models/double/infer", doubleRequest)
			if err != nil {
				t.Fatal(err)
			}
			if reply.header.Get("Sluice-Version") == "2" {
				fromCanary++
			}
		}
		return g.rollout(t).State == state
	})
	return fromCanary
}

// A rollout on a real gateway: loaded, split with a control, promoted; nobody else changes the route meanwhile.
func TestRolloutPromotes(t *testing.T) {
	dir := t.TempDir()
	g := startOn(t, &fakes{}, doubles(t, 2), "data_dir: "+dir, `routes: {double: {variants: [{version: 1, weight: 100%}]}}`, "models: {double: {"+fakeModels+"}}")
	g.startRollout(t)
	eventually(t, func() bool { return len(g.route(t, "double").Variants) == 3 })
	if r := g.change(t, http.MethodPut, "double", "*", split(1, 2, 500)); r.status != http.StatusConflict || !strings.Contains(r.body, "double-1") {
		t.Errorf("an edit beside a rollout: %d %s", r.status, r.body)
	}
	if r := g.change(t, http.MethodDelete, "double", "*", ""); r.status != http.StatusConflict {
		t.Errorf("a deletion beside a rollout: %d %s", r.status, r.body)
	}
	if n := g.askUntil(t, api.RolloutCompleted); n == 0 {
		t.Error("the canary answered nothing")
	}
	if route := g.route(t, "double"); len(route.Variants) != 1 || route.Variants[0].Version != 2 {
		t.Errorf("the route is %+v", route)
	}
	g.fold(t)
}

// A version that fails is stopped while requests go on, and no request after the verdict reaches it.
func TestRolloutRollsBack(t *testing.T) {
	broken := &fakes{live: map[int64]fake.Options{2: {Compute: func(*infer.Model, []infer.Tensor) ([]infer.Tensor, error) {
		return nil, errors.New("the model is broken")
	}}}}
	g := startOn(t, broken, doubles(t, 2), `routes: {double: {variants: [{version: 1, weight: 100%}]}}`, "models: {double: {"+fakeModels+"}}")
	g.startRollout(t)
	g.askUntil(t, api.RolloutRolledBack)
	if n := g.askUntil(t, api.RolloutRolledBack); n != 0 {
		t.Errorf("version 2 got %d requests after the rollback", n)
	}
	if route := g.route(t, "double"); len(route.Variants) != 1 || route.Variants[0].Version != 1 {
		t.Errorf("the route is %+v", route)
	}
	if r := g.rollout(t); !strings.Contains(r.Why, "version 2") {
		t.Errorf("why %q", r.Why)
	}
}

// A rollout goes on after a restart, and a configuration file that changes its route is refused.
func TestRolloutOutlivesARestart(t *testing.T) {
	dir, repository := t.TempDir(), doubles(t, 2)
	yaml := []string{"data_dir: " + dir, `routes: {double: {variants: [{version: 1, weight: 100%}]}}`, "models: {double: {" + fakeModels + "}}"}
	g := startOn(t, &fakes{}, repository, yaml...)
	g.must(t, http.MethodPost, g.admin+"/api/v1/rollouts", `{"route": "double", "version": 2, "steps": [{"weight": 2000, "for": "1h"}]}`)
	eventually(t, func() bool { return g.rollout(t).State == api.RolloutCanary && len(g.route(t, "double").Variants) == 3 })
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	g = startOn(t, &fakes{}, repository, yaml...)
	if r := g.rollout(t); r.State != api.RolloutCanary || len(g.route(t, "double").Variants) != 3 {
		t.Fatalf("state %s, route %+v", r.State, g.route(t, "double"))
	}
	g.configure(t, repository, "data_dir: "+dir, `routes: {double: {variants: [{version: 2, weight: 100%}]}}`, "models: {double: {"+fakeModels+"}}")
	if status, body := g.call(t, http.MethodPost, g.admin+"/-/reload", ""); status != http.StatusConflict && status != http.StatusBadRequest || !strings.Contains(body, "routes.double: rollout 'double-1'") {
		t.Errorf("a reload that changes the route: %d %s", status, body)
	}
	g.must(t, http.MethodPost, g.admin+"/api/v1/rollouts/double/abort", "")
	eventually(t, func() bool { return g.rollout(t).State == api.RolloutRolledBack })
	if route := g.route(t, "double"); len(route.Variants) != 1 || route.Variants[0].Version != 1 {
		t.Errorf("the route is %+v", route)
	}
}

// A version whose files change while its rollout runs gets no request any more: nobody has approved those files.
func TestRolloutOfChangedFiles(t *testing.T) {
	for _, state := range []string{api.RolloutCanary, api.RolloutPaused, api.RolloutBaking} {
		dir := doubles(t, 1)
		put(t, dir, "double", 2, scale(t, 20))
		g := startOn(t, &fakes{}, dir, `routes: {double: {variants: [{version: 1, weight: 100%}]}}`, "models: {double: {"+fakeModels+"}}")
		g.must(t, http.MethodPost, g.admin+"/api/v1/rollouts", `{"route": "double", "version": 2, "bake": "1h", "steps": [{"weight": 5000, "for": "1h"}]}`)
		eventually(t, func() bool { return g.rollout(t).State == api.RolloutCanary && len(g.route(t, "double").Variants) == 3 })
		switch state {
		case api.RolloutPaused:
			g.must(t, http.MethodPost, g.admin+"/api/v1/rollouts/double/pause", "")
		case api.RolloutBaking:
			g.must(t, http.MethodPost, g.admin+"/api/v1/rollouts/double/promote", "")
		}
		if n := g.askUntil(t, state); n == 0 {
			n = g.askUntil(t, state)
			t.Logf("the canary answered %d requests", n)
		}
		put(t, dir, "double", 2, scale(t, 30))
		g.must(t, http.MethodPost, g.admin+"/-/reload", "")
		if n := g.askUntil(t, api.RolloutRolledBack); n != 0 {
			t.Errorf("%s: files that nobody approved answered %d requests", state, n)
		}
		if r := g.rollout(t); !strings.Contains(r.Why, "the files of the version have changed since the rollout began") {
			t.Errorf("why %q", r.Why)
		}
	}
}

// Versions that answer differently, or that a Prometheus server says are worse, are rolled back although they work.
func TestRolloutsCompareAnswers(t *testing.T) {
	dir := doubles(t, 1)
	put(t, dir, "double", 2, scale(t, 20))
	asked := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.FormValue("query")
		_, _ = w.Write([]byte(`{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}`))
	}))
	defer server.Close()
	const route = `routes: {double: {variants: [{version: 1, weight: 100%}]}}`
	g := start(t, dir, route, "prometheus: {url: '"+server.URL+"'}")
	begin := func(more string) {
		t.Helper()
		g.must(t, http.MethodPost, g.admin+"/api/v1/rollouts", `{"route": "double", "version": 2, "preset": "fast", "steps": [{"weight": 4000, "for": "5m"}], "latency": {"tolerance": 1}`+more+`}`)
	}
	begin("")
	g.askUntil(t, api.RolloutRolledBack)
	if r := g.rollout(t); !strings.Contains(r.Why, "answers: y[0]") {
		t.Errorf("why %q", r.Why)
	}
	begin(`, "queries": [{"name": "refunds", "query": "refunds{version=\"{{version}}\"}", "max": 5, "failures": 1}]`)
	g.askUntil(t, api.RolloutRolledBack)
	if r := g.rollout(t); !strings.Contains(r.Why, "query:refunds: 7, expected at most 5") {
		t.Errorf("why %q", r.Why)
	}
	if got := <-asked; got != `refunds{version="2"}` {
		t.Errorf("the query was %q", got)
	}
	if err := g.stop(); err != nil {
		t.Error(err)
	}
	other := start(t, dir, route)
	status, body := other.call(t, http.MethodPost, other.admin+"/api/v1/rollouts", `{"route": "double", "version": 2, "queries": [{"name": "a", "query": "b", "max": 1}]}`)
	if status != http.StatusConflict || !strings.Contains(body, "prometheus.url") {
		t.Errorf("queries without a server: %d %s", status, body)
	}
}

// A version that always answers a class that no other version has ever answered is rolled back.
func TestRolloutsCompareNewClasses(t *testing.T) {
	classifier := func(class float32) []byte {
		g := onnxgen.New("classifier")
		sum := g.Op("MatMul", g.Input("x", infer.FP32, "N", 3), g.Init(onnxgen.Float32s([]float32{class, 0, 0}, 3, 1)))
		g.Output("label", infer.Int64, g.Op("Cast", sum).Int("to", 7), "N", 1)
		return g.Bytes()
	}
	dir := t.TempDir()
	put(t, dir, "double", 1, classifier(1))
	put(t, dir, "double", 2, classifier(5))
	g := start(t, dir, `routes: {double: {variants: [{version: 1, weight: 100%}]}}`)
	g.must(t, http.MethodPost, g.admin+"/api/v1/rollouts", `{"route": "double", "version": 2, "preset": "fast", "steps": [{"weight": 4000, "for": "5m"}], "latency": {"tolerance": 1}}`)
	g.askUntil(t, api.RolloutRolledBack)
	if r := g.rollout(t); !strings.Contains(r.Why, "answers: label: ") {
		t.Errorf("why %q", r.Why)
	}
}

// A receiver is told of rollouts, also of what happened while it was down and before a restart, and of nothing from before it was
// configured.
func TestRolloutsAreTold(t *testing.T) {
	var mu sync.Mutex
	down, told := true, []string{}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e struct {
			ID, Type, Subject string
			Data              api.Event
		}
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil || e.ID == "" || e.Subject != "rollouts/double" || e.Data.Subject != e.Subject {
			t.Errorf("%v: %+v", err, e)
		}
		mu.Lock()
		defer mu.Unlock()
		if down {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		told = append(told, e.Type)
	}))
	defer receiver.Close()
	dir, repository := t.TempDir(), doubles(t, 2)
	yaml := []string{"data_dir: " + dir, `routes: {double: {variants: [{version: 1, weight: 100%}]}}`}
	begin := func(g *gateway) {
		t.Helper()
		g.must(t, http.MethodPost, g.admin+"/api/v1/rollouts", `{"route": "double", "version": 2, "steps": [{"weight": 2000, "for": "1h"}]}`)
		eventually(t, func() bool { return g.rollout(t).State == api.RolloutCanary })
		g.must(t, http.MethodPost, g.admin+"/api/v1/rollouts/double/abort", "")
		eventually(t, func() bool { return g.rollout(t).State == api.RolloutRolledBack })
	}
	g := startOn(t, &fakes{}, repository, yaml...)
	begin(g)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	yaml = append(yaml, fmt.Sprintf("retrain: {webhook: {url: %q, secret: sixteen-bytes-long, events: [rollout, version], max_backoff: 1s}}", receiver.URL))
	g = startOn(t, &fakes{}, repository, yaml...)
	begin(g)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	down = false
	mu.Unlock()
	g = startOn(t, &fakes{}, repository, yaml...)
	want := []string{"io.sluice.rollout.started.v1", "io.sluice.rollout.advanced.v1", "io.sluice.rollout.aborted.v1", "io.sluice.rollout.rolled_back.v1"}
	eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(told) >= len(want)
	})
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(told, want) {
		t.Errorf("the receiver was told %q, want %q", told, want)
	}
	if g.rollout(t).State != api.RolloutRolledBack {
		t.Error("the rollout goes on")
	}
}

// A control has a queue and instances of its own: its requests do not wait behind those of the stable variant, though the same
// version serves both. A control that ends finishes what it has accepted.
func TestControlHasItsOwnQueue(t *testing.T) {
	gate := make(chan struct{})
	compute := func(m *infer.Model, inputs []infer.Tensor) ([]infer.Tensor, error) {
		if first(inputs[0]) == 9 {
			<-gate
		}
		return double(m, inputs)
	}
	models := &fakes{live: map[int64]fake.Options{1: {Compute: compute}}}
	g := startOn(t, models, doubles(t, 1), "data_dir: "+t.TempDir(), `routes: {double: {variants: [{version: 1, weight: 100%}]}}`, "models: {double: {"+fakeModels+"}}")
	busy, _ := models.loaded(1)
	running := func() int { return len(busy[0].Runs()) }
	before := running()
	var wg sync.WaitGroup
	hang := func(n int) {
		for range n {
			wg.Go(func() {
				slow := strings.Replace(doubleRequest, "[1,2", "[9,2", 1)
				if r, err := g.send(context.Background(), http.MethodPost, g.url+"/v2/models/double/infer", slow); err != nil || r.status != http.StatusOK {
					t.Errorf("%v %+v", err, r)
				}
			})
		}
	}
	hang(fakeInstances + 1) // one waits
	eventually(t, func() bool { return running() == before+fakeInstances })
	g.set(t, "double", `{"variants": [{"version": 1, "weight": 0}, {"version": 1, "weight": 10000, "role": "control"}]}`)
	if got := g.predict(t, "double"); got.version != "1" {
		t.Errorf("%+v", got)
	}
	hang(fakeInstances)
	eventually(t, func() bool { return running() == before+1+2*fakeInstances })
	g.set(t, "double", `{"variants": [{"version": 1, "weight": 10000}]}`)
	close(gate)
	wg.Wait()
	if got := g.predict(t, "double"); got.version != "1" {
		t.Errorf("%+v", got)
	}
}
