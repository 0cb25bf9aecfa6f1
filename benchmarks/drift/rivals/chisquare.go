package rivals

const chiSquareBins = 16

// newChiSquare compares windows with the reference by Pearson's statistic for a table of two rows, without the bins that both lack.
func newChiSquare(ref *Reference) *tumbling {
	b := newBins(ref, chiSquareBins)
	m := float64(len(ref.Sorted))
	return newTumbling(func(rows []float64) (sum float64) {
		n := float64(len(rows))
		for i, now := range b.count(rows) {
			if both := now + b.reference[i]; both > 0 {
				expected, ofReference := both*n/(n+m), both*m/(n+m)
				sum += (now-expected)*(now-expected)/expected + (b.reference[i]-ofReference)*(b.reference[i]-ofReference)/ofReference
			}
		}
		return sum
	})
}
