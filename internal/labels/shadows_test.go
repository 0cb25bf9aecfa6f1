package labels_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
)

// mirrored keeps values that a version predicted as a shadow.
func mirrored(k *labels.Keeper, id string, values ...float32) {
	k.Keep(&infer.Request{RequestID: id, Arrived: time.Now()}, &infer.Response{Outputs: []infer.Tensor{
		{Name: "y", DType: infer.FP32, Shape: infer.Shape{int64(len(values)), 1}, Data: floats(values...)},
	}}, api.RoleShadow)
}

// measured is what a report says about a version in a role.
type measured struct {
	Version             int64
	Role                string
	Predictions, Labels uint64
	MAE                 float64
}

func (h *harness) measured(t *testing.T, model string) (list []measured) {
	t.Helper()
	for _, s := range h.report(t, model).Streams {
		m := measured{Version: s.Version, Role: s.Role, Predictions: s.Predictions, Labels: s.Labels}
		if len(s.Metrics) > 0 {
			m.MAE = s.Metrics[0].Value
		}
		list = append(list, m)
	}
	return list
}

// TestLabelsOfShadows: a label counts for the answer and for what each shadow predicted, whatever
// comes first, also if it is sent under the id of the body, replaced, or after a restart.
func TestLabelsOfShadows(t *testing.T) {
	h := start(t, labels.Options{Dir: t.TempDir()})
	shadow, second := regressor(), regressor()
	shadow.Version, second.Version = 2, 3
	k, k2, k3 := h.keeper(t, regressor()), h.keeper(t, shadow), h.keeper(t, second)
	k.Keep(&infer.Request{RequestID: "a", ID: "order", Arrived: time.Now()}, &infer.Response{Outputs: []infer.Tensor{
		{Name: "y", DType: infer.FP32, Shape: infer.Shape{2, 1}, Data: floats(1, 2)},
	}}, "stable")
	mirrored(k2, "a", 2, 3)
	mirrored(k2, "ab", 7) // its id begins with another one
	value := func(id string, row int, x float64) labels.Row {
		return labels.Row{RequestID: id, Row: row, Label: labels.NumberLabel(x)}
	}
	f := func(what string, want []string, rows ...labels.Row) {
		t.Helper()
		if diff := cmp.Diff(want, h.label(t, "price", rows...)); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	f("before a shadow", []string{api.LabelJoined, api.LabelJoined}, value("a", 0, 1), value("order", 1, 4))
	mirrored(k3, "a", 1, 1) // later than the labels
	predictValues(k, "b", 1)
	mirrored(k2, "b", 1)
	h.restart(t)
	f("replaced", []string{api.LabelDuplicate, api.LabelContradictory}, value("a", 0, 1), value("a", 1, 5))
	f("only the shadow's is kept", []string{api.LabelJoined, api.LabelUnknown}, value("ab", 0, 7), value("abc", 0, 7))
	want := []measured{
		{1, "stable", 3, 2, 1.5}, // |1-1|, |2-5|
		{2, "shadow", 4, 3, 1},   // |2-1|, |3-5|, |7-7|
		{3, "shadow", 2, 2, 2},   // |1-1|, |1-5|
	}
	if diff := cmp.Diff(want, h.measured(t, "price")); diff != "" {
		t.Error(diff)
	}
	if c := h.report(t, "price").Labels; c.Rows != 6 || c.Joined != 3 || c.Contradictory != 1 || c.Duplicate != 1 || c.Unknown != 1 {
		t.Errorf("%+v", c) // a label counts once
	}
}

// TestShadowsOfClassifiers: labels that came before the shadow's prediction are those of a class.
func TestShadowsOfClassifiers(t *testing.T) {
	h := start(t, labels.Options{Dir: t.TempDir()})
	shadow := classifier()
	shadow.Version = 2
	k, k2 := h.keeper(t, classifier()), h.keeper(t, shadow)
	predict(k, "a", 0.9, 0.1)
	if got := h.label(t, "churn", text("a", "yes")); got[0] != api.LabelJoined {
		t.Fatal(got)
	}
	k2.Keep(&infer.Request{RequestID: "a", Arrived: time.Now()}, &infer.Response{Outputs: []infer.Tensor{
		{Name: "probabilities", DType: infer.FP32, Shape: infer.Shape{2, 2}, Data: floats(0.8, 0.2, 0.8, 0.2), Index: 1},
	}}, api.RoleShadow)
	h.restart(t)
	streams := h.report(t, "churn").Streams
	if len(streams) != 2 || streams[1].Role != api.RoleShadow || streams[1].Labels != 1 || streams[1].Metrics[0].Value != 0 || streams[0].Metrics[0].Value != 1 {
		t.Errorf("%+v", streams)
	}
}
