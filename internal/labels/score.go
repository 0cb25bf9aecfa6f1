package labels

import (
	"math"

	"sluice.io/sluice/internal/infer"
)

// Predicted are the predictions in an answer.
type Predicted struct {
	form *Form
	p    prediction
}

// Predicted reads the predictions of some rows from the output that the form names. ok is false if it does not have them.
func (f *Form) Predicted(t *infer.Tensor, rows int) (p *Predicted, ok bool) {
	p = &Predicted{form: f, p: prediction{rows: rows}}
	p.p.data, ok = f.appendRows(nil, t, rows, infer.NumberReader(t.DType))
	return p, ok
}

// LossName returns the name of the loss that Loss measures.
func (f *Form) LossName() string { return f.lossNames()[0] }

// Loss returns the loss of a row with a label: 0 or 1 for a class, the absolute error for a number. ok is false if there is none: the
// label does not fit the form, or the prediction is not a number.
func (p *Predicted) Loss(row int, l Label) (loss float64, ok bool) {
	_, class, err := p.form.check(l)
	x, there := p.p.at(p.form, row)
	if err != nil || !there {
		return 0, false
	}
	loss = p.form.losses(x, l, class)[0]
	return loss, !math.IsNaN(loss) && !math.IsInf(loss, 0)
}

// sameNumber is the relative difference up to which two numbers are the same prediction.
const sameNumber = 1e-3

// Same reports whether a row has the same prediction in two answers: the same class, or about the same number.
func (p *Predicted) Same(o *Predicted, row int) bool {
	a, ok := p.p.at(p.form, row)
	b, ok2 := o.p.at(o.form, row)
	switch {
	case !ok || !ok2:
		return false
	case p.form.Kind == kindValue:
		return math.Abs(a.value-b.value) <= sameNumber*max(1, math.Abs(a.value)) || math.IsNaN(a.value) && math.IsNaN(b.value)
	case p.form.Kind == kindClass:
		return a.class == b.class
	}
	return predicted(p.form.probabilities(a.scores)) == predicted(o.form.probabilities(b.scores))
}
