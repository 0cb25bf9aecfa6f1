package driftwatch

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
)

// normalProfile is the profile of an input with normal values.
func normalProfile(rng *rand.Rand, name string, mean float64) *drift.Profile {
	b := drift.NewBuilder([]drift.Feature{{Name: name, Kind: drift.KindInput, Tensor: "x"}},
		drift.BuilderOptions{MaxSampleBytes: 1 << 20, MaxSampleRows: 10_000})
	for range 2000 {
		b.Add([]float64{mean + rng.NormFloat64()}, []bool{false})
	}
	return b.Profile(drift.Meta{Model: "iris"})
}

func calibrating() drift.Options {
	return drift.Options{
		Gates:     drift.Gates{Mean: 0.1, Spread: 0.1, ShareRatio: 1.5, ShareGain: 0.002, New: 0.005},
		Tolerance: 0.02, QualityTolerance: 0.01, RangeTolerance: 0.005, FalseAlarmWindows: 720, Streams: 1, MinRows: 50, Recover: 3,
		Calibration: drift.Calibration{Windows: 20, Gross: 4},
	}
}

// runShortly runs a watcher that is stopped at once, which writes what it has learned.
func runShortly(t *testing.T, w *Watcher) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestLearnedSurvivesAndIsInherited: what a stream has learned survives a restart, and a new version starts
// with it if its profile is comparable.
func TestLearnedSurvivesAndIsInherited(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	p := normalProfile(rng, "width", 0)
	d, err := drift.NewDetector(p, calibrating())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "calibration")
	first := New(journal.Memory(), zap.NewNop())
	if err := first.Remember(dir); err != nil {
		t.Fatal(err)
	}
	one := drift.Stream{Version: infer.Version{Model: "iris", Number: 1}, Role: api.RoleStable}
	for k := range 25 {
		w := p.NewWindow(time.Date(2026, 5, 4, 12, k, 0, 0, time.UTC))
		w.End, w.Rows = w.Start.Add(time.Minute), 200
		for range w.Rows {
			w.Counts[0].AddIn(&p.Features[0], rng.NormFloat64(), drift.Halves{})
		}
		c := drift.Closed{Stream: one, Profile: p, Window: w, Before: d.Snapshot(), Verdict: d.Judge(w)}
		c.After = d.Snapshot()
		first.learn(&c, "sha256:1")
	}
	runShortly(t, first)

	if err := os.WriteFile(filepath.Join(dir, "torn.json"), []byte(`{"model":"ir`), 0o600); err != nil {
		t.Fatal(err)
	}
	second := New(journal.Memory(), zap.NewNop())
	if err := second.Remember(dir); err != nil {
		t.Fatal(err)
	}
	f := func(s drift.Stream, digest string, p *drift.Profile, want string) {
		t.Helper()
		var state drift.Snapshot
		second.recall(s, &watch{Watch: Watch{Reference: &Reference{digest: digest}}, profile: p}, &state, time.Time{})
		d, err := drift.Restore(p, calibrating(), state)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Calibration().Text; got != want {
			t.Errorf("%v: %q, want %q", s, got, want)
		}
	}
	f(one, "sha256:1", p, "calibrated on 20 windows")
	two := drift.Stream{Version: infer.Version{Model: "iris", Number: 2}, Role: "canary"}
	f(two, "sha256:2", normalProfile(rng, "width", 0.1), "calibrated on 20 windows of version 1")
	f(one, "sha256:2", normalProfile(rng, "width", 0.1), "calibrated on 20 windows of version 1")
	const nothing = "learning: 0 of 20 windows; no promise yet, but for gross changes"
	f(two, "sha256:2", normalProfile(rng, "width", 1), nothing)
	f(two, "sha256:2", normalProfile(rng, "length", 0), nothing)
	f(drift.Stream{Version: infer.Version{Model: "wine", Number: 1}, Role: "stable"}, "sha256:1", p, nothing)

	second.Forget(func(infer.Version) bool { return false })
	runShortly(t, second)
	if left, err := filepath.Glob(filepath.Join(dir, "*.json")); err != nil || len(left) != 1 || filepath.Base(left[0]) != "torn.json" {
		t.Errorf("left: %v, %v", left, err)
	}
}
