package rivals

import (
	"math"
	"slices"
	"sort"
)

// maxCodes is how many different values a feature has at most for each of them to have a bin, as in Evidently.
const maxCodes = 20

// bins puts values in bins: one for each value if the reference has few of them, and else those between quantiles. Missing values
// have one of their own, and so do values other than those of the reference if each value has a bin.
type bins struct {
	codes, edges []float64
	reference    []float64 // rows by bin
}

func newBins(ref *Reference, n int) *bins {
	b := &bins{codes: slices.Compact(slices.Clone(ref.Sorted))}
	if len(b.codes) > maxCodes {
		b.codes, b.edges = nil, ref.quantiles(n)
	}
	b.reference = b.count(ref.Sorted)
	return b
}

func (b *bins) count(values []float64) []float64 {
	n := len(b.edges) + 1
	if b.codes != nil {
		n = len(b.codes) + 1
	}
	counts := make([]float64, n+1)
	for _, x := range values {
		counts[b.of(x, n)]++
	}
	return counts
}

// of returns the bin of a value. The last two are those of other values and of missing ones.
func (b *bins) of(x float64, missing int) int {
	if math.IsNaN(x) {
		return missing
	}
	if b.codes == nil {
		return sort.SearchFloat64s(b.edges, x)
	}
	if i, known := slices.BinarySearch(b.codes, x); known {
		return i
	}
	return len(b.codes)
}
