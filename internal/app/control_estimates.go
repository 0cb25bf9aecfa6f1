package app

import (
	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/estimate"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
)

// estimates returns what adds estimates to the streams of a model; not to those of segments, if
// these are not shown.
func (c control) estimates(model string, segments bool) labels.Estimate {
	return func(s *api.LabelStream, x *labels.Scores) {
		if s.Segment != "" && !segments {
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
	}
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
