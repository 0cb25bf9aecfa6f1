package champion

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat"

	"sluice.io/sluice/api"
)

// TestDifferenceOfSingleRows: with one row a request it is the t-interval of a mean. The quantile is from a table.
func TestDifferenceOfSingleRows(t *testing.T) {
	parent, newer := []float64{1, 0, 1, 1, 0, 3}, []float64{0, 0, 1, 0, 1, 1}
	var p pairs
	d := make([]float64, len(parent))
	for i := range parent {
		p.add(parent[i], newer[i])
		p.end()
		d[i] = newer[i] - parent[i]
	}
	p.end() // a request without labels
	mean, low, high, ok := p.difference(0.95)
	wantMean, deviation := stat.MeanStdDev(d, nil)
	half := 2.5705818 * deviation / math.Sqrt(6) // five degrees of freedom
	if !ok || math.Abs(mean-wantMean) > 1e-12 || math.Abs(low-(wantMean-half)) > 1e-6 || math.Abs(high-(wantMean+half)) > 1e-6 {
		t.Errorf("got %v from %v to %v, want %v ± %v", mean, low, high, wantMean, half)
	}
}

// TestDifferenceCovers: rows of a request depend on each other, and requests have different sizes. The interval covers the true difference as
// often as it says; one that takes rows as independent would not.
func TestDifferenceCovers(t *testing.T) {
	const simulations, requests, truth = 2000, 60, 0.1
	rng := rand.New(rand.NewPCG(1, 2))
	covered := 0
	for range simulations {
		var p pairs
		for range requests {
			shared := rng.NormFloat64()
			for range 1 + rng.IntN(8) {
				p.add(1, 1+truth+shared+0.3*rng.NormFloat64())
			}
			p.end()
		}
		_, low, high, ok := p.difference(0.9)
		if !ok {
			t.Fatal("no interval")
		}
		if low <= truth && truth <= high {
			covered++
		}
	}
	if share := float64(covered) / simulations; share < 0.86 || share > 0.93 {
		t.Errorf("covered in %.3f of the simulations, want about 0.9", share)
	}
}

func TestVerdict(t *testing.T) {
	f := func(low, high, margin float64, want string) {
		t.Helper()
		if got := verdict(low, high, margin); got != want {
			t.Errorf("%v to %v, margin %v: %s, want %s", low, high, margin, got, want)
		}
	}
	f(-0.2, -0.1, 0.01, api.VerdictBetter)
	f(-0.2, 0, 0, api.VerdictNotWorse)
	f(0, 0, 0, api.VerdictNotWorse)
	f(-0.2, 0.005, 0.01, api.VerdictNotWorse)
	f(0.001, 0.005, 0.01, api.VerdictNotWorse)
	f(0.001, 0.02, 0.01, api.VerdictWorse)
	f(-0.1, 0.1, 0.01, api.VerdictUnknown)
}

func TestTooFewRequests(t *testing.T) {
	var p pairs
	p.add(1, 0)
	p.end()
	if _, _, _, ok := p.difference(0.95); ok {
		t.Error("one request has an interval")
	}
}
