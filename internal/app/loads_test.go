package app_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap/zaptest"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/app"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/serving"
	"sluice.io/sluice/internal/testing/fake"
)

// hangingLoads is fakes in which the loads of one model hang, even if they are cancelled, until
// they are released.
type hangingLoads struct {
	fakes
	model string
	let   chan struct{}
	once  sync.Once
}

func newHangingLoads(t *testing.T, model string) *hangingLoads {
	h := &hangingLoads{model: model, let: make(chan struct{})}
	t.Cleanup(h.letGo)
	return h
}

func (h *hangingLoads) letGo() { h.once.Do(func() { close(h.let) }) }

// Load implements serving.Runtime.
func (h *hangingLoads) Load(f *serving.File, v infer.Version, m config.Model) (serving.Session, error) {
	if v.Model == h.model {
		<-h.let
	}
	return h.fakes.Load(f, v, m)
}

func launchOn(t *testing.T, runtime serving.Runtime, dir string, yaml ...string) *gateway {
	t.Helper()
	return launch(t, zaptest.NewLogger(t, zaptest.Level(logLevel)), runtime, dir, append(yaml, "defaults: {"+fakeModels+"}")...)
}

// TestStartBesideALoadThatHangs: models become ready one by one, routes can be edited
// meanwhile, the gateway is ready after all loads have ended, and a stop does not wait for
// loads.
func TestStartBesideALoadThatHangs(t *testing.T) {
	dir, runtime := doubles(t, 3), newHangingLoads(t, "hangs")
	put(t, dir, "hangs", 1, scale(t, 2))
	g := launchOn(t, runtime, dir, "models: {double: {versions: all}}")
	eventually(t, func() bool { return g.ask("double", 1) == nil })
	g.set(t, "double", split(1, 2, 500))
	g.set(t, "double", split(1, 2, 0))
	if status, text := g.call(t, http.MethodPost, g.url+"/v2/models/hangs/infer", doubleRequest); status != http.StatusServiceUnavailable || !strings.Contains(text, "loading") {
		t.Errorf("%d %s", status, text)
	}
	if status, _ := g.call(t, http.MethodGet, g.url+"/v2/health/ready", ""); status != http.StatusServiceUnavailable {
		t.Errorf("ready (%d) while a model loads", status)
	}
	if m := g.models(t)["hangs/1"]; m.State != api.StateLoading {
		t.Errorf("%+v", m)
	}
	if err := g.stop(); err != nil {
		t.Error(err)
	}
	select {
	case <-runtime.let:
		t.Error("the stop waited for a load")
	default:
	}
}

func TestReadyOnceLoadsHaveEnded(t *testing.T) {
	dir, runtime := doubles(t, 1), newHangingLoads(t, "hangs")
	put(t, dir, "hangs", 1, scale(t, 2))
	g := launchOn(t, runtime, dir)
	eventually(t, func() bool { return g.ask("double", 1) == nil })
	runtime.letGo()
	g.await(t)
	if err := g.ask("hangs", 1); err != nil {
		t.Error(err)
	}
}

// A load that exceeds load_timeout has failed, and the gateway is ready without it.
func TestLoadsThatTakeTooLong(t *testing.T) {
	dir, runtime := doubles(t, 1), newHangingLoads(t, "hangs")
	put(t, dir, "hangs", 1, scale(t, 2))
	g := launchOn(t, runtime, dir, "repository.load_timeout: 1s")
	g.await(t)
	if m := g.models(t)["hangs/1"]; m.State != api.StateUnavailable || !strings.Contains(m.Reason, "repository.load_timeout (1s)") {
		t.Errorf("%+v", m)
	}
	runtime.letGo()
	eventually(t, func() bool { // a late load is unloaded
		live, _ := runtime.loaded(1)
		for _, s := range live {
			if s.settings.Instances == fakeInstances && s.closed() {
				return true
			}
		}
		return false
	})
}

// A version whose warm-up never ends delays no other, and serves in the end.
func TestWarmUpsThatNeverEnd(t *testing.T) {
	h := &held{let: make(chan struct{})}
	runtime := &fakes{live: map[int64]fake.Options{2: {IgnoreTerminate: true, Fail: func(int) error {
		h.running.Add(1)
		<-h.let
		return nil
	}}}}
	dir := t.TempDir()
	put(t, dir, "double", 1, scale(t, 2))
	put(t, dir, "endless", 2, scale(t, 2))
	g := launch(t, zaptest.NewLogger(t, zaptest.Level(logLevel)), runtime, dir,
		"models: {double: {"+fakeModels+"}, endless: {instances: 2, batching: {enabled: 'false'}, warmup_timeout: 2s}}")
	eventually(t, func() bool { return h.running.Load() > 0 })
	eventually(t, func() bool { return g.ask("double", 1) == nil })
	g.set(t, "shop", `{"model":"double","variants":[{"version":1,"weight":10000}]}`)
	g.await(t)
	if m := g.models(t)["endless/2"]; m.State != api.StateReady || !strings.Contains(m.Detail.Warmup, "warmup_timeout") {
		t.Errorf("%+v", m)
	}
	close(h.let)
	eventually(t, func() bool { return g.ask("endless", 1) == nil })
}

