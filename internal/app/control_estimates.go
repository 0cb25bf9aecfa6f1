package app

import (
	"fmt"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/confseq"
	"sluice.io/sluice/internal/estimate"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
	"sluice.io/sluice/internal/reconcile"
)

// estimates returns what adds estimates to the streams of a model; not to those of segments, if
// these are not shown.
func (c control) estimates(model string, segments bool) labels.Estimate {
	loss := c.app.reconcile.LossModel(model)
	return func(s *api.LabelStream, x *labels.Scores) {
		if s.Segment != "" && !segments {
			return
		}
		if loss != nil && s.Task == api.TaskRegression {
			addLosses(s, x, loss)
			return
		}
		classifier, err := c.app.reconcile.Reference(infer.Version{Model: model, Number: s.Version}).Classifier(s.Version, x.Form)
		if err != nil {
			s.NoEstimates = infer.Message(err)
		}
		if classifier == nil {
			return
		}
		checks := map[string]*api.EstimateCheck{}
		for _, k := range classifier.Compare(x.Labelled, x.Hits) {
			checks[k.Name] = checkOf(&k)
		}
		for _, e := range classifier.Estimate(x.Rows) {
			s.Estimates = append(s.Estimates, estimateOf(&e, checks[e.Name]))
		}
		s.Shift = shiftOf(classifier, x)
	}
}

// addLosses adds what a loss model expects of a stream.
func addLosses(s *api.LabelStream, x *labels.Scores, model *reconcile.LossModel) {
	s.NoEstimates = model.Problem(s.Version)
	sums := x.Expected(model.Source)
	l := estimate.Losses{
		Squared: sums.Source.Squared, Rows: float64(sums.Rows), Sum: sums.Sum, Squares: sums.Squares,
		Labelled: float64(sums.Labelled), LabelledSum: sums.LabelledSum, LabelledSquares: sums.LabelledSquares,
		Truth: sums.Truth, Residuals: sums.Residuals,
	}
	o := estimate.LossOptions{Alpha: 1 - labels.Confidence, Margin: confseq.Margin, Tolerance: model.Tolerance}
	e, ok := l.Estimate(o)
	if !ok {
		if s.NoEstimates == "" && sums.Invalid > 0 {
			s.NoEstimates = fmt.Sprintf("the loss model gave no loss that can be for any of %d rows", sums.Invalid)
		}
		return
	}
	var check *api.EstimateCheck
	if k, ok := l.Compare(o); ok {
		check = checkOf(&k)
	}
	doc := estimateOf(&e, check)
	doc.Method, doc.Invalid = api.EstimateDLE, uint64(max(sums.Invalid, 0)) //nolint:gosec // not negative
	s.Estimates = append(s.Estimates, doc)
}

func estimateOf(e *estimate.Estimate, check *api.EstimateCheck) api.LabelEstimate {
	doc := api.LabelEstimate{
		Name: e.Name, Method: api.EstimateCBPE, Value: e.Value, StandardError: e.Error(), Rows: uint64(e.Rows), Outside: e.Outside, Check: check,
	}
	if e.HasInterval {
		doc.Low, doc.High = &e.Low, &e.High
	}
	return doc
}

func checkOf(k *estimate.Comparison) *api.EstimateCheck {
	doc := &api.EstimateCheck{Rows: uint64(k.Rows), Estimate: k.Value, Truth: k.Truth, Difference: k.Truth - k.Value}
	if k.Sure {
		doc.Bound, doc.Holds = &k.Bound, &k.Holds
	}
	return doc
}

// shiftOf returns the expected shares of the true classes.
func shiftOf(classifier *estimate.Classifier, x *labels.Scores) []api.ClassShare {
	shares, _ := classifier.Shift(x.Predicted)
	list := make([]api.ClassShare, len(shares))
	for k, s := range shares {
		list[k] = api.ClassShare{
			Class: x.Form.Name(k), Reference: s.Reference, Value: s.Value, StandardError: s.Error, Low: s.Low, High: s.High, Shifted: s.Shifted,
		}
	}
	rows := uint64(0)
	for _, row := range x.Confusion {
		for _, n := range row {
			rows += uint64(max(n, 0)) //nolint:gosec // not negative
		}
	}
	checks, _ := classifier.CompareShift(x.Confusion)
	for k := range min(len(checks), len(list)) {
		c := &checks[k]
		list[k].Check = &api.EstimateCheck{Rows: rows, Estimate: c.Value, Truth: c.Truth, Difference: c.Truth - c.Value, Bound: &c.Bound, Holds: &c.Holds}
	}
	return list
}
