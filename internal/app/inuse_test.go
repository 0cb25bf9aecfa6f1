package app_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/testing/fake"
)

// held is a model whose runs, except for the first, last until they are released, even if they
// are terminated.
type held struct {
	running atomic.Int64
	let     chan struct{}
}

func newHeld() *held { return &held{let: make(chan struct{})} }

func (h *held) options() fake.Options {
	return fake.Options{IgnoreTerminate: true, Fail: func(run int) error {
		if run == 0 {
			return nil
		}
		h.running.Add(1)
		defer h.running.Add(-1)
		<-h.let
		return nil
	}}
}

// askers sends n requests at the same time. The replies come in any order.
func (g *gateway) askers(t *testing.T, path string, n int) <-chan reply {
	t.Helper()
	replies := make(chan reply, n)
	for range n {
		go func() { // the test receives the replies
			r, err := g.send(t.Context(), http.MethodPost, g.url+"/v2/models/"+path+"/infer", doubleRequest)
			if err != nil {
				t.Error(err)
			}
			replies <- r
		}()
	}
	return replies
}

// TestUnloadDuringRuns unloads a version whose runs do not end in time: its callers get an
// error, it is listed as unloading, and is freed when the last run has returned.
func TestUnloadDuringRuns(t *testing.T) {
	h := newHeld()
	runtime := &fakes{live: map[int64]fake.Options{1: h.options()}}
	g := startOn(t, runtime, doubles(t, 1), "repository.control: explicit", "repository.load: ['*']", "unload_timeout: 200ms", "models: {double: {timeout: 3s, "+fakeModels+"}}")
	g.predict(t, "double")              // a version without an answered request has no series
	replies := g.askers(t, "double", 4) // two run, two wait
	eventually(t, func() bool {
		return h.running.Load() == fakeInstances && g.series(t, "sluice_queued_requests", `model="double"`) == 2
	})
	g.must(t, http.MethodPost, g.url+"/v2/repository/models/double/unload", "")
	state := func(want string) {
		t.Helper()
		if m := g.models(t)["double/1"]; m.State != want {
			t.Errorf("%+v, want %s", m, want)
		}
	}
	state(api.StateUnloading)
	if status, text := g.call(t, http.MethodPost, g.url+"/v2/models/double/infer", doubleRequest); status != http.StatusNotFound {
		t.Errorf("a new request: %d %s", status, text)
	}
	// Waiting requests get an error at the limit; running ones at the latest when their own
	// limit has passed.
	statuses := map[int]int{}
	for range 4 {
		r := <-replies
		if statuses[r.status]++; !strings.Contains(r.body, `{"error":"`) || r.header.Get("Sluice-Version") != "1" {
			t.Errorf("%d %v %s", r.status, r.header, r.body)
		}
	}
	if statuses[http.StatusServiceUnavailable] != 2 || statuses[http.StatusGatewayTimeout] != 2 {
		t.Errorf("%v", statuses)
	}
	live, _ := runtime.loaded(1)
	state(api.StateUnloading)
	if len(live) != 1 || live[0].closed() || h.running.Load() != fakeInstances {
		t.Errorf("freed while %d runs go on", h.running.Load())
	}
	// It can be loaded again while the old one unloads.
	g.must(t, http.MethodPost, g.url+"/v2/repository/models/double/load", "")
	state(api.StateReady)
	if live[0].closed() {
		t.Error("freed by a load")
	}
	close(h.let)
	eventually(t, live[0].closed)
	if a := g.predict(t, "double"); a.data != "[2 4 6]" {
		t.Errorf("%+v", a)
	}
	if live, _ = runtime.loaded(1); len(live) != 2 || live[1].closed() {
		t.Errorf("%d loads", len(live))
	}
}

// TestReplacedDuringRuns takes a version out of service while its runs go on and end in time:
// the version that the headers name has answered each.
func TestReplacedDuringRuns(t *testing.T) {
	dir := doubles(t, 3)
	old := newHeld()
	runtime := &fakes{live: map[int64]fake.Options{2: old.options()}}
	g := startOn(t, runtime, dir, "unload_timeout: 20s", "models: {double: {"+fakeModels+"}}")
	g.set(t, "double", split(1, 2, api.TotalWeight))
	g.predict(t, "double")
	replies := g.askers(t, "double", 4) // two run, two wait
	eventually(t, func() bool {
		return old.running.Load() == fakeInstances && g.series(t, "sluice_queued_requests", `model="double"`, `version="2"`) == 2
	})
	g.set(t, "double", split(1, 3, api.TotalWeight))
	if a := g.predict(t, "double"); a.version != "3" {
		t.Errorf("%+v", a)
	}
	live, _ := runtime.loaded(2)
	if m := g.models(t)["double/2"]; m.State != api.StateUnloading || live[0].closed() {
		t.Errorf("%+v", m)
	}
	time.AfterFunc(100*time.Millisecond, func() { close(old.let) })
	for range 4 {
		r := <-replies
		if r.status != http.StatusOK || r.header.Get("Sluice-Version") != "2" || r.header.Get("Sluice-Route") != "double@1" || !strings.Contains(r.body, `"data":[2,4,6]`) {
			t.Errorf("%d %v %s", r.status, r.header, r.body)
		}
	}
	eventually(t, live[0].closed)
	eventually(t, func() bool { _, listed := g.models(t)["double/2"]; return !listed })
}

// TestReloadDuringRuns gives a version other files while its runs go on.
func TestReloadDuringRuns(t *testing.T) {
	dir := doubles(t, 1)
	h := newHeld()
	runtime := &fakes{live: map[int64]fake.Options{1: h.options()}}
	g := startOn(t, runtime, dir, "models: {double: {"+fakeModels+"}}")
	g.predict(t, "double")
	replies := g.askers(t, "double", 3)
	eventually(t, func() bool { return h.running.Load() == fakeInstances })
	put(t, dir, "double", 1, scale(t, 3))
	g.must(t, http.MethodPost, g.admin+"/-/reload", "")
	live, _ := runtime.loaded(1)
	if len(live) != 2 || live[0].closed() || g.models(t)["double/1"].State != api.StateReady {
		t.Errorf("%d loads", len(live))
	}
	close(h.let)
	for range 3 {
		if r := <-replies; r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	eventually(t, live[0].closed)
	if live[1].closed() {
		t.Error("the new files are not in service")
	}
}
