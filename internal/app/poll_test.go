package app_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPollLeavesShadowsAlone: a poll does not change a version that only a shadow or a route
// needs.
func TestPollLeavesShadowsAlone(t *testing.T) {
	dir, runtime := doubles(t, 3), &fakes{}
	g := startOn(t, runtime, dir, "repository.control: poll", "repository.poll_interval: 100ms", "models: {double: {"+fakeModels+"}}")
	loads := func(version int64, wantLive, wantShadows int) {
		t.Helper()
		if live, shadows := runtime.loaded(version); len(live) != wantLive || len(shadows) != wantShadows {
			t.Errorf("version %d was loaded %d times, and %d times as a shadow", version, len(live), len(shadows))
		}
	}
	polled := func(version int64) { // twice, or the poll would not list it
		t.Helper()
		put(t, dir, "double", version, scale(t, 2))
		eventually(t, func() bool { live, _ := runtime.loaded(version); return len(live) > 0 })
	}
	g.set(t, "shop", `{"model":"double","variants":[{"version":1,"weight":10000}],"shadows":[{"version":2,"sample":10000}]}`)
	polled(4)
	polled(5)
	loads(1, 1, 0)
	loads(2, 0, 1)
	if s := g.shadowOf(t, "shop"); s.State != "READY" {
		t.Errorf("%+v", s)
	}
	// If its folder changes, the shadow is loaded again.
	put(t, dir, "double", 2, scale(t, 3))
	eventually(t, func() bool { _, shadows := runtime.loaded(2); return len(shadows) == 2 && shadows[0].closed() })
	// If its folder goes, it continues to serve, since a route names it.
	if err := os.RemoveAll(filepath.Join(dir, "double", "2")); err != nil {
		t.Fatal(err)
	}
	polled(6)
	if _, shadows := runtime.loaded(2); len(shadows) != 2 || shadows[1].closed() {
		t.Errorf("%d loads", len(shadows))
	}
}

// TestRoutedModelsWhoseFolderGoes: versions that routes name continue to serve, and are
// unloaded with the last route that names them.
func TestRoutedModelsWhoseFolderGoes(t *testing.T) {
	f := func(control string, news func(g *gateway)) {
		t.Helper()
		dir, runtime := doubles(t, 2), &fakes{}
		g := startOn(t, runtime, dir, "repository.control: "+control, "repository.poll_interval: 100ms", "defaults: {"+fakeModels+"}")
		g.set(t, "shop", `{"model":"double","variants":[{"version":1,"weight":10000}],"fallback":2,"shadows":[{"version":2,"sample":10000}]}`)
		if err := os.RemoveAll(filepath.Join(dir, "double")); err != nil {
			t.Fatal(err)
		}
		put(t, dir, "other", 9, scale(t, 2))
		news(g)
		eventually(t, func() bool { live, _ := runtime.loaded(9); return len(live) > 0 })
		g.must(t, http.MethodGet, g.url+"/v2/models/shop/versions/2/ready", "")
		if err := g.ask("shop", 1); err != nil {
			t.Errorf("%s: %v", control, err)
		}
		if live, _ := runtime.loaded(1); len(live) != 1 || live[0].closed() {
			t.Errorf("%s: version 1 was loaded %d times", control, len(live))
		}
		// A rollback does not wait for the folder.
		g.set(t, "shop", `{"model":"double","variants":[{"version":1,"weight":4000},{"version":2,"role":"canary","weight":6000}]}`)
		if r := g.change(t, http.MethodPut, "shop", "*", `{"model":"double","variants":[{"version":3,"weight":10000}]}`); r.status != http.StatusBadRequest || !strings.Contains(r.body, "no version 3") {
			t.Errorf("%s: %d %s", control, r.status, r.body)
		}
		g.change(t, http.MethodDelete, "shop", "*", "").result(t)
		eventually(t, func() bool { live, _ := runtime.loaded(1); return live[0].closed() })
	}
	f("poll", func(*gateway) {})
	f("explicit", func(g *gateway) {
		g.must(t, http.MethodPost, g.admin+"/api/v1/models/other/load", "")
	})
}

// A poll warns of a misplaced version until it is in its place.
func TestPollWarnsOfWhatIsNotServed(t *testing.T) {
	dir := doubles(t, 1)
	g := startOn(t, &fakes{}, dir, "repository.control: poll", "repository.poll_interval: 100ms")
	warned := func() bool {
		return strings.Contains(g.must(t, http.MethodGet, g.admin+"/api/v1/status", ""), `"path":"other/v1/"`)
	}
	if warned() {
		t.Fatal("a warning about a version that does not exist")
	}
	put(t, dir, "other/v1", 1, scale(t, 2))
	eventually(t, warned)
	if err := os.Rename(filepath.Join(dir, "other", "v1", "1"), filepath.Join(dir, "other", "1")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "other", "v1")); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return !warned() })
}

// A load that is asked for ends the warnings about its model.
func TestLoadEndsWarnings(t *testing.T) {
	dir := doubles(t, 1)
	if err := os.MkdirAll(filepath.Join(dir, "other", "v1"), 0o755); err != nil {
		t.Fatal(err)
	}
	g := startOn(t, &fakes{}, dir, "repository.control: explicit")
	status := func() string { return g.must(t, http.MethodGet, g.admin+"/api/v1/status", "") }
	if text := status(); !strings.Contains(text, `"path":"other/v1/"`) {
		t.Fatalf("no warning: %s", text)
	}
	put(t, dir, "other", 1, scale(t, 2))
	g.must(t, http.MethodPost, g.admin+"/api/v1/models/other/load", "")
	if text := status(); strings.Contains(text, "repository_warnings") {
		t.Errorf("warnings after the load: %s", text)
	}
}
