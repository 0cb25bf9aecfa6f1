package labels_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// harness is a running store.
type harness struct {
	*labels.Store

	options labels.Options
	cancel  context.CancelFunc
	ended   chan error
}

func start(t *testing.T, o labels.Options) *harness {
	t.Helper()
	h := prepare(o)
	h.run(t)
	t.Cleanup(func() { h.stop(t) })
	return h
}

// prepare returns a store that does not run yet: what is kept waits until run.
func prepare(o labels.Options) *harness {
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if o.MaxAge == 0 {
		o.MaxAge = 24 * time.Hour
	}
	o.Logger = zap.NewNop()
	return &harness{Store: labels.New(o), options: o}
}

func (h *harness) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	h.cancel, h.ended = cancel, make(chan error, 1)
	go func() { h.ended <- h.Run(ctx) }() // received by stop
}

func (h *harness) stop(t *testing.T) {
	t.Helper()
	if h.cancel == nil {
		return
	}
	h.cancel()
	h.cancel = nil
	if err := <-h.ended; err != nil {
		t.Error(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

// restart stops the store and starts it on the same file.
func (h *harness) restart(t *testing.T) {
	t.Helper()
	h.stop(t)
	h.Store = labels.New(h.options)
	h.run(t)
}

// classifier has scores of two classes and a class, as models of scikit-learn do.
func classifier() *infer.Model {
	return infer.NewModel("churn", 1, nil, []infer.TensorSpec{
		{Name: "label", DType: infer.Bytes, Shape: infer.Shape{-1}},
		{Name: "probabilities", DType: infer.FP32, Shape: infer.Shape{-1, 2}, Labels: []string{"no", "yes"}},
	})
}

func regressor() *infer.Model {
	return infer.NewModel("price", 1, nil, []infer.TensorSpec{{Name: "y", DType: infer.FP32, Shape: infer.Shape{-1, 1}}})
}

func (h *harness) keeper(t testing.TB, m *infer.Model) *labels.Keeper {
	t.Helper()
	k, err := h.Keeper(infer.Version{Model: m.Name, Number: m.Version}, labels.KeepOptions{
		Model: m, Sample: api.TotalWeight, MaxRows: 100, MaxBytes: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func floats(values ...float32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// predict keeps rows with these probabilities of yes.
func predict(k *labels.Keeper, id string, yes ...float32) {
	var p []float32
	for _, y := range yes {
		p = append(p, 1-y, y)
	}
	k.Keep(&infer.Request{RequestID: id, Arrived: time.Now()}, &infer.Response{Outputs: []infer.Tensor{
		{Name: "probabilities", DType: infer.FP32, Shape: infer.Shape{int64(len(yes)), 2}, Data: floats(p...), Index: 1},
	}}, "stable")
}

func predictValues(k *labels.Keeper, id string, values ...float32) {
	k.Keep(&infer.Request{RequestID: id, Arrived: time.Now()}, &infer.Response{Outputs: []infer.Tensor{
		{Name: "y", DType: infer.FP32, Shape: infer.Shape{int64(len(values)), 1}, Data: floats(values...)},
	}}, "stable")
}

// label sends labels and returns their results.
func (h *harness) label(t *testing.T, model string, rows ...labels.Row) (statuses []string) {
	t.Helper()
	for _, r := range h.results(t, model, rows...) {
		statuses = append(statuses, r.Status)
	}
	return statuses
}

func (h *harness) results(t *testing.T, model string, rows ...labels.Row) (list []labels.Result) {
	t.Helper()
	j := h.Join(model, labels.JoinOptions{Sample: api.TotalWeight, Watermark: time.Hour})
	for _, r := range rows {
		results, err := j.Add(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, results...)
	}
	results, err := j.Flush(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return append(list, results...)
}

func (h *harness) report(t *testing.T, model string) api.LabelReport {
	t.Helper()
	r, err := h.Report(model, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func metric(t *testing.T, s *api.LabelStream, name string) api.LabelMetric {
	t.Helper()
	for _, m := range s.Metrics {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("no %s in %+v", name, s.Metrics)
	return api.LabelMetric{}
}

func text(id, label string) labels.Row {
	return labels.Row{RequestID: id, Label: labels.Label{Text: label}}
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-6*max(1, math.Abs(want))) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestJoin(t *testing.T) {
	h := start(t, labels.Options{Dir: t.TempDir()})
	k := h.keeper(t, classifier())
	predict(k, "a", 0.9, 0.2)
	predict(k, "b", 0.4)
	f := func(want string, r labels.Row) {
		t.Helper()
		if got := h.label(t, "churn", r); len(got) != 1 || got[0] != want {
			t.Errorf("%+v: %v, want %s", r, got, want)
		}
	}
	yes, no := labels.Label{Text: "yes"}, labels.Label{Text: "no"}
	f("joined", labels.Row{RequestID: "a", Label: yes})
	f("duplicate", labels.Row{RequestID: "a", Label: yes})
	f("joined", labels.Row{RequestID: "a", Row: 1, Label: yes})
	f("contradictory", labels.Row{RequestID: "a", Row: 1, Label: no})
	f("unknown", labels.Row{RequestID: "a", Row: 2, Label: no})
	f("unknown", labels.Row{RequestID: "z", Label: no})
	f("invalid", labels.Row{RequestID: "b", Label: labels.Label{Text: "maybe"}})
	f("invalid", labels.Row{RequestID: "b", Label: yes, Time: time.Now().Add(48 * time.Hour)})
	f("joined", labels.Row{RequestID: "b", Label: yes, Time: time.Now().Add(-time.Minute)}) // before the prediction
	check := func() {
		t.Helper()
		r := h.report(t, "churn")
		want := api.LabelCounts{Rows: 9, Joined: 3, Unknown: 2, Duplicate: 1, Contradictory: 1, Invalid: 2, BeforePrediction: 1}
		if r.Labels != want || len(r.Streams) != 1 {
			t.Fatalf("%+v", r)
		}
		s := &r.Streams[0]
		if s.Predictions != 3 || s.Labels != 3 || s.Coverage != 1 || s.Role != "stable" || s.Version != 1 || s.Positive != "yes" {
			t.Errorf("%+v", s)
		}
		near(t, "accuracy", metric(t, s, "accuracy").Value, 2.0/3)
		near(t, "brier", metric(t, s, "brier").Value, (0.01+0.04+0.36)/3)
		near(t, "log loss", metric(t, s, "log_loss").Value, -(math.Log(0.9)+math.Log(0.8)+math.Log(0.4))/3)
		near(t, "auc", metric(t, s, "auc").Value, 1)
	}
	check()
	h.restart(t)
	check()
}

func TestRegression(t *testing.T) {
	h := start(t, labels.Options{Dir: t.TempDir()})
	k := h.keeper(t, regressor())
	predictValues(k, "a", 1, 2, 3, float32(math.NaN()))
	row := func(i int, x float64) labels.Row {
		return labels.Row{RequestID: "a", Row: i, Label: labels.NumberLabel(x)}
	}
	got := h.label(t, "price", row(0, 2), row(1, 2), row(2, 1), row(3, 1), row(0, math.NaN()), row(0, math.Inf(1)), text("a", "big"))
	if fmt.Sprint(got) != "[joined joined joined joined invalid invalid invalid]" {
		t.Error(got)
	}
	r := h.report(t, "price")
	s := &r.Streams[0]
	near(t, "mae", metric(t, s, "mae").Value, 1)
	near(t, "rmse", metric(t, s, "rmse").Value, math.Sqrt(5.0/3))
	near(t, "bias", metric(t, s, "bias").Value, 1.0/3)
	if s.Unmeasured != 1 || s.Labels != 4 || r.Labels.Invalid != 3 {
		t.Errorf("%+v", r)
	}
}
