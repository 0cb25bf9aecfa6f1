package labels_test

import (
	"encoding/binary"
	"math"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
)

func TestPredicted(t *testing.T) {
	scores := labels.Form{Task: "classification", Output: "p", Kind: "scores", Width: 2}
	value := labels.Form{Task: "regression", Output: "y", Kind: "value", Width: 1}
	class := labels.Form{Task: "classification", Output: "c", Kind: "class", Width: 1}
	f := func(form labels.Form, a, b infer.Tensor, label labels.Label, loss, other float64, same bool) {
		t.Helper()
		x, ok := form.Predicted(&a, 1)
		y, ok2 := form.Predicted(&b, 1)
		if !ok || !ok2 {
			t.Fatal("no predictions")
		}
		if got, ok := x.Loss(0, label); ok == math.IsNaN(loss) || ok && got != loss {
			t.Errorf("%s: loss %v %v, want %v", form.Kind, got, ok, loss)
		}
		if got, ok := y.Loss(0, label); ok == math.IsNaN(other) || ok && got != other {
			t.Errorf("%s: the other's loss %v %v, want %v", form.Kind, got, ok, other)
		}
		if got := x.Same(y, 0); got != same {
			t.Errorf("%s: same is %v", form.Kind, got)
		}
	}
	f(scores, output(0.9, 0.1), output(0.2, 0.8), labels.NumberLabel(0), 0, 1, false)
	f(scores, output(0.9, 0.1), output(0.6, 0.4), labels.NumberLabel(1), 1, 1, true)
	f(scores, output(0.9, 0.1), output(0.6, 0.4), labels.NumberLabel(2), math.NaN(), math.NaN(), true)
	f(value, output(3), output(5), labels.NumberLabel(4), 1, 1, false)
	f(value, output(1000), output(1000.5), labels.NumberLabel(1000), 0, 0.5, true)
	f(value, output(float32(math.NaN())), output(1), labels.NumberLabel(1), math.NaN(), 0, false)
	f(class, infer.Tensor{DType: infer.Int64, Shape: infer.Shape{1}, Data: []byte{3, 0, 0, 0, 0, 0, 0, 0}},
		infer.Tensor{DType: infer.Int64, Shape: infer.Shape{1}, Data: []byte{4, 0, 0, 0, 0, 0, 0, 0}}, labels.NumberLabel(3), 0, 1, false)

	short := output(1)
	if _, ok := scores.Predicted(&short, 1); ok {
		t.Error("a row that is cut off has predictions")
	}
	if scores.LossName() != "error" || value.LossName() != "absolute_error" {
		t.Errorf("%s, %s", scores.LossName(), value.LossName())
	}
}

// output returns one row of an output.
func output(values ...float32) infer.Tensor {
	t := infer.Tensor{DType: infer.FP32, Shape: infer.Shape{1, int64(len(values))}}
	for _, v := range values {
		t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(v))
	}
	return t
}
