//go:build unix

package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/testing/fulldisk"
)

func TestFullDisk(t *testing.T) {
	if !fulldisk.Alone(t) {
		return
	}
	dir, data := triple(t), t.TempDir()
	g := start(t, dir, dataIn(data))
	g.set(t, "double", split(1, 2, 500))
	for range 2 {
		fullDisk(t, g, dir, data)
	}
	routes, events := g.must(t, http.MethodGet, g.admin+"/api/v1/routes", ""), g.journal(t, 0)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	g = start(t, dir, dataIn(data))
	if diff := cmp.Diff(routes, g.must(t, http.MethodGet, g.admin+"/api/v1/routes", "")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(events, g.journal(t, 0)); diff != "" {
		t.Error(diff)
	}
}

// fullDisk makes changes until the journal cannot grow, checks what still works, and makes room
// again.
func fullDisk(t *testing.T, g *gateway, dir, data string) {
	t.Helper()
	journal, err := os.Stat(filepath.Join(data, "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	refused := func(change func() reply) {
		t.Helper()
		was, routes, events := g.route(t, "double"), g.must(t, http.MethodGet, g.admin+"/api/v1/routes", ""), g.journal(t, 0)
		if r := change(); r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "the journal cannot be written") {
			t.Errorf("%d %s", r.status, r.body)
		}
		if diff := cmp.Diff(routes, g.must(t, http.MethodGet, g.admin+"/api/v1/routes", "")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(events, g.journal(t, 0)); diff != "" {
			t.Error(diff)
		}
		if a := g.predict(t, "double"); a.route != fmt.Sprintf("double@%d", was.Revision) {
			t.Errorf("%+v", a)
		}
		g.must(t, http.MethodGet, g.admin+"/-/ready", "")
	}
	put := func(body string) func() reply {
		return func() reply { return g.change(t, http.MethodPut, "double", "*", body) }
	}
	var many strings.Builder
	for i := range 50 {
		many.WriteString(fileRoute(fmt.Sprintf("route-%d", i), 5))
	}
	reload := func() reply {
		r, err := g.send(t.Context(), http.MethodPost, g.admin+"/-/reload", "")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	g.configure(t, dir, dataIn(data), "routes:\n"+many.String())
	fulldisk.Limited(t, journal.Size(), func() {
		i := fill(t, func(i int) reply { return put(split(1, 2, i))() })
		refused(put(split(1, 2, i)))
		refused(put(split(2, 3, 500))) // another version is loaded in vain, and unloaded
		refused(reload)                // a file with many routes is applied as a whole or not at all
	})
	put(split(1, 2, 700))().result(t)
	if r := reload(); r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.body)
	}
	g.configure(t, dir, dataIn(data))
	if r := reload(); r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// fill makes changes until the journal has no room, and returns their number. Pages that a reader held are free when it has ended,
// so one refusal does not say that the journal is full.
func fill(t *testing.T, change func(i int) reply) int {
	t.Helper()
	i := 0
	for refusals := 0; refusals < 10; i++ {
		switch r := change(i); {
		case r.status == http.StatusServiceUnavailable:
			refusals++
		case r.status != http.StatusOK || i > 3000:
			t.Fatalf("after %d changes: %d %s", i, r.status, r.body)
		default:
			refusals = 0
		}
	}
	return i
}

// An abort acts while the disk is full, and the next start knows of it though it is not in the journal.
func TestAbortOnAFullDisk(t *testing.T) {
	if !fulldisk.Alone(t) {
		return
	}
	data, repository := t.TempDir(), doubles(t, 2)
	yaml := []string{"data_dir: " + data, `routes: {double: {variants: [{version: 1, weight: 100%}]}}`, "models: {double: {" + fakeModels + "}}"}
	g := startOn(t, &fakes{}, repository, yaml...)
	g.must(t, http.MethodPost, g.admin+"/api/v1/rollouts", `{"route": "double", "version": 2, "steps": [{"weight": 2000, "for": "1h"}]}`)
	eventually(t, func() bool { return g.rollout(t).State == api.RolloutCanary && len(g.route(t, "double").Variants) == 3 })
	// The file of aborted rollouts can be written, but not even pages of the journal that are free again.
	fulldisk.Limited(t, 4096, func() {
		if r := g.change(t, http.MethodPut, "other", "*", `{"model": "double", "variants": [{"version": 1, "weight": 10000}]}`); r.status != http.StatusServiceUnavailable {
			t.Errorf("%d %s", r.status, r.body)
		}
		if body := g.must(t, http.MethodPost, g.admin+"/api/v1/rollouts/double/abort", ""); !strings.Contains(body, `"durable":false`) {
			t.Errorf("%s", body)
		}
		if err := g.stop(); err != nil {
			t.Log(err) // the end is not in the journal
		}
	})
	g = startOn(t, &fakes{}, repository, yaml...)
	eventually(t, func() bool { r := g.rollout(t); return r.State == api.RolloutPaused && r.Halted && r.Durable })
	for range 200 {
		if a := g.predict(t, "double"); a.version == "2" {
			t.Fatalf("%+v", a)
		}
	}
	g.must(t, http.MethodPost, g.admin+"/api/v1/rollouts/double/abort", "")
	eventually(t, func() bool { return g.rollout(t).State == api.RolloutRolledBack })
}
