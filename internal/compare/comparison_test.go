package compare_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/compare"
	"sluice.io/sluice/internal/infer"
)

func floats(name string, columns int64, values ...float32) infer.Tensor {
	t := infer.Tensor{Name: name, DType: infer.FP32, Shape: infer.Shape{int64(len(values)) / columns, columns}}
	for _, v := range values {
		t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(v))
	}
	return t
}

func texts(name string, values ...string) infer.Tensor {
	t := infer.Tensor{Name: name, DType: infer.Bytes, Shape: infer.Shape{int64(len(values))}}
	for _, v := range values {
		t.Data = infer.AppendElement(t.Data, v)
	}
	return t
}

func TestCompareAnswers(t *testing.T) {
	c := compare.New(compare.Options{Tolerance: 0.01, Payloads: true})
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	add := func(id string, before, now infer.Tensor) {
		c.Add(&compare.Pair{ID: id, Reference: []infer.Tensor{before}, Candidate: []infer.Tensor{now}, ReferenceTook: time.Millisecond, CandidateTook: 2 * time.Millisecond})
	}
	add("same", floats("p", 2, 0.2, 0.8, 0.5, 0.5), floats("p", 2, 0.2, 0.8, 0.5, 0.5))
	add("other class", floats("p", 2, 0.4, 0.6), floats("p", 2, 0.605, 0.395))
	add("within", floats("p", 2, 1000, 1), floats("p", 2, 1009, 1))
	add("nan", floats("p", 2, nan, nan), floats("p", 2, nan, 1))
	add("infinite", floats("p", 2, inf, 0), floats("p", 2, inf, 0))
	add("reshaped", floats("p", 2, 1, 2), floats("p", 1, 1, 2))
	add("missing", floats("p", 2, 1, 2), floats("q", 2, 1, 2))
	add("text", texts("t", "a", "b"), texts("t", "a", "c"))
	r := c.Report()
	p, text := r.Outputs[0], r.Outputs[1]
	if r.Compared != 8 || r.Differing != 5 {
		t.Errorf("%+v", r)
	}
	if p.Compared != 5 || p.Reshaped != 1 || p.Missing != 1 || p.Elements != 12 || p.Beyond != 3 || p.MaxAbsolute != 9 || p.NaNReference != 2 || p.NaNCandidate != 1 || p.Top1Rows != 3 || p.Top1Agree != 2 {
		t.Errorf("%+v", p)
	}
	if text.Elements != 2 || text.Beyond != 1 || text.Equal != 0.5 {
		t.Errorf("%+v", text)
	}
	if len(r.Worst) != 3 || r.Worst[0].RequestID != "nan" || r.Worst[0].Element != 1 || r.Worst[0].Candidate != "1" || r.Worst[2].RequestID != "other class" {
		t.Errorf("%+v", r.Worst)
	}
	if r.Reference.P50 < 980 || r.Reference.P50 > 1020 || r.Candidate.P99 < 1960 || r.Candidate.P99 > 2040 {
		t.Errorf("%+v %+v", r.Reference, r.Candidate)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

// Rows disagree by the kind of their output.
func TestDisagreement(t *testing.T) {
	c := compare.New(compare.Options{Tolerance: 0.001})
	f := func(want float64, reference, candidate infer.Tensor) {
		t.Helper()
		if got := c.Add(&compare.Pair{Reference: []infer.Tensor{reference}, Candidate: []infer.Tensor{candidate}}); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
	f(0, floats("scores", 2, 0.9, 0.1, 0.6, 0.4), floats("scores", 2, 0.6, 0.4, 0.9, 0.1))
	f(0.5, floats("scores", 2, 0.9, 0.1, 0.6, 0.4), floats("scores", 2, 0.9, 0.1, 0.4, 0.6))
	f(0.5, texts("label", "a", "b"), texts("label", "a", "c"))
	f(1, floats("missing", 1, 1), floats("other", 1, 1))
	f(1, floats("shape", 1, 1, 2), floats("shape", 2, 1, 2))
	// Numbers are judged by the standard deviation of those before, which is about 1.
	f(0, floats("number", 1, 1), floats("number", 1, 100))
	for range 50 {
		f(0, floats("number", 1, 1, -1), floats("number", 1, 1.4, -1))
	}
	f(0.5, floats("number", 1, 1, -1), floats("number", 1, 1.7, -1))
	f(1, floats("number", 1, 1), floats("number", 1, float32(math.NaN())))
	ints := func(values ...byte) infer.Tensor {
		return infer.Tensor{Name: "class", DType: infer.Uint8, Shape: infer.Shape{int64(len(values))}, Data: values}
	}
	f(0.25, ints(1, 2, 3, 4), ints(1, 2, 3, 5))
	r := c.Report()
	for _, o := range r.Outputs {
		switch o.Name {
		case "scores":
			if math.Abs(float64(o.Top1Reference)-0.75) > 1e-6 || len(o.Changes) != 1 || o.Changes[0] != (api.ClassChange{From: "0", To: "1", Rows: 1}) {
				t.Errorf("%+v", o)
			}
		case "class":
			if o.MeanDifference != 0.25 || o.Equal != 0.75 {
				t.Errorf("%+v", o)
			}
		}
	}
	text, err := json.Marshal(r)
	if err != nil || strings.Contains(string(text), `"c"`) || !strings.Contains(string(text), "1 bytes") {
		t.Errorf("%v: text is shown only with Payloads: %s", err, text)
	}
	var back api.Comparison
	if err := json.Unmarshal(text, &back); err != nil || len(back.Outputs) != len(r.Outputs) {
		t.Errorf("%v %+v", err, back)
	}
}

func TestPayloads(t *testing.T) {
	c := compare.New(compare.Options{Payloads: true})
	c.Add(&compare.Pair{
		ID: "r", Inputs: []infer.Tensor{floats("x", 2, 1, 2, 3, 4), texts("t", "a", "b")},
		Reference: []infer.Tensor{texts("label", "a", "b")}, Candidate: []infer.Tensor{texts("label", "a", "c")},
	})
	want := api.RowDifference{RequestID: "r", Output: "label", Row: 1, Reference: `"b"`, Candidate: `"c"`, Inputs: map[string]string{"x": "3 4", "t": `"b"`}}
	if diff := cmp.Diff([]api.RowDifference{want}, c.Report().Worst); diff != "" {
		t.Error(diff)
	}
}
