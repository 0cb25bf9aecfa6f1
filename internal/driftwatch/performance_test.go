package driftwatch

import (
	"encoding/json"
	"strings"
	"testing"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/estimate"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
)

func TestClassifierOfAProfile(t *testing.T) {
	form := labels.Form{Task: "classification", Output: "p", Kind: "score", Width: 1, Positive: 1}
	profile := func(rows int64, bins int) *Reference {
		t.Helper()
		text, err := json.Marshal(form)
		if err != nil {
			t.Fatal(err)
		}
		section, err := (&estimate.Reference{
			Form: text, Rows: rows, Bins: bins, Confusion: [][]int64{{rows, 0}, {0, 0}},
			Curves: []estimate.Curve{{Bins: []int{0}, Rows: []int64{rows}, Hits: []int64{0}}},
		}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		r := &Reference{profile: &drift.Profile{OutputsOf: 2, Performance: section}}
		if r.performance, err = r.readPerformance(); err != nil {
			t.Fatal(err)
		}
		return r
	}
	bins := len(labels.ScoresOfBins())
	f := func(r *Reference, version int64, form labels.Form, want string) {
		t.Helper()
		c, err := r.Classifier(version, &form)
		if want == "" && (err != nil || c == nil) || want != "" && (c != nil || err == nil || !strings.Contains(infer.Message(err), want)) {
			t.Errorf("%v %v, want %q", c, err, want)
		}
	}
	f(profile(200, bins), 2, form, "")
	f(profile(200, bins), 3, form, "predictions of version 2")
	other := form
	other.Logits = true
	f(profile(200, bins), 2, other, "read in another way")
	f(profile(99, bins), 2, form, "99 rows with labels")
	f(profile(200, bins/2), 2, form, "the bins of this version")

	for _, r := range []*Reference{nil, {err: infer.Errorf(infer.Invalid, "no file")}, {profile: &drift.Profile{}}} {
		if c, err := r.Classifier(1, &form); c != nil || err != nil {
			t.Errorf("%+v: %v %v", r, c, err)
		}
	}
	damaged := &Reference{profile: &drift.Profile{Performance: json.RawMessage(`{"rows":1}`)}}
	if _, err := damaged.readPerformance(); infer.CodeOf(err) != infer.Invalid {
		t.Error(err)
	}
}
