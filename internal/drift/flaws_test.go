package drift_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"sluice.io/sluice/internal/drift"
)

// flawedRuns has flawed values in the first feature, in runs of some rows, such as requests.
func flawedRuns(rows int, share, flaw float64) func(*rand.Rand) sender {
	return func(rng *rand.Rand) sender {
		sent, bad := 0, false
		return func(row []float64) uint64 {
			if sent%rows == 0 {
				bad = rng.Float64() < share
			}
			sent++
			for i := range row {
				row[i] = rng.NormFloat64()
			}
			if bad {
				row[0] = flaw
			}
			return 0
		}
	}
}

// flawed is a stream with a reference that has independent rows with flawed values in this share.
func flawed(t *testing.T, seed uint64, share, flaw float64, rows int, s func(*rand.Rand) sender, o drift.Options) *stretch {
	t.Helper()
	rng := rand.New(rand.NewPCG(61, seed))
	b := newBuilder([]drift.Feature{
		{Name: "a", Kind: drift.KindInput, Tensor: "x", Element: 0, Datatype: "FP64"},
		{Name: "b", Kind: drift.KindInput, Tensor: "x", Element: 1, Datatype: "FP64"},
	}, drift.BuilderOptions{})
	row, next := make([]float64, 2), flawedRuns(1, share, flaw)(rng)
	for range 5000 {
		next(row)
		b.Add(row, []bool{false, false})
	}
	p := b.Profile(drift.Meta{Model: "m", Created: epoch})
	return &stretch{p: p, d: detector(t, p, o), rng: rng, rows: rows, by: func(int) float64 { return 0 }, s: s}
}

func badData(v *drift.Verdict) bool {
	for _, f := range v.Quality {
		if f.State == drift.Detected || f.State == drift.Recovering {
			return true
		}
	}
	return false
}

func flawOptions() drift.Options {
	o := everyWindow(200)
	o.Gates.Joint, o.Gates.Correlation = 0, 0
	return o
}

// Values that are missing or infinite in all rows of a request raise no more alarms than allowed, from the first window on.
func TestFlawsInRuns(t *testing.T) {
	const streams, windows = 10, 40
	f := func(name string, flaw float64, run, rows int, clustered bool) (alarms int) {
		t.Helper()
		o := flawOptions()
		o.Clustered = clustered
		for seed := range uint64(streams) {
			x, was := flawed(t, seed, 0.05, flaw, rows, flawedRuns(run, 0.05, flaw), o), false
			for range windows {
				v := x.judge()
				if is := badData(&v); is != was {
					was = is
					alarms++
				}
			}
		}
		t.Logf("%s in runs of %d, windows of %d, clustered %v: %d changes of the alarm", name, run, rows, clustered, alarms)
		return alarms
	}
	for _, run := range []int{1, 2, 16, 50} {
		for _, rows := range []int{200, 1000} {
			for name, flaw := range map[string]float64{"missing": math.NaN(), "infinite": math.Inf(1)} {
				const allowed = 2 * streams * windows / 200 // an alarm begins and ends
				if got := f(name, flaw, run, rows, true); got > allowed {
					t.Errorf("%s in runs of %d, windows of %d: %d, allowed %d", name, run, rows, got, allowed)
				}
			}
		}
	}
	if f("missing", math.NaN(), 16, 1000, false) < 50 {
		t.Error("the design effect of the bins is enough; this test shows nothing")
	}
}

// What is flawed evenly is found as soon as without a design effect of its own, but for the first windows.
func TestFlawsAreFound(t *testing.T) {
	f := func(before, after float64, rows, most int) {
		t.Helper()
		const clean = 10
		for seed := range uint64(8) {
			o := flawOptions()
			x := flawed(t, seed, before, math.NaN(), rows, nil, o)
			quiet, bad := flawedRuns(1, before, math.NaN())(x.rng), flawedRuns(1, after, math.NaN())(x.rng)
			x.of = func(row []float64) uint64 {
				if x.k < clean {
					return quiet(row)
				}
				return bad(row)
			}
			for x.k < clean+most {
				if v := x.judge(); badData(&v) {
					break
				}
			}
			if v := x.d.State(); v != drift.Detected || x.k <= clean {
				t.Errorf("%.3g to %.3g, windows of %d: %s after %d windows", before, after, rows, v, x.k-clean)
			}
		}
	}
	f(0.001, 0.1, 200, 6)
	f(0, 0.1, 1000, 2)
	f(0.001, 0.5, 200, 1)
	f(0.05, 0.1, 1000, 5)
	f(0.05, 0.3, 200, 2)
}

// One client whose rows all lack a value is no flood of missing values: its rows are in one half or the other.
func TestMissingValuesOfOneClient(t *testing.T) {
	o := flawOptions()
	client := func(rng *rand.Rand) sender {
		return func(row []float64) uint64 {
			for i := range row {
				row[i] = rng.NormFloat64()
			}
			if rng.Float64() < 0.08 { // the gate allows 6 %
				row[0] = math.NaN()
				return 1
			}
			return 2 + rng.Uint64N(1e6)
		}
	}
	x := flawed(t, 1, 0.05, math.NaN(), 1000, client, o)
	for range 50 {
		if v := x.judge(); badData(&v) {
			t.Fatalf("window %d: %+v", x.k, v.Quality)
		}
	}
}
