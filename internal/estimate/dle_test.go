package estimate_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"sluice.io/sluice/internal/confseq"
	"sluice.io/sluice/internal/estimate"
)

// losses is a world of errors whose size depends on a feature that a loss model knows.
type losses struct {
	squared bool
	unit    func(rng *rand.Rand) float64 // an error of the size 1
	expect  float64                      // its mean loss
	mean    float64                      // of the feature
	off     float64                      // the ratio of what is expected to what is true
}

func normal(rng *rand.Rand) float64 { return rng.NormFloat64() }

// laplace has the variance 2.
func laplace(rng *rand.Rand) float64 {
	if rng.IntN(2) == 0 {
		return -rng.ExpFloat64()
	}
	return rng.ExpFloat64()
}

// draw adds a row: with its label if labelled is set.
func (w *losses) draw(rng *rand.Rand, sums *estimate.Losses, labelled bool) (loss float64) {
	size := 0.2 + math.Abs(w.mean+rng.NormFloat64())
	e := size * w.unit(rng)
	of := func(x float64) float64 {
		if w.squared {
			return x * x
		}
		return math.Abs(x)
	}
	expected := of(size) * w.expect * w.off
	if w.squared {
		expected *= w.off // so that the root is off by that
	}
	sums.Squared = w.squared
	sums.Rows++
	sums.Sum += expected
	sums.Squares += expected * expected
	loss = of(e)
	if labelled {
		sums.Labelled++
		sums.LabelledSum += expected
		sums.LabelledSquares += expected * expected
		sums.Truth += loss
		sums.Residuals += (loss - expected) * (loss - expected)
	}
	return loss
}

// TestLossErrorRates: a loss model that is right within the tolerance is called wrong in at most 5 %
// of the runs, however often one looks, and the interval before labels misses the metric of its rows
// in at most 5 %. One that is off by a third, or that does not know that errors have grown, is found.
func TestLossErrorRates(t *testing.T) {
	o := estimate.LossOptions{Alpha: 0.05, Margin: confseq.Margin, Tolerance: 0.05}
	const most, every = 5000, 100
	f := func(w losses, right bool) {
		t.Helper()
		rng := rand.New(rand.NewPCG(5, 6))
		wrong, missed := 0, 0
		for range *runs {
			var labelled, alone estimate.Losses
			total, isWrong, isMissed := 0.0, false, false
			for n := 1; n <= most; n++ {
				w.draw(rng, &labelled, true)
				total += w.draw(rng, &alone, false)
				if n%every != 0 {
					continue
				}
				c, ok := labelled.Compare(o)
				isWrong = isWrong || !ok || !c.Sure || !c.Holds
				e, ok := alone.Estimate(o)
				truth := total / float64(n)
				if w.squared {
					truth = math.Sqrt(truth)
				}
				isMissed = isMissed || !ok || !e.HasInterval || truth < e.Low || truth > e.High
			}
			if isWrong {
				wrong++
			}
			if isMissed {
				missed++
			}
		}
		n := float64(*runs)
		t.Logf("%v %v %v: called wrong in %.3f, missed in %.3f of the runs", w.squared, w.mean, w.off, float64(wrong)/n, float64(missed)/n)
		limit := 0.05 + 3*math.Sqrt(0.05*0.95/n)
		switch {
		case right && (float64(wrong)/n > limit || float64(missed)/n > limit):
			t.Errorf("%v %v %v: called wrong %d times, missed %d times", w.squared, w.mean, w.off, wrong, missed)
		case !right && float64(wrong)/n < 0.95:
			t.Errorf("%v %v %v: found only %d times", w.squared, w.mean, w.off, wrong)
		}
	}
	for squared, mean := range map[bool][2]float64{false: {math.Sqrt(2 / math.Pi), 1}, true: {1, 2}} {
		normalMean, laplaceMean := mean[0], mean[1]
		f(losses{squared, normal, normalMean, 0, 1}, true)
		f(losses{squared, normal, normalMean, 2, 1}, true)
		f(losses{squared, normal, normalMean, 2, 1.04}, true)
		f(losses{squared, laplace, laplaceMean, 2, 1}, true)
		f(losses{squared, laplace, laplaceMean, 2, 0.96}, true)
		f(losses{squared, normal, normalMean, 2, 0.67}, false)
		f(losses{squared, laplace, laplaceMean, 2, 1.5}, false)
	}
}

// TestLossesOfNothing: no rows, no labels, and losses that are all 0.
func TestLossesOfNothing(t *testing.T) {
	o := estimate.LossOptions{Alpha: 0.05, Margin: confseq.Margin}
	var none estimate.Losses
	if _, ok := none.Estimate(o); ok {
		t.Error("an estimate of no rows")
	}
	if _, ok := none.Compare(o); ok {
		t.Error("a comparison of no rows")
	}
	for _, squared := range []bool{false, true} {
		zero := estimate.Losses{Squared: squared, Rows: 200, Labelled: 200}
		e, _ := zero.Estimate(o)
		c, _ := zero.Compare(o)
		if e.Value != 0 || e.Low != 0 || e.High != 0 || e.Error() != 0 || !c.Holds || !c.Sure || c.Bound != 0 {
			t.Errorf("%+v, %+v", e, c)
		}
		few := estimate.Losses{Squared: squared, Rows: 3, Sum: 3, Squares: 3, Labelled: 2, Truth: 10, LabelledSum: 2, LabelledSquares: 2, Residuals: 32}
		e, _ = few.Estimate(o)
		c, _ = few.Compare(o)
		if e.HasInterval || c.Sure || e.Value != 1 || e.Error() <= 0 || c.Value != 1 {
			t.Errorf("%+v, %+v", e, c)
		}
	}
}
