package compare

import (
	"math"
	"strconv"

	"sluice.io/sluice/internal/infer"
)

// scoreRow is the place of a row of scores in a tensor: the last dimension.
type scoreRow struct {
	index  int // of the row in the whole tensor
	perRow int // such rows in a row of the request
	at     int // bytes
	size   int
}

// scoreRows returns the first row of a tensor that may be scores of classes, and the number of them: 0 if its elements are
// not floats, or if it has no dimension for classes.
func scoreRows(t *infer.Tensor) (first scoreRow, rows int) {
	if !isFloat(t.DType) || len(t.Shape) < 2 || t.Shape[len(t.Shape)-1] < 2 {
		return scoreRow{}, 0
	}
	size := int(t.Shape[len(t.Shape)-1]) * t.DType.Size()
	rows = len(t.Data) / size
	return scoreRow{perRow: max(1, rows/max(1, int(t.Rows()))), size: size}, rows
}

// next returns the row after r.
func (r scoreRow) next() scoreRow {
	r.index++
	r.at += r.size
	return r
}

// best returns the class with the largest score, the first of equal ones, its score, and whether the row is a
// distribution.
func (r scoreRow) best(t *infer.Tensor, read func([]byte) float64) (class int, score float64, distribution bool) {
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
	return class, score, least >= 0 && math.Abs(sum-1) <= rounding
}

// LabelsOf returns the names of classes by output, of those that have some.
func LabelsOf(outputs []infer.TensorSpec) map[string][]string {
	labels := map[string][]string{}
	for i := range outputs {
		if len(outputs[i].Labels) > 0 {
			labels[outputs[i].Name] = outputs[i].Labels
		}
	}
	return labels
}

// classOf returns the name of a class, its number if it has none.
func classOf(labels []string, class int64) string {
	if class >= 0 && class < int64(len(labels)) {
		return labels[class]
	}
	return strconv.FormatInt(class, 10)
}
