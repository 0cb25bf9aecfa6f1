package rivals

import (
	"math"
	"slices"
)

// newKS compares windows with the reference by the test of Kolmogorov and Smirnov for two samples. With the same limit for each
// feature it is the test with Bonferroni's correction, as in alibi-detect. Missing values are left out. The score is the distance
// times the root of nm/(n+m).
func newKS(ref *Reference) *tumbling {
	m := float64(len(ref.Sorted))
	return newTumbling(func(rows []float64) float64 {
		rows = slices.DeleteFunc(slices.Clone(rows), math.IsNaN)
		slices.Sort(rows)
		n, most, before := float64(len(rows)), 0.0, 0
		for i := range rows {
			if i+1 < len(rows) && rows[i+1] == rows[i] {
				continue
			}
			// The reference's function just below the value, and at it.
			below, at := ref.upTo(math.Nextafter(rows[i], math.Inf(-1))), ref.upTo(rows[i])
			most = max(most, math.Abs(float64(before)/n-below), math.Abs(float64(i+1)/n-at))
			before = i + 1
		}
		return most * math.Sqrt(n*m/(n+m))
	})
}
