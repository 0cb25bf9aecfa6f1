package drift_test

import (
	"math/rand/v2"
	"testing"

	"sluice.io/sluice/internal/drift"
)

// delays returns the number of windows after which a change of the first of ten features is
// detected: the median and the max of the given runs; limit if it is not detected. Clean windows come
// first.
func delays(t *testing.T, seed uint64, reference, rows, runs, limit int, change func(rng *rand.Rand, x float64) float64) (median, worst int) {
	t.Helper()
	hist := make([]int, limit+1)
	for run := range runs {
		rng := rand.New(rand.NewPCG(seed, uint64(run)))
		p := profile(10, reference, normal(rng))
		d := detector(t, p, drift.CompleteOptions())
		n := limit
		const clean = 16 // windows before the change
		for k := range clean {
			d.Judge(window(p, k-clean, rows, func(int) source { return normal(rng) }))
		}
		for k := range limit {
			v := d.Judge(window(p, k, rows, func(i int) source {
				if i > 0 {
					return normal(rng)
				}
				return func() float64 { return change(rng, rng.NormFloat64()) }
			}))
			if v.State == drift.Detected {
				if v.Features[0].Feature != "aa" {
					t.Errorf("run %d: detected %s instead of the feature that changed", run, v.Features[0].Feature)
				}
				n = k + 1
				break
			}
		}
		hist[n]++
	}
	seen := 0
	for n, k := range hist {
		if k > 0 {
			worst = n
		}
		if seen < (runs+1)/2 && seen+k >= (runs+1)/2 {
			median = n
		}
		seen += k
	}
	return median, worst
}

// The delays in the documentation, with bounds that leave room for chance. A small reference is the
// limit: it is as uncertain as a window.
func TestDelay(t *testing.T) {
	f := func(name string, reference, rows, most int, change func(rng *rand.Rand, x float64) float64) {
		t.Helper()
		const limit = 30
		median, worst := delays(t, 1, reference, rows, 9, limit, change)
		t.Logf("%s, reference %d, windows of %d: median %d rows, worst %d", name, reference, rows, median*rows, worst*rows)
		if median > most {
			t.Errorf("%s, reference %d, windows of %d: detected after %d windows, want %d at most", name, reference, rows, median, most)
		}
		if most > limit && median < limit {
			t.Errorf("%s: detected after %d windows", name, median)
		}
	}
	by := func(d float64) func(*rand.Rand, float64) float64 {
		return func(_ *rand.Rand, x float64) float64 { return x + d }
	}
	wider := func(_ *rand.Rand, x float64) float64 { return 1.3 * x }
	stuck := func(share float64) func(*rand.Rand, float64) float64 {
		return func(rng *rand.Rand, x float64) float64 {
			if rng.Float64() < share {
				return 0.3
			}
			return x
		}
	}
	const never = 31
	f("mean +0.1", 5000, 1000, never, by(0.1))
	f("mean +0.25", 5000, 1000, 8, by(0.25))
	f("mean +0.5", 5000, 1000, 1, by(0.5))
	f("mean +1", 5000, 1000, 1, by(1))
	f("sd x1.3", 5000, 1000, 2, wider)
	f("10 % stuck", 5000, 1000, 1, stuck(0.1))
	f("mean +0.1", 500, 1000, never, by(0.1))
	f("mean +0.5", 500, 1000, 2, by(0.5))
	f("mean +1", 500, 1000, 1, by(1))
	f("stuck", 500, 1000, 1, stuck(1))
	f("mean +0.5", 500, 200, 8, by(0.5))
	f("mean +1", 500, 200, 1, by(1))
}
