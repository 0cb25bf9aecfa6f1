package compare

import (
	"iter"
	"math"

	"sluice.io/sluice/internal/infer"
)

// scoreRow is the place of a row of scores in a tensor: the last dimension.
type scoreRow struct {
	index  int // of the row in the whole tensor
	perRow int // such rows in a row of the request
	at     int // bytes
	size   int
}

// scoreRows yields the rows of a tensor that may be scores of classes. There are none if its elements are not floats, or
// if it has no dimension for classes.
func scoreRows(t *infer.Tensor) iter.Seq[scoreRow] {
	return func(yield func(scoreRow) bool) {
		if !isFloat(t.DType) || len(t.Shape) < 2 || t.Shape[len(t.Shape)-1] < 2 {
			return
		}
		size := int(t.Shape[len(t.Shape)-1]) * t.DType.Size()
		all := len(t.Data) / size
		perRow := max(1, all/max(1, int(t.Rows())))
		for i := range all {
			if !yield(scoreRow{i, perRow, i * size, size}) {
				return
			}
		}
	}
}

// best returns the class with the largest score, the first of equal ones, and its score. ok is false if the row is
// not one of scores: its elements have no names, and it is not a distribution.
func (r scoreRow) best(t *infer.Tensor, read func([]byte) float64, named bool) (class int, score float64, ok bool) {
	if r.at+r.size > len(t.Data) {
		return 0, 0, false
	}
	row, width := t.Data[r.at:r.at+r.size], t.DType.Size()
	score = math.Inf(-1)
	sum, least := 0.0, math.Inf(1)
	for i := 0; i*width < len(row); i++ {
		x := read(row[i*width:])
		if x > score {
			class, score = i, x
		}
		sum, least = sum+x, min(least, x)
	}
	const rounding = 1e-2 // of FP16
	return class, score, named || least >= 0 && math.Abs(sum-1) <= rounding
}
