package batch_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"sluice.io/sluice/internal/batch"
)

// law is the run time of a model: a + b·n, with noise in proportion.
type law struct {
	a, b  time.Duration
	noise float64
}

func (l law) exact(rows int) time.Duration { return l.a + l.b*time.Duration(rows) }

func (l law) run(rows int, rng *rand.Rand) time.Duration {
	return time.Duration(float64(l.exact(rows)) * max(0.3, 1+l.noise*rng.NormFloat64()))
}

const us = time.Microsecond

// What models were measured to cost on a CPU, and a GPU's guess.
var laws = map[string]law{
	"lin": {us, 20, 0.1}, "mlp": {4 * us, 850, 0.1}, "encoder": {2100 * us, 2200 * us, 0.1},
	"cnn": {0, 138 * us, 0.1}, "gpu": {1000 * us, 50 * us, 0.1}, "constant": {ms, 0, 0.1},
}

// size returns a number of rows up to most; small ones are as likely as large ones.
func size(most int, rng *rand.Rand) int {
	return int(math.Exp(rng.Float64() * math.Log(float64(most)+0.99)))
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func near(t *testing.T, what string, got, want time.Duration, tolerance float64) {
	t.Helper()
	if math.Abs(float64(got-want)) > tolerance*float64(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func wantLaw(t *testing.T, c *batch.Cost, l law, tolerance float64) {
	t.Helper()
	for _, rows := range []int{1, 2, 8, 32, 64} {
		near(t, fmt.Sprint("rows: ", rows), c.At(rows), l.exact(rows), tolerance)
	}
}

func TestFitFindsTheLine(t *testing.T) {
	for name, l := range laws {
		t.Run(name, func(t *testing.T) {
			rng := newRand(1)
			var exact, noisy batch.Cost
			for _, rows := range []int{1, 64, 8} {
				exact.Record(rows, l.exact(rows))
			}
			wantLaw(t, &exact, l, 1e-3)
			for range 300 {
				rows := size(64, rng)
				noisy.Record(rows, l.run(rows, rng))
			}
			wantLaw(t, &noisy, l, 0.15)
		})
	}
}

func TestFitFollowsAChange(t *testing.T) {
	for _, factor := range []float64{0.05, 0.6, 1.5, 3, 20} {
		for name, l := range laws {
			rng, changed := newRand(2), law{time.Duration(factor * float64(l.a)), time.Duration(factor * float64(l.b)), l.noise}
			var c batch.Cost
			for i := range 600 {
				rows, now := size(64, rng), l
				if i >= 300 {
					now = changed
				}
				c.Record(rows, now.run(rows, rng))
			}
			t.Run(name, func(t *testing.T) { wantLaw(t, &c, changed, 0.2) })
		}
	}
}

// A thread that loses its core makes a run take a hundred times as long: the very first, now
// and then, or all instances at the same time.
func TestOutliersDoNotPoisonTheFit(t *testing.T) {
	for name, l := range laws {
		for what, stalled := range map[string]func(i int) bool{
			"first":        func(i int) bool { return i == 0 },
			"now and then": func(i int) bool { return i%10 == 3 },
			"together":     func(i int) bool { return i%100 < 3 },
			"all at once":  func(i int) bool { return i >= 100 && i < 116 },
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				rng := newRand(3)
				var c batch.Cost
				for i := range 250 {
					rows := size(64, rng)
					took := l.run(rows, rng)
					if stalled(i) {
						took *= 100
					}
					c.Record(rows, took)
				}
				wantLaw(t, &c, l, 0.2)
			})
		}
	}
}

// Runs of one size give its mean, and bounds for other sizes.
func TestOneSizeTellsBoundsOfOthers(t *testing.T) {
	rng := newRand(4)
	var c batch.Cost
	if c.At(1) != 0 || c.At(100) != 0 {
		t.Error("something is known before the first run")
	}
	for range 200 {
		c.Record(8, law{8 * ms, 0, 0.1}.run(8, rng))
	}
	near(t, "itself", c.At(8), 8*ms, 0.05)
	near(t, "more rows", c.At(64), 8*ms, 0.05)
	near(t, "fewer rows", c.At(2), 2*ms, 0.05)
}

// Beyond the sizes seen the line is not used: a slope from runs of one and two rows says little
// about a hundred.
func TestLineIsNotDrawnOut(t *testing.T) {
	var c batch.Cost
	c.Record(4, 14*ms)
	c.Record(8, 18*ms)
	for rows, want := range map[int]time.Duration{2: 7 * ms, 4: 14 * ms, 6: 16 * ms, 8: 18 * ms, 100: 18 * ms, 0: 3500 * us} {
		near(t, fmt.Sprint("rows: ", rows), c.At(rows), want, 1e-6)
	}
}

// A learnt slope outlives any number of runs that say nothing about it.
func TestSlopeOutlivesRunsOfOneSize(t *testing.T) {
	l, rng := laws["encoder"], newRand(5)
	var c batch.Cost
	for range 100 {
		rows := size(32, rng)
		c.Record(rows, l.run(rows, rng))
	}
	for range 100_000 {
		c.Record(1, l.run(1, rng))
	}
	near(t, "one row", c.At(1), l.exact(1), 0.1)
	near(t, "32 rows", c.At(32), l.exact(32), 0.25)
	for range 100 { // and is replaced if there is a better estimate
		rows := size(32, rng)
		c.Record(rows, law{4 * ms, 300 * us, 0.1}.run(rows, rng))
	}
	near(t, "32 rows", c.At(32), 4*ms+32*300*us, 0.2)
}

func TestLineRisesAndBeginsAboveZero(t *testing.T) {
	var falls, convex batch.Cost
	for range 20 {
		falls.Record(1, 10*ms)
		falls.Record(8, 9*ms)
		convex.Record(1, ms)
		convex.Record(8, 16*ms)
	}
	near(t, "one row", falls.At(1), falls.At(8), 1e-6)
	near(t, "eight rows", convex.At(8), 8*convex.At(1), 1e-6)
}

func TestRefusalsLowerTheFitUntilTheNextRun(t *testing.T) {
	var c batch.Cost
	for range 20 {
		c.Record(1, 100*ms)
	}
	for range 16 {
		c.Refused()
	}
	near(t, "after refusals", c.At(1), 36*ms, 0.03)
	c.Record(1, 100*ms)
	near(t, "after a run that took as long as ever", c.At(1), 100*ms, 1e-6)
	for range 16 {
		c.Refused()
	}
	c.Record(1, 50*ms)
	near(t, "after a faster one", c.At(1), 50*ms, 0.05)
}

// A fast run shows at once that such a time is possible. It changes the estimate of usual runs
// little.
func TestFastRunCountsAtOnce(t *testing.T) {
	var c batch.Cost
	for range 100 {
		c.Record(1, 100*ms)
	}
	c.Record(1, 10*ms)
	near(t, "after a fast run", c.At(1), 10*ms, 0.05)
	c.Record(1, 100*ms)
	near(t, "after one that took as long as ever", c.At(1), 100*ms, 0.05)
	for range 4 {
		c.Record(1, 10*ms)
	}
	c.Record(1, 11*ms)
	near(t, "after four", c.At(1), 10500*us, 0.01)
}

// A run that was terminated counts only if it took long.
func TestCutOffRunsSayAtLeast(t *testing.T) {
	var c batch.Cost
	c.AtLeast(4, 100*ms, time.Second)
	for rows, want := range map[int]time.Duration{1: 0, 4: 150 * ms, 8: 150 * ms} {
		near(t, "nothing else known", c.At(rows), want, 1e-6)
	}
	c.AtLeast(4, 2*time.Second, time.Second)
	near(t, "at most the time of a request", c.At(4), 875*ms, 1e-6)
	c.Record(4, 10*ms)
	near(t, "a run that succeeds knows better", c.At(4), 10*ms, 1e-6)
	c.AtLeast(4, 5*ms, time.Second)
	near(t, "terminated early", c.At(4), 10*ms, 1e-6)
	c.AtLeast(4, 20*ms, time.Second)
	near(t, "terminated late", c.At(4), 30*ms, 1e-6)
	c.Record(1, 9*ms)
	near(t, "fewer rows say nothing of more", c.At(4), 30*ms, 1e-6)
}

func TestCostAllocatesNothing(t *testing.T) {
	var c batch.Cost
	n := testing.AllocsPerRun(1000, func() {
		c.Record(3, ms)
		c.Members(1, 8)
		c.At(5)
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

var benchLaw = law{4 * us, 850, 0.1}

func BenchmarkCostRecord(b *testing.B) {
	rng := newRand(6)
	var sizes [256]int
	var times [256]time.Duration
	for i := range sizes {
		sizes[i] = size(64, rng)
		times[i] = benchLaw.run(sizes[i], rng)
	}
	var c batch.Cost
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Record(sizes[i%256], times[i%256])
	}
}

func BenchmarkCostPredict(b *testing.B) {
	var c batch.Cost
	for i := range 100 {
		c.Record(1+i%64, benchLaw.exact(1+i%64))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if c.At(1+i%64) == 0 || c.Members(1, 64) == 0 {
			b.Fatal("nothing is known")
		}
	}
}
