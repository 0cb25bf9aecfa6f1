package offline

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"sluice.io/sluice/internal/infer"
)

// comparison compares answers, request by request.
type comparison struct {
	tolerance   float64
	total       ReplayReport
	outputs     map[string]*outputDifference
	before, now latencies
}

type outputDifference struct {
	OutputDifference

	equal int // elements
}

func newComparison(tolerance float64) *comparison {
	return &comparison{tolerance: tolerance, outputs: map[string]*outputDifference{}}
}

// add compares the answer to a request with the one before.
func (c *comparison) add(r *Recorded, before, now Answer) {
	c.total.Requests++
	c.before.add(before.Took)
	c.now.add(now.Took)
	if len(before.Outputs) == 0 {
		return
	}
	c.total.Compared++
	same := true
	for i := range before.Outputs {
		want := &before.Outputs[i]
		d := c.outputs[want.Name]
		if d == nil {
			d = &outputDifference{OutputDifference: OutputDifference{Name: want.Name}}
			c.outputs[want.Name] = d
		}
		at := slices.IndexFunc(now.Outputs, func(t infer.Tensor) bool { return t.Name == want.Name })
		switch {
		case at < 0:
			d.Missing++
			same = false
		case now.Outputs[at].DType != want.DType || !now.Outputs[at].Shape.Equal(want.Shape):
			d.Reshaped++
			same = false
		default:
			d.Compared++
			same = c.compare(r, d, want, &now.Outputs[at]) && same
		}
	}
	if !same {
		c.total.Differing++
	}
}

// compare compares two tensors of the same form. It is false for a difference beyond the tolerance.
func (c *comparison) compare(r *Recorded, d *outputDifference, want, got *infer.Tensor) bool {
	count, _ := want.Shape.Elements()
	perRow := max(1, int(count/max(1, want.Rows())))
	beyond := d.Beyond
	read := infer.NumberReader(want.DType)
	if read == nil {
		c.compareTexts(r, d, want, got, perRow)
		return d.Beyond == beyond
	}
	width := want.DType.Size()
	worst := RowDifference{size: -1}
	for i := 0; (i+1)*width <= len(want.Data) && (i+1)*width <= len(got.Data); i++ {
		if i%perRow == 0 && worst.size >= 0 {
			c.worse(worst)
			worst.size = -1
		}
		a, b := want.Data[i*width:(i+1)*width], got.Data[i*width:(i+1)*width]
		x, y := read(a), read(b)
		if size := d.number(x, y, bytes.Equal(a, b)); size > c.tolerance {
			d.Beyond++
			if size > worst.size {
				worst = RowDifference{r.ID, want.Name, i / perRow, i % perRow, numberText(x), numberText(y), size}
			}
		}
	}
	if worst.size >= 0 {
		c.worse(worst)
	}
	d.scores(r.Classes[want.Name], want, got, read)
	return d.Beyond == beyond
}

// number counts an element, and returns its difference in parts of max(1, its size).
func (d *outputDifference) number(x, y float64, identical bool) float64 {
	d.Elements++
	if math.IsNaN(x) {
		d.NaNBefore++
	}
	if math.IsNaN(y) {
		d.NaNNow++
	}
	switch {
	case identical, x == y && math.Abs(x) < 1<<53, math.IsInf(x, 0) && x == y, math.IsNaN(x) && math.IsNaN(y):
		d.equal++
		return 0
	case math.IsNaN(x) || math.IsNaN(y):
		return math.Inf(1)
	}
	diff := math.Abs(x - y)
	d.MaxAbsolute = max(d.MaxAbsolute, Number(diff))
	if relative := diff / max(math.Abs(x), math.Abs(y)); !math.IsNaN(relative) {
		d.MaxRelative = max(d.MaxRelative, Number(relative))
	}
	if math.IsInf(diff, 0) {
		return diff
	}
	return diff / max(1, math.Abs(x))
}

// compareTexts compares tensors of BYTES: an element is equal or not.
func (c *comparison) compareTexts(r *Recorded, d *outputDifference, want, got *infer.Tensor, perRow int) {
	for i, x, y := 0, want.Data, got.Data; len(x) > 0; i++ {
		var a, b []byte
		var ok, found bool
		if a, x, ok = infer.NextElement(x); !ok {
			return
		}
		b, y, found = infer.NextElement(y)
		d.Elements++
		if found && bytes.Equal(a, b) {
			d.equal++
			continue
		}
		d.Beyond++
		c.worse(RowDifference{r.ID, want.Name, i / perRow, i % perRow, shortText(a), shortText(b), math.Inf(1)})
	}
}

func shortText(b []byte) string {
	const most = 40
	return strconv.Quote(string(b[:min(len(b), most)]))
}

// scores compares the best class of each row, if an output has scores of classes: its elements have
// names, or each row before was a distribution.
func (d *outputDifference) scores(named bool, want, got *infer.Tensor, read func([]byte) float64) {
	switch want.DType {
	case infer.FP16, infer.BF16, infer.FP32, infer.FP64:
	default:
		return
	}
	if len(want.Shape) < 2 || want.Shape[len(want.Shape)-1] < 2 {
		return
	}
	step := int(want.Shape[len(want.Shape)-1]) * want.DType.Size()
	for at := 0; at+step <= len(want.Data) && at+step <= len(got.Data); at += step {
		before, sum := best(want.Data[at:at+step], want.DType.Size(), read)
		const rounding = 1e-2 // of FP16
		if !named && !(math.Abs(sum-1) <= rounding) {
			continue
		}
		now, _ := best(got.Data[at:at+step], want.DType.Size(), read)
		d.Top1Rows++
		if before == now {
			d.Top1Agree++
		}
	}
}

// best returns the index of the largest number, the first of equal ones, and the sum; the sum is NaN
// if a number is negative.
func best(row []byte, width int, read func([]byte) float64) (at int, sum float64) {
	largest := math.Inf(-1)
	for i := 0; i*width < len(row); i++ {
		x := read(row[i*width:])
		if x > largest {
			at, largest = i, x
		}
		if sum += x; x < 0 {
			sum = math.NaN()
		}
	}
	return at, sum
}
