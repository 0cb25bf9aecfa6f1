package app

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/routes"
)

// openIn opens the journal of an App that has nothing else.
func openIn(t testing.TB, dir string, change func(c *config.Journal)) (*App, *journal.Cutter) {
	t.Helper()
	l, err := journal.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	if change != nil {
		change(&cfg.Journal)
	}
	a := &App{log: zap.NewNop(), journal: l}
	return a, a.newCutter(cfg)
}

// TestOldJournal folds the journal that revision 0934447 wrote: it has the routes and the
// signals that the gateway of then said it had, before and after it is cut.
func TestOldJournal(t *testing.T) {
	z, err := gzip.NewReader(bytes.NewReader(fixture(t, "journal-0934447.db.gz")))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "journal.db"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	type answers struct {
		Routes  []api.Route          `json:"routes"`
		Retrain []api.RetrainRequest `json:"retrain"`
	}
	var want answers
	if err := json.Unmarshal(fixture(t, "journal-0934447.json"), &want); err != nil {
		t.Fatal(err)
	}
	want.Routes = want.Routes[1:] // without that of a model, which the journal does not know
	var before folds
	for round := range 3 {
		a, cutter := openIn(t, dir, nil)
		f := newFolds()
		if err := a.journal.Restore(f.list(zap.NewNop())); err != nil {
			t.Fatal(err)
		}
		set, err := f.routes.Set()
		if err != nil {
			t.Fatal(err)
		}
		got := answers{Retrain: f.signals.All()}
		for _, r := range set.All() {
			got.Routes = append(got.Routes, r.Route)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("round %d: %s", round, diff)
		}
		if f.run.Last != 19 || len(got.Retrain) != 1 {
			t.Errorf("round %d: %+v", round, f.run)
		}
		if round > 0 {
			if diff := cmp.Diff(before, f, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
				t.Errorf("round %d: the snapshots are other folds: %s", round, diff)
			}
		}
		before = f
		if err := cutter.Cut(); err != nil {
			t.Fatal(err)
		}
		if report, err := a.journal.Verify(); err != nil || report.Problem != "" || report.Segments != 1 {
			t.Errorf("round %d: %+v, %v", round, report, err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func fixture(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "journal", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// BenchmarkStart is what a start has to do with a journal of 1,000,000 events of all
// kinds, of which the most are archived. It writes them first, which takes minutes.
func BenchmarkStart(b *testing.B) {
	const events = 1_000_000
	dir := b.TempDir()
	a, cutter := openIn(b, dir, nil)
	w := &writer{routes: routes.NewSet()}
	var cuts time.Duration
	n := 0
	for batch := []api.Event(nil); n < events; n++ {
		if batch = append(batch, w.event(b, n)); len(batch) < 1_000 {
			continue
		}
		if _, err := a.journal.AppendAll(journal.Any, batch); err != nil {
			b.Fatal(err)
		}
		if batch = nil; (n+1)%50_000 != 0 || n+1 == events { // the last 50,000 stay, which is the most that may
			continue
		}
		began := time.Now()
		if err := cutter.Cut(); err != nil {
			b.Fatal(err)
		}
		cuts += time.Since(began)
	}
	_, bytes := a.journal.Size()
	if err := a.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		a, _ := openIn(b, dir, nil)
		f := newFolds()
		if err := a.journal.Restore(f.list(zap.NewNop())); err != nil {
			b.Fatal(err)
		}
		if _, err := f.routes.Set(); err != nil || f.run.Last != events {
			b.Fatalf("%+v, %v", f.run, err)
		}
		if err := a.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(bytes)/(1<<20), "MiB")
	b.ReportMetric(cuts.Seconds()/19, "s/cut")
}

// writer makes events such as a busy gateway writes.
type writer struct{ routes *routes.Set }

func (w *writer) event(b *testing.B, n int) api.Event {
	b.Helper()
	at := time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC)
	e := api.Event{Time: at, Origin: api.OriginGateway}
	var after any
	switch {
	case n%5_000 == 0:
		e.Type, e.Subject, after = api.EventGatewayStarted, api.SubjectGateway, api.GatewayStart{Version: "1"}
	case n%10 == 1:
		return w.route(b, n, at)
	case n%100 == 2:
		e.Type, e.Subject = api.EventDriftState, "drift"
		after = api.DriftEvidence{
			Model: fmt.Sprintf("model-%d", n%50), Version: 1, Role: "stable", State: drift.Detected, ProfileDigest: "sha256:1",
			Window: json.RawMessage(`{}`), Before: json.RawMessage(`{}`), After: json.RawMessage(`{"findings":[]}`),
		}
	default:
		model := fmt.Sprintf("model-%d", n%1_000)
		e.Type, e.Subject = api.EventVersionReplaced, "models/"+model+"/1"
		after = api.VersionChange{
			Model: model, Version: 1, Role: api.RoleLive, Digest: fmt.Sprintf("sha256:%064d", n), Was: fmt.Sprintf("sha256:%064d", n-1),
			LoadedAt: &at, Cause: api.CausePoll,
		}
	}
	text, err := json.Marshal(after)
	if err != nil {
		b.Fatal(err)
	}
	e.After = text
	return e
}

// route moves the canary of one of 20 routes.
func (w *writer) route(b *testing.B, n int, at time.Time) api.Event {
	b.Helper()
	weight := n / 200 % 20 * 500
	next := api.Route{Name: fmt.Sprintf("route-%d", n/10%20), Model: "model-1", Variants: []api.Variant{
		{Version: 1, Weight: api.TotalWeight - weight, Role: api.RoleStable}, {Version: 2, Weight: weight, Role: api.RoleCanary},
	}}
	after, err := w.routes.Put(next)
	if err != nil {
		b.Fatal(err)
	}
	var before *api.RouteState
	if now, ok := w.routes.Get(next.Name); ok {
		before = &now
	}
	e, err := routes.SetEvent(api.OriginAPI, before, after)
	if err != nil {
		b.Fatal(err)
	}
	if err := w.routes.Apply(e); err != nil {
		b.Fatal(err)
	}
	e.Time = at
	return e
}
