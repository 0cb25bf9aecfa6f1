package estimate

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// The limits of a reference.
const (
	MaxCurves = 65
	MaxBins   = 1 << 12
	maxRows   = 1 << 53 // so that every count is exact as a float64
)

// MinRows is the min number of rows of a reference. With fewer its table says too little.
const MinRows = 100

// Reference has sums over rows whose labels are known. The sum of two is that of all their rows.
type Reference struct {
	// Form says how the scores were read from outputs. Only predictions that are read in the
	// same way can be compared.
	Form json.RawMessage `json:"form"`
	Rows int64           `json:"rows"` // with a label and valid scores
	Bins int             `json:"bins"` // of each curve
	// Curves has a histogram of scores for each class, and after them that of the predicted class;
	// or a single one of the positive class of two.
	Curves []Curve `json:"curves"`
	// Confusion has the rows by predicted class, and in each of these by true class.
	Confusion [][]int64 `json:"confusion"`
}

// Curve has the rows of the bins that have some, and how many of them came true.
type Curve struct {
	Bins []int   `json:"bins"`
	Rows []int64 `json:"rows"`
	Hits []int64 `json:"hits"`
}

// NewCurve makes a curve of counts for every bin.
func NewCurve(rows, hits []int64) Curve {
	c := Curve{Bins: []int{}, Rows: []int64{}, Hits: []int64{}}
	for b, n := range rows {
		if n != 0 {
			c.Bins, c.Rows, c.Hits = append(c.Bins, b), append(c.Rows, n), append(c.Hits, hits[b])
		}
	}
	return c
}

// Decode reads a reference, and checks it. Errors are Invalid.
func Decode(text []byte) (*Reference, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	r := &Reference{}
	if err := dec.Decode(r); err != nil {
		return nil, infer.Errorf(infer.Invalid, "the performance of the reference cannot be read: %v", err)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r, nil
}

// Encode returns the reference as Decode reads it.
func (r *Reference) Encode() (json.RawMessage, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

// Classes returns the number of classes.
func (r *Reference) Classes() int { return len(r.Confusion) }

func (r *Reference) check() error {
	wrong := func(format string, args ...any) error {
		return infer.Errorf(infer.Invalid, "the performance of the reference: "+format, args...)
	}
	n := r.Classes()
	want := n + 1
	if n == 2 {
		want = 1
	}
	switch {
	case len(r.Form) == 0 || !json.Valid(r.Form):
		return wrong("the form is missing")
	case r.Rows < 1 || r.Rows > maxRows:
		return wrong("%d rows; expected 1 to %d", r.Rows, int64(maxRows))
	case r.Bins < 2 || r.Bins > MaxBins:
		return wrong("%d bins; expected 2 to %d", r.Bins, MaxBins)
	case n < 2 || n >= MaxCurves:
		return wrong("%d classes; expected 2 to %d", n, MaxCurves-1)
	case len(r.Curves) != want:
		return wrong("%d curves for %d classes; expected %d", len(r.Curves), n, want)
	}
	for k := range r.Curves {
		if !r.Curves[k].valid(r.Bins, r.Rows) {
			return wrong("curve %d: its bins are not those of %d rows", k, r.Rows)
		}
	}
	sum := int64(0)
	for _, list := range r.Confusion {
		if len(list) != n {
			return wrong("the confusion matrix has a line of %d numbers; expected %d", len(list), n)
		}
		for _, x := range list {
			if x < 0 || x > r.Rows-sum {
				return wrong("the confusion matrix has more than %d rows", r.Rows)
			}
			sum += x
		}
	}
	if sum != r.Rows {
		return wrong("the confusion matrix has %d rows; expected %d", sum, r.Rows)
	}
	return nil
}

func (c *Curve) valid(bins int, rows int64) bool {
	if len(c.Rows) != len(c.Bins) || len(c.Hits) != len(c.Bins) {
		return false
	}
	last, sum := -1, int64(0)
	for i, b := range c.Bins {
		if b <= last || b >= bins || c.Rows[i] < 1 || c.Rows[i] > rows-sum || c.Hits[i] < 0 || c.Hits[i] > c.Rows[i] {
			return false
		}
		last, sum = b, sum+c.Rows[i]
	}
	return sum == rows
}

// Merge adds the sums of another reference of the same form.
func (r *Reference) Merge(o *Reference) error {
	if !bytes.Equal(r.Form, o.Form) || r.Bins != o.Bins || len(r.Curves) != len(o.Curves) || r.Classes() != o.Classes() {
		return infer.Errorf(infer.Invalid, "the references are not about the same output")
	}
	r.Rows += o.Rows
	for k := range r.Curves {
		rows, hits := r.Curves[k].dense(r.Bins)
		more, moreHits := o.Curves[k].dense(r.Bins)
		for b := range rows {
			rows[b], hits[b] = rows[b]+more[b], hits[b]+moreHits[b]
		}
		r.Curves[k] = NewCurve(rows, hits)
	}
	for i := range r.Confusion {
		for j := range r.Confusion[i] {
			r.Confusion[i][j] += o.Confusion[i][j]
		}
	}
	return r.check()
}

// Subtract subtracts the rows of a part, which were counted by Merge. It changes nothing on an error, which is
// Invalid: the two are not about the same output, or the part has more of something than r.
func (r *Reference) Subtract(part *Reference) error {
	if !bytes.Equal(r.Form, part.Form) || r.Bins != part.Bins || len(r.Curves) != len(part.Curves) || r.Classes() != part.Classes() {
		return infer.Errorf(infer.Invalid, "the references are not about the same output")
	}
	larger := part.Rows > r.Rows
	rest := Reference{Form: r.Form, Rows: r.Rows - part.Rows, Bins: r.Bins, Curves: make([]Curve, len(r.Curves)), Confusion: make([][]int64, len(r.Confusion))}
	for k := range r.Curves {
		rows, hits := r.Curves[k].dense(r.Bins)
		fewer, fewerHits := part.Curves[k].dense(r.Bins)
		for b := range rows {
			rows[b], hits[b] = rows[b]-fewer[b], hits[b]-fewerHits[b]
			larger = larger || rows[b] < 0 || hits[b] < 0
		}
		rest.Curves[k] = NewCurve(rows, hits)
	}
	for i := range r.Confusion {
		rest.Confusion[i] = slices.Clone(r.Confusion[i])
		for j := range rest.Confusion[i] {
			rest.Confusion[i][j] -= part.Confusion[i][j]
			larger = larger || rest.Confusion[i][j] < 0
		}
	}
	if larger {
		return infer.Errorf(infer.Invalid, "the labels of the part are not among those of the whole")
	}
	if err := rest.check(); err != nil {
		return err
	}
	*r = rest
	return nil
}

func (c *Curve) dense(bins int) (rows, hits []int64) {
	rows, hits = make([]int64, bins), make([]int64, bins)
	for i, b := range c.Bins {
		rows[b], hits[b] = c.Rows[i], c.Hits[i]
	}
	return rows, hits
}

// floats returns counts as numbers.
func floats(counts []int64) []float64 {
	list := make([]float64, len(counts))
	for i, n := range counts {
		list[i] = math.Max(float64(n), 0)
	}
	return list
}
