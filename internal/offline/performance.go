package offline

import (
	"encoding/json"
	"slices"
	"strings"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/estimate"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
	"sluice.io/sluice/internal/tabular"
)

// LabelOptions say which column has the labels, and how predictions are read, as labels.* of a
// model in the configuration does.
type LabelOptions struct {
	Column   string // "": no labels
	Task     string
	Output   string
	Logits   bool
	Positive string
}

// performance collects how good the predictions of a table's rows were. Labels are read with the
// rows, but predictions may be computed some rows later.
type performance struct {
	column  *tabular.Kept
	missing []string
	form    labels.Form
	ref     *labels.Reference
	at      []int // features of the output's elements
	row     []float64
	waiting []labels.Label // of rows that were read and not added yet
	without int64          // rows without a label or a prediction
}

// performanceOf returns nil if there is no column of labels.
func (o *ProfileOptions) performanceOf(table *tabular.Reader, features []drift.Feature) (*performance, error) {
	if o.Labels.Column == "" {
		return nil, nil //nolint:nilnil // not an error
	}
	if o.Model == nil {
		return nil, infer.Errorf(infer.Invalid, "labels need the model, which says how predictions are read")
	}
	form, _, err := labels.FormOf(o.Model, labels.Settings{Task: o.Labels.Task, Output: o.Labels.Output, Logits: o.Labels.Logits, Positive: o.Labels.Positive})
	if err != nil {
		return nil, err
	}
	if !form.Scored() {
		return nil, infer.Errorf(infer.Invalid, "output '%.60s' does not have scores of classes; from labels of others nothing can be estimated", form.Output)
	}
	p := &performance{missing: o.tabular().Missing, form: form, ref: labels.NewReference(form), at: make([]int, form.Width), row: make([]float64, form.Width)}
	for element := range p.at {
		p.at[element] = slices.IndexFunc(features, func(f drift.Feature) bool {
			return f.Kind == drift.KindOutput && f.Tensor == form.Output && f.Element == element
		})
		if p.at[element] < 0 {
			return nil, infer.Errorf(infer.Invalid, "labels need element %d of output '%.60s', which the file does not have and the model does not compute", element, form.Output)
		}
	}
	p.column, err = table.Keep(o.Labels.Column)
	return p, err
}

// read takes the label of the row that the table has just read.
func (p *performance) read() error {
	text := p.column.Text()
	if slices.ContainsFunc(p.missing, func(m string) bool { return strings.EqualFold(m, text) }) {
		p.waiting = append(p.waiting, labels.Label{})
		return nil
	}
	l := labels.TextLabel(strings.Clone(text), true)
	if err := p.form.Check(l); err != nil {
		return p.column.Errorf("is not a label of the model: %v", infer.Message(err))
	}
	p.waiting = append(p.waiting, l)
	return nil
}

// add adds the next row.
func (p *performance) add(values []float64, missing []bool) {
	l := p.waiting[0]
	p.waiting = p.waiting[1:]
	absent := l.Text == ""
	for k, at := range p.at {
		p.row[k], absent = values[at], absent || missing[at]
	}
	if absent {
		p.without++
		return
	}
	if err := p.ref.Add(p.row, l); err != nil {
		panic("BUG: a label was valid when it was read: " + err.Error())
	}
}

// section returns what a profile keeps of it.
func (p *performance) section() (json.RawMessage, error) {
	x := p.ref.Scores()
	form, err := json.Marshal(x.Form)
	if err != nil {
		return nil, err
	}
	r := &estimate.Reference{Form: form, Confusion: x.Confusion}
	for k := range x.Labelled {
		r.Bins = len(x.Labelled[k])
		r.Curves = append(r.Curves, estimate.NewCurve(x.Labelled[k], x.Hits[k]))
	}
	for _, list := range x.Confusion {
		for _, n := range list {
			r.Rows += n
		}
	}
	if r.Rows < estimate.MinRows {
		return nil, infer.Errorf(infer.Invalid, "%d rows have a label and valid scores; expected %d or more. %d rows have scores that are not probabilities, if they are logits say so",
			r.Rows, estimate.MinRows, p.ref.Unmeasured())
	}
	return r.Encode()
}
