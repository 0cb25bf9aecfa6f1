package rivals

import "math"

const (
	psiBins  = 10
	psiEmpty = 1e-4 // what an empty bin counts as, as in Evidently
)

// newPSI compares windows with the reference by the population stability index: the sum of (p - q) ln(p/q) over the bins.
func newPSI(ref *Reference) *tumbling {
	b := newBins(ref, psiBins)
	m := float64(len(ref.Sorted))
	return newTumbling(func(rows []float64) (sum float64) {
		n := float64(len(rows))
		for i, now := range b.count(rows) {
			p, q := max(b.reference[i]/m, psiEmpty), max(now/n, psiEmpty)
			sum += (p - q) * math.Log(p/q)
		}
		return sum
	})
}
