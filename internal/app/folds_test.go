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
	"sluice.io/sluice/internal/trail"
)

// openIn opens the journal of an App without other parts.
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

// oldJournal returns a data directory with the journal that revision 0934447 wrote.
func oldJournal(t *testing.T) (dir string) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(fixture(t, "journal-0934447.db.gz")))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "journal.db"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestOldJournal folds the journal that revision 0934447 wrote: it has the routes and the
// signals that the gateway had then, before and after a cut.
func TestOldJournal(t *testing.T) {
	dir := oldJournal(t)
	type answers struct {
		Routes  []api.Route  `json:"routes"`
		Retrain []api.Signal `json:"retrain"`
	}
	var want answers
	if err := json.Unmarshal(fixture(t, "journal-0934447.json"), &want); err != nil {
		t.Fatal(err)
	}
	want.Routes = want.Routes[1:] // without the implied one of a model, which the journal does not have
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
		if err := cutter.Cut(t.Context()); err != nil {
			t.Fatal(err)
		}
		if report, err := a.journal.Verify(t.Context()); err != nil || report.Problem != "" || report.Segments != 1 {
			t.Errorf("round %d: %+v, %v", round, report, err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// forgetful is a fold whose snapshot has no routes.
type forgetful struct{ *routes.Fold }

func (forgetful) Apply(api.Event) error { return nil }

// TestRebuild: if a snapshot of routes does not match the events after it, the routes are made
// from all events, and so is the next snapshot.
func TestRebuild(t *testing.T) {
	dir := oldJournal(t)
	a, _ := openIn(t, dir, nil)
	defer a.Close() //nolint:errcheck // only read
	resume := func(restore func([]journal.NamedFold) error) ([]api.RouteState, error) {
		set, err := newFolds().resume(restore, zap.NewNop())
		if err != nil {
			return nil, err
		}
		return set.All(), nil
	}
	want, err := resume(a.journal.Restore)
	if err != nil || len(want) == 0 {
		t.Fatalf("%d routes, %v", len(want), err)
	}
	cutter := journal.NewCutter(a.journal, journal.CutterOptions{
		Events: 10, Bytes: 1 << 20, Logger: zap.NewNop(),
		Folds: func() []journal.NamedFold {
			return []journal.NamedFold{{Name: "routes", Version: 1, Fold: forgetful{routes.NewFold()}}}
		},
	})
	if err := cutter.Cut(t.Context()); err != nil {
		t.Fatal(err)
	}
	if routes, err := resume(a.journal.Restore); err == nil {
		t.Fatalf("the snapshot fits: %d routes", len(routes))
	}
	for _, restore := range []func([]journal.NamedFold) error{a.journal.Rebuild, a.journal.Restore} {
		got, err := resume(restore)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
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

// BenchmarkMillion is what a start does with a journal of 1,000,000 events of all kinds, most
// of them archived, and how long it takes to read all of it. It first writes them, which takes
// half a minute.
func BenchmarkMillion(b *testing.B) {
	dir := b.TempDir()
	writeMillion(b, dir)
	b.Run("start", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			a, _ := openIn(b, dir, nil)
			f := newFolds()
			if err := a.journal.Restore(f.list(zap.NewNop())); err != nil {
				b.Fatal(err)
			}
			if _, err := f.routes.Set(); err != nil || f.run.Last != million {
				b.Fatalf("%+v, %v", f.run, err)
			}
			if err := a.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	a, _ := openIn(b, dir, nil)
	defer a.Close() //nolint:errcheck // only read
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if report, err := a.journal.Verify(b.Context()); err != nil || report.Problem != "" || report.Segments != 19 {
				b.Fatalf("%+v, %v", report, err)
			}
		}
	})
	for name, seconds := range map[string]int{"at the end": million - 10, "at the beginning": 10_000} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := trail.At(trailLog{a.journal}, "route-3", begun.Add(time.Duration(seconds)*time.Second), time.Now()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

const million = 1_000_000

// writeMillion writes the journal of BenchmarkMillion.
func writeMillion(b *testing.B, dir string) {
	b.Helper()
	a, cutter := openIn(b, dir, nil)
	w := &writer{routes: routes.NewSet()}
	var cuts time.Duration
	n := 0
	for batch := []api.Event(nil); n < million; n++ {
		if batch = append(batch, w.event(b, n)); len(batch) < 1_000 {
			continue
		}
		if _, err := a.journal.AppendAll(journal.Any, batch); err != nil {
			b.Fatal(err)
		}
		if batch = nil; (n+1)%50_000 != 0 || n+1 == million { // the last 50,000 stay, the most that may
			continue
		}
		began := time.Now()
		if err := cutter.Cut(b.Context()); err != nil {
			b.Fatal(err)
		}
		cuts += time.Since(began)
	}
	_, bytes := a.journal.Size()
	if err := a.Close(); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d MiB; a cut takes %v", bytes>>20, cuts/19)
}

// begun is the time of the first event.
var begun = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// writer makes events like those of a busy gateway.
type writer struct{ routes *routes.Set }

func (w *writer) event(b *testing.B, n int) api.Event {
	b.Helper()
	at := begun.Add(time.Duration(n) * time.Second)
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
