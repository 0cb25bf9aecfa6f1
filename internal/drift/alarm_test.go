package drift_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"sluice.io/sluice/internal/drift"
)

// alarms counts the new detections in clean windows of ten features, over several references.
func alarms(t *testing.T, references, windows, m, n int, o drift.Options, s func(*rand.Rand) source) (bins, quality int) {
	t.Helper()
	for seed := range references {
		rng := rand.New(rand.NewPCG(7, uint64(seed)))
		p := profile(10, m, s(rng))
		d := detector(t, p, o)
		sources := make([]source, len(p.Features))
		for i := range sources {
			sources[i] = s(rng)
		}
		before := map[string]bool{}
		count := func(findings []drift.Finding) (n int) {
			for _, f := range findings {
				key := f.Statistic + f.Feature
				is := f.State == drift.Detected || f.State == drift.Recovering
				if is && !before[key] {
					n++
				}
				before[key] = is
			}
			return n
		}
		for k := range windows {
			v := d.Judge(window(p, k, n, func(i int) source { return sources[i] }))
			bins += count(v.Features)
			quality += count(v.Quality)
		}
	}
	return bins, quality
}

// The limit is an expectation of one alarm in T; T is short here, so that there are alarms to
// count. Without a tolerance, only the distribution of the statistic keeps the limit.
func TestFalseAlarmsOnCleanWindows(t *testing.T) {
	f := func(name string, references, windows, m, n int, o drift.Options, s func(*rand.Rand) source) {
		t.Helper()
		o.FalseAlarmWindows = 200
		promised := float64(references*windows) / o.FalseAlarmWindows
		bins, quality := alarms(t, references, windows, m, n, o, s)
		t.Logf("%s, windows of %d, reference %d: promised at most %v alarms in %d windows, measured %d of bins and %d of quality",
			name, n, m, promised, references*windows, bins, quality)
		if got := float64(bins + quality); got > promised+4*math.Sqrt(promised) {
			t.Errorf("%v alarms", got)
		}
	}
	none := drift.CompleteOptions()
	none.Tolerance, none.QualityTolerance, none.RangeTolerance = 1e-12, 1e-12, 1e-12
	none.Gates = drift.Gates{Mean: 1e-12, Spread: 1e-12, ShareRatio: 1, ShareGain: 1e-12, New: 1e-12}
	rare := func(rng *rand.Rand) source { // many values are 0
		return func() float64 {
			if rng.Float64() < 0.9 {
				return 0
			}
			return math.Floor(6 * rng.Float64() * rng.Float64())
		}
	}
	f("normal, no tolerance", 15, 100, 500, 100, none, normal)
	f("normal, no tolerance", 5, 100, 1000, 500, none, normal)
	f("rare values, no tolerance", 15, 100, 500, 100, none, rare)
	f("1 % of a value, no tolerance", 10, 100, 2000, 200, none, share(0.01))
	f("heavy tails, no tolerance", 5, 100, 1000, 200, none, func(rng *rand.Rand) source {
		return func() float64 { return math.Exp(2 * rng.NormFloat64()) }
	})
	f("1 % of a value", 10, 100, 2000, 200, drift.CompleteOptions(), share(0.01))
	f("normal", 10, 100, 500, 100, drift.CompleteOptions(), normal)
	f("normal", 5, 100, 2000, 300, drift.CompleteOptions(), normal)
}

// TestFalseAlarmsOnJoinedWindows: joining windows with too few rows keeps the limit. The end of
// such a window depends on the traffic, which has a fifth of the rows that a window needs.
func TestFalseAlarmsOnJoinedWindows(t *testing.T) {
	const references, windows, allowed = 12, 500, 20 // the limit: one alarm in this many windows
	windowing := drift.Windowing{Length: 5 * time.Minute, MinRows: 50, Max: 24 * time.Hour}
	o := drift.CompleteOptions()
	o.Tolerance, o.QualityTolerance, o.RangeTolerance = 1e-12, 1e-12, 1e-12
	o.Gates = drift.Gates{Mean: 1e-12, Spread: 1e-12, ShareRatio: 1, ShareGain: 1e-12, New: 1e-12}
	o.Window, o.FalseAlarmEvery, o.MinRows = windowing.Length, allowed*windowing.Length, windowing.MinRows
	judged, found := 0, 0
	for seed := range references {
		rng := rand.New(rand.NewPCG(8, uint64(seed)))
		p := profile(10, 500, normal(rng))
		stream := func(yield func(drift.Row) bool) {
			r := drift.Row{Values: make([]float64, 10), Missing: make([]bool, 10)}
			for at := epoch; at.Before(epoch.Add(windows * windowing.Length)); at = at.Add(time.Duration(rng.ExpFloat64() * float64(windowing.Length) / 10)) {
				for i := range r.Values {
					r.Values[i] = rng.NormFloat64()
				}
				if r.At = at; !yield(r) {
					return
				}
			}
		}
		before := map[string]bool{}
		for v := range drift.Simulate(p, detector(t, p, o), stream, drift.SimulateOptions{Windows: windowing}) {
			if v.Reason == "" {
				judged++
			}
			for _, f := range append(v.Features, v.Quality...) {
				key, is := f.Statistic+f.Feature, f.State == drift.Detected || f.State == drift.Recovering
				if is && !before[key] {
					found++
				}
				before[key] = is
			}
		}
	}
	promised := float64(judged) / allowed // less than for all windows
	t.Logf("promised at most %v alarms in %d windows, and %v in the %d that were judged; measured %d",
		references*windows/allowed, references*windows, promised, judged, found)
	if float64(found) > promised+4*math.Sqrt(promised) {
		t.Errorf("%d alarms", found)
	}
	if judged < references*windows/10 || judged > references*windows/4 {
		t.Errorf("%d of %d windows were judged; about a sixth has rows enough", judged, references*windows)
	}
}
