package driftwatch

import (
	"encoding/json"
	"reflect"
	"sync"

	"sluice.io/sluice/internal/confseq"
	"sluice.io/sluice/internal/estimate"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
)

// performance is what a profile says about how good its model was.
type performance struct {
	reference *estimate.Reference
	form      labels.Form

	fit        sync.Once // at the first use, since it takes a while
	classifier *estimate.Classifier
}

// readPerformance reads that part of the profile, nil if there is none.
func (r *Reference) readPerformance() (*performance, error) {
	if len(r.profile.Performance) == 0 {
		return nil, nil //nolint:nilnil // not an error
	}
	ref, err := estimate.Decode(r.profile.Performance)
	if err != nil {
		return nil, err
	}
	p := &performance{reference: ref}
	if err := json.Unmarshal(ref.Form, &p.form); err != nil {
		return nil, infer.Errorf(infer.Invalid, "the performance of the reference: its form is not valid: %v", err)
	}
	return p, nil
}

// Classifier returns what estimates how good predictions of a version are which are read by form.
// It is nil if the profile knows no labels. Errors say why these do not help.
func (r *Reference) Classifier(version int64, form *labels.Form) (*estimate.Classifier, error) {
	if r == nil || r.performance == nil {
		return nil, nil //nolint:nilnil // not an error
	}
	p := r.performance
	if of := r.profile.OutputsOf; of != 0 && of != version {
		return nil, infer.Errorf(infer.Invalid, "the labels in the profile are beside predictions of version %d", of)
	}
	if !reflect.DeepEqual(p.form, *form) {
		return nil, infer.Errorf(infer.Invalid, "the predictions in the profile are read in another way; make it again with the labels.* settings of the model")
	}
	p.fit.Do(func() {
		p.classifier, _ = estimate.NewClassifier(p.reference, estimate.Options{
			Scores: labels.ScoresOfBins(), Alpha: 1 - labels.Confidence, Margin: confseq.Margin,
		})
	})
	if p.classifier == nil {
		return nil, infer.Errorf(infer.Invalid, "the profile has %d rows with labels and %d bins; expected at least %d rows and the bins of this version of the gateway", p.reference.Rows, p.reference.Bins, estimate.MinRows)
	}
	return p.classifier, nil
}
