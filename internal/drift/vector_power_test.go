package drift_test

import (
	"math/rand/v2"
	"testing"

	"sluice.io/sluice/internal/drift"
)

// TestVectorFindsAShiftOfAnEmbedding moves an embedding by 0.25 s.d. along its first principal direction. It has 768 numbers that are
// sums of 40 hidden ones, with variances that fall as those of embeddings do.
func TestVectorFindsAShiftOfAnEmbedding(t *testing.T) {
	t.Parallel()
	const size, hidden = 768, 40
	rng := rand.New(rand.NewPCG(7, 7))
	axes := make([][]float64, hidden)
	for k := range axes {
		axes[k] = fill(make([]float64, size), rng.NormFloat64)
	}
	next := func(shift float64) func() []float64 {
		return func() []float64 {
			x := fill(make([]float64, size), func() float64 { return 0.1 * rng.NormFloat64() })
			for k, axis := range axes {
				z := rng.NormFloat64()
				if k == 0 {
					z += shift
				}
				z /= float64(1 + k/4)
				for i := range x {
					x[i] += z * axis[i]
				}
			}
			return x
		}
	}
	p := vectorProfile(size, 5000, next(0))
	for _, c := range []struct {
		shift float64
		found bool
	}{{0, false}, {0.25, true}} {
		d, found := detector(t, p, vectorOptions()), 0
		for i := range 8 {
			f := vectorFinding(t, d.Judge(vectorWindow(p, i, 1000, nil, next(c.shift))))
			if f.State == drift.Detected && found == 0 {
				found = i + 1
				t.Logf("a shift of %v: found in window %d: %s", c.shift, found, f.Change)
			}
		}
		if (found > 0) != c.found {
			t.Errorf("a shift of %v is found in window %d; expected found: %v", c.shift, found, c.found)
		}
	}
}