// A reload waits for its loads and blocks no other change; a later reload replaces it.
func TestReloadBesideALoadThatHangs(t *testing.T) {
	dir, runtime := doubles(t, 3), newHangingLoads(t, "hangs")
	g := startOn(t, runtime, dir, "models: {double: {versions: all}}", "defaults: {"+fakeModels+"}")
	put(t, dir, "hangs", 1, scale(t, 2))
	first := make(chan reply, 1)
	go func() { // the test receives the result
		r, err := g.send(t.Context(), http.MethodPost, g.admin+"/-/reload", "")
		if err != nil {
			t.Error(err)
		}
		first <- r
	}()
	eventually(t, func() bool { return g.models(t)["hangs/1"].State == api.StateLoading })
	g.set(t, "double", split(1, 2, 500))
	if err := os.RemoveAll(filepath.Join(dir, "hangs")); err != nil {
		t.Fatal(err)
	}
	if result := g.must(t, http.MethodPost, g.admin+"/-/reload", ""); !strings.Contains(result, `"changed":[]`) {
		t.Errorf("the second reload: %s", result)
	}
	if r := <-first; r.status != http.StatusConflict || !strings.Contains(r.body, "a later reload replaced this one") {
		t.Errorf("the first reload: %d %s", r.status, r.body)
	}
	if _, listed := g.models(t)["hangs/1"]; listed {
		t.Error("a version that no reload asks for is listed")
	}
}

// An edit that waits for a version is refused if the route changes meanwhile: it must not undo
// a rollback.
func TestARollbackIsNotUndone(t *testing.T) {
	open := make(chan struct{})
	runtime := &slowLoads{open: open, version: 2}
	g := startOn(t, runtime, doubles(t, 3), "models: {double: {"+fakeModels+"}}")
	asked := make(chan reply, 1)
	go func() { asked <- g.change(t, http.MethodPut, "double", "*", split(3, 2, 500)) }() // the test receives the result
	eventually(t, func() bool { return g.models(t)["double/2"].State == api.StateLoading })
	rollback := g.set(t, "double", `{"variants":[{"version":3,"weight":10000}]}`)
	close(open)
	if r := <-asked; r.status != http.StatusPreconditionFailed {
		t.Errorf("%d %s", r.status, r.body)
	}
	if route := g.route(t, "double"); route.Revision != rollback.Revision || len(route.Variants) != 1 {
		t.Errorf("%+v", route)
	}
}

// A load call whose model is unloaded while it waits returns an error.
func TestUnloadDuringALoad(t *testing.T) {
	dir, runtime := doubles(t, 1), newHangingLoads(t, "hangs")
	put(t, dir, "hangs", 1, scale(t, 2))
	g := startOn(t, runtime, dir, "repository.control: explicit", "defaults: {"+fakeModels+"}")
	asked := make(chan reply, 1)
	go func() { // the test receives the result
		r, err := g.send(t.Context(), http.MethodPost, g.url+"/v2/repository/models/hangs/load", "")
		if err != nil {
			t.Error(err)
		}
		asked <- r
	}()
	eventually(t, func() bool { return g.models(t)["hangs/1"].State == api.StateLoading })
	g.must(t, http.MethodPost, g.url+"/v2/repository/models/double/load", "")
	g.must(t, http.MethodPost, g.url+"/v2/repository/models/hangs/unload", "")
	if r := <-asked; r.status != http.StatusConflict || !strings.Contains(r.body, "another call unloaded it") {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// A call changes only the model that it names, and not another one that is being copied.
func TestACallTouchesItsModelAlone(t *testing.T) {
	dir := doubles(t, 1)
	put(t, dir, "other", 1, scale(t, 3))
	g := start(t, dir, "repository.control: explicit", "repository.load: ['*']")
	put(t, dir, "other", 1, []byte("half a model"))
	put(t, dir, "double", 2, scale(t, 5))
	g.must(t, http.MethodPost, g.url+"/v2/repository/models/double/load", "")
	if a := g.predict(t, "double"); a.data != "[5 10 15]" {
		t.Errorf("%+v", a)
	}
	if m := g.models(t)["other/1"]; m.Reason != "" {
		t.Errorf("another model was touched: %+v", m)
	}
	g.must(t, http.MethodPost, g.url+"/v2/repository/models/double/unload", "")
	if m := g.models(t)["other/1"]; m.Reason != "" || m.State != api.StateReady {
		t.Errorf("another model was touched: %+v", m)
	}
}

// The statistics of a route are those of its model, under the route's name.
func TestStatisticsOfARoute(t *testing.T) {
	g := start(t, doubles(t, 1))
	g.set(t, "shop", `{"model":"double","variants":[{"version":1,"weight":10000}]}`)
	g.predict(t, "shop")
	text := g.must(t, http.MethodGet, g.url+"/v2/models/shop/stats", "")
	if !strings.Contains(text, `"name":"shop"`) || !strings.Contains(text, `"inference_count":1`) {
		t.Error(text)
	}
}

// If one listener cannot open, the other one is closed.
func TestAListenerThatFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // nothing was sent
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Repository.Path, cfg.Admin.Address, cfg.Server.HTTP.Address = doubles(t, 1), address, taken.Addr().String()
	cfg.Server.GRPC.Address = config.ListenNone
	a, err := app.New(app.Options{Config: cfg, Logger: zaptest.NewLogger(t, zaptest.Level(logLevel)), OpenRuntime: fakeRuntime})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("%v", err)
	}
	again, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("the other listener still listens: %v", err)
	}
	_ = again.Close() // nothing was sent
}
