package confseq_test

import (
	"flag"
	"math"
	"math/rand/v2"
	"testing"

	"sluice.io/sluice/internal/confseq"
)

// runs is how many sequences the tests of coverage draw. The default keeps the test short.
var runs = flag.Int("runs", 40, "sequences in the tests of coverage")

const alpha = 0.05

// TestCoverage looks at intervals after each value of a sequence. At most a share alpha of the
// sequences may have an interval that misses the mean, at any look.
func TestCoverage(t *testing.T) {
	binary := func(p float64) (float64, func(*rand.Rand) float64) {
		return p, func(r *rand.Rand) float64 {
			if r.Float64() < p {
				return 1
			}
			return 0
		}
	}
	f := func(name string, mean float64, draw func(*rand.Rand) float64, interval func(n, sum, squares float64) (confseq.Interval, bool)) {
		t.Helper()
		missed, widths := 0, 0.0
		const length = 2000
		for run := range *runs {
			rng := rand.New(rand.NewPCG(1, uint64(run)))
			var n, sum, squares float64
			miss, looked := false, 0.0
			var last confseq.Interval
			for range length {
				x := draw(rng)
				n, sum, squares = n+1, sum+x, squares+x*x
				if n > looked*1.1 {
					looked = n // the next look is at a tenth more values, to save time
				} else {
					continue
				}
				i, ok := interval(n, sum, squares)
				if last = i; ok && (mean < i.Low || mean > i.High) {
					miss = true
					break
				}
			}
			widths += last.High - last.Low
			if miss {
				missed++
			}
		}
		share := float64(missed) / float64(*runs)
		most := alpha + 3*math.Sqrt(alpha*(1-alpha)/float64(*runs)) // what chance allows if the true share is alpha
		t.Logf("%s: %.1f %% of %d sequences miss at some look; the last interval is %.4f wide", name, 100*share, *runs, widths/float64(*runs))
		if share > most {
			t.Errorf("%s: a share of %.3f misses, at most %.3f are allowed", name, share, most)
		}
	}
	exactly := func(n, sum, _ float64) (confseq.Interval, bool) { return confseq.MeanBinary(n, sum, alpha), true }
	bounded := func(n, sum, squares float64) (confseq.Interval, bool) {
		return confseq.MeanBounded(n, sum, squares, alpha), true
	}
	unbounded := func(n, sum, squares float64) (confseq.Interval, bool) {
		return confseq.MeanUnbounded(n, sum, squares, alpha)
	}
	for _, p := range []float64{0.5, 0.9, 0.01} {
		mean, draw := binary(p)
		f("binary", mean, draw, exactly)
		f("binary as bounded", mean, draw, bounded)
	}
	f("uniform", 0.5, func(r *rand.Rand) float64 { return r.Float64() }, bounded)
	f("brier", 1.0/3, func(r *rand.Rand) float64 { x := r.Float64(); return x * x }, bounded)
	f("small", 0.01, func(r *rand.Rand) float64 { return 0.02 * r.Float64() }, bounded)
	f("normal", 0, func(r *rand.Rand) float64 { return r.NormFloat64() }, unbounded)
	f("exponential", 1, func(r *rand.Rand) float64 { return r.ExpFloat64() }, unbounded)
	f("squares", 1, func(r *rand.Rand) float64 { x := r.NormFloat64(); return x * x }, unbounded)
}

func TestIntervals(t *testing.T) {
	f := func(got confseq.Interval, mean, widest float64) {
		t.Helper()
		if !(0 <= got.Low && got.Low <= mean && mean <= got.High && got.High <= 1 && got.High-got.Low <= widest) {
			t.Errorf("%+v around %v, at most %v wide", got, mean, widest)
		}
	}
	f(confseq.MeanBinary(0, 0, alpha), 0.5, 1)
	f(confseq.MeanBinary(1, 1, alpha), 1, 1)
	f(confseq.MeanBinary(100, 100, alpha), 1, 0.08)
	f(confseq.MeanBinary(100, 0, alpha), 0, 0.08)
	f(confseq.MeanBinary(1000, 500, alpha), 0.5, 0.12)
	f(confseq.MeanBinary(1e9, 5e8, alpha), 0.5, 0.0003)
	f(confseq.MeanBounded(0, 0, 0, alpha), 0.5, 1)
	f(confseq.MeanBounded(1, 0.3, 0.09, alpha), 0.3, 1)
	f(confseq.MeanBounded(1000, 100, 10, alpha), 0.1, 0.03) // no variance
	f(confseq.MeanBounded(1000, 500, 500, alpha), 0.5, 0.16)
	f(confseq.MeanBounded(1000, 0, 0, alpha), 0, 0.02)
	f(confseq.MeanBounded(1000, 1000, 1000, alpha), 1, 0.02)
	if _, ok := confseq.MeanUnbounded(10, 10, 10, alpha); ok {
		t.Error("an asymptotic interval for 10 values")
	}
}

// TestEvidenceGrowsOutwards checks that no mean outside of an interval has less evidence against
// it than its end: otherwise the means within the limit would be no interval.
func TestEvidenceGrowsOutwards(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		n := float64(1 + rng.IntN(2000))
		mean := rng.Float64()
		squares := n * (mean*mean + rng.Float64()*mean*(1-mean)) // any variance that values in [0, 1] can have
		wide := confseq.MeanBounded(n, n*mean, squares, 0.01)
		narrow := confseq.MeanBounded(n, n*mean, squares, 0.1)
		if wide.Low > narrow.Low || wide.High < narrow.High {
			t.Errorf("n %v, mean %v: %+v is not in %+v", n, mean, narrow, wide)
		}
	}
}
