package batch_test

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

// eachRow computes an output row from its input row alone.
func eachRow(f func(in, out []float32)) func(matrix) (matrix, error) {
	return func(x matrix) (matrix, error) {
		y := matrix{x.rows, x.cols, make([]float32, len(x.data))}
		for i := range x.rows {
			f(x.row(i), y.row(i))
		}
		return y, nil
	}
}

// across computes an output row from its input row, its place, and the sums and
// the number of all rows.
func across(f func(v, sum float32, i, rows int) float32) func(matrix) (matrix, error) {
	return func(x matrix) (matrix, error) {
		y := matrix{x.rows, x.cols, make([]float32, len(x.data))}
		for j := range x.cols {
			sum := float32(0)
			for i := range x.rows {
				sum += x.row(i)[j]
			}
			for i := range x.rows {
				y.row(i)[j] = f(x.row(i)[j], sum, i, x.rows)
			}
		}
		return y, nil
	}
}

func TestProbe(t *testing.T) {
	f := func(name string, compute func(matrix) (matrix, error), want string) {
		t.Helper()
		instance := newFake()
		instance.compute = compute
		got := probe(t.Context(), instance, ioModel())
		if got.Batchable != (want == "") || !strings.Contains(got.Reason, want) || got.Reason == "" {
			t.Errorf("%s: %+v, want reason %q", name, got, want)
		}
		if undecided := strings.Contains(want, "made-up data"); got.Undecided != undecided {
			t.Errorf("%s: %+v, want undecided: %t", name, got, undecided)
		}
	}
	const changes = "output 'y' of a row changes with the rows beside it"
	f("row by row", nil, "")
	f("row sums", eachRow(func(in, out []float32) {
		for i := range in {
			for _, v := range in {
				out[i] += v
			}
		}
	}), "")
	f("not a number", eachRow(func(_, out []float32) {
		for i := range out {
			out[i] = float32(math.NaN())
		}
	}), "gives equal answers to all made-up data")
	f("noise of rounding", across(func(v, _ float32, _, rows int) float32 { return v * (1 + 1e-6*float32(rows)) }), "")
	f("more than rounding", across(func(v, _ float32, _, rows int) float32 { return v * (1 + 1e-3*float32(rows)) }), "made-up data, output 'y'")
	f("mean of the rows", across(func(_, sum float32, _, rows int) float32 { return sum / float32(rows) }), changes)
	f("batch normalising", across(func(v, sum float32, _, rows int) float32 { return v - sum/float32(rows) }), changes)
	f("share of the sum", across(func(v, sum float32, _, _ int) float32 { return v / sum }), changes)
	f("place in the run", across(func(v, _ float32, i, _ int) float32 { return v + float32(i) }), changes)
	f("size of the run", across(func(v, _ float32, _, rows int) float32 { return v + 1/float32(rows) }), changes)
	f("cumulative sum", func(x matrix) (matrix, error) {
		y, err := double(x)
		for i := 1; i < x.rows; i++ {
			for j := range x.cols {
				y.row(i)[j] += y.row(i - 1)[j]
			}
		}
		return y, err
	}, changes)
	f("columns mixed across rows", func(x matrix) (matrix, error) { // seen only with several columns
		y, err := double(x)
		if x.cols > 1 {
			y.data[len(y.data)-1] = x.data[0]
		}
		return y, err
	}, changes)
	f("reduced over the rows", func(x matrix) (matrix, error) { return matrix{1, x.cols, make([]float32, x.cols)}, nil }, "has shape [1,1] for 3 rows")
	f("rows dropped", func(x matrix) (matrix, error) { return matrix{0, x.cols, nil}, nil }, "has shape [0,1] for 1 row")
	f("no more than one row", func(x matrix) (matrix, error) {
		if x.rows > 1 {
			return matrix{}, errors.New("one row only")
		}
		return double(x)
	}, "rows that run alone fail together")
	f("only two columns", func(x matrix) (matrix, error) {
		if x.cols != 2 {
			return matrix{}, errors.New("two columns only")
		}
		return double(x)
	}, "")
	f("never", func(matrix) (matrix, error) { return matrix{}, errors.New("no") }, "refuses made-up data")
	f("panic", func(matrix) (matrix, error) { panic("no") }, "refuses made-up data")
}

func TestProbeOfOperatorsThatMix(t *testing.T) {
	instance := newFake()
	got := batch.Probe(t.Context(), instance, ioModel(), batch.ProbeOptions{Mixes: "DynamicQuantizeLinear", Timeout: time.Second, MaxBytes: 1 << 20})
	if got.Batchable || got.Undecided || got.Summary != "no, rows mix" || got.Reason != "operator DynamicQuantizeLinear quantizes a row by all rows of a run" {
		t.Errorf("%+v", got)
	}
	if n := len(instance.history()); n != 0 {
		t.Errorf("%d runs", n)
	}
}

func TestAProbeWithoutLimitsIsABug(t *testing.T) {
	f := func(want string, o batch.ProbeOptions) {
		t.Helper()
		defer func() {
			if text, ok := recover().(string); !ok || !strings.Contains(text, want) {
				t.Errorf("%q, want %q", text, want)
			}
		}()
		batch.Probe(t.Context(), newFake(), ioModel(), o)
	}
	f("Timeout is 0", batch.ProbeOptions{MaxBytes: 1})
	f("MaxBytes is 0", batch.ProbeOptions{Timeout: time.Second})
}

func TestProbeOfSlowModelsIsShort(t *testing.T) {
	virtual(t, func(t *testing.T) {
		instance := newFake()
		instance.takes = constant(time.Second)
		begin := time.Now()
		if got := probe(t.Context(), instance, ioModel()); !got.Batchable {
			t.Error(got.Reason)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestProbeOfSignatures(t *testing.T) {
	spec := func(name, symbol string, shape ...int64) infer.TensorSpec {
		symbols := make([]string, len(shape))
		if len(shape) > 0 {
			symbols[0] = symbol
		}
		return infer.TensorSpec{Name: name, DType: infer.FP32, Shape: shape, Symbols: symbols}
	}
	type specs = []infer.TensorSpec
	f := func(inputs, outputs specs, want string) {
		t.Helper()
		got := probe(t.Context(), newFake(), infer.NewModel("m", 1, inputs, outputs))
		if got.Batchable != (want == "") || !strings.Contains(got.Reason, want) {
			t.Errorf("%+v, want reason %q", got, want)
		}
	}
	x, y := spec("x", "N", -1, 3), spec("y", "N", -1, 3)
	optional := spec("w", "", 3)
	optional.Optional = true
	f(specs{x}, specs{y}, "")
	f(specs{x, optional}, specs{y}, "")
	f(specs{x}, specs{spec("y", "", -1, 3)}, "")
	f(specs{spec("x", "", -1, 3)}, specs{spec("y", "", -1, 3)}, "")
	f(specs{spec("x", "", 1, 3)}, specs{y}, "input 'x' has no free first dimension")
	f(specs{x, spec("scale", "")}, specs{y}, "input 'scale' has no first dimension")
	f(specs{x, spec("z", "M", -1, 3)}, specs{y}, "")
	f(specs{x}, specs{y, spec("loss", "")}, "output 'loss' has no first dimension")
	f(specs{x}, specs{spec("y", "K", -1, 3)}, "")
	f(nil, specs{y}, "no input")
	f(specs{optional}, specs{y}, "no input")
}

func TestEqualWithinTolerance(t *testing.T) {
	f := func(d infer.DType, a, b []byte, want bool) {
		t.Helper()
		tensor := func(data []byte) *infer.Tensor {
			return &infer.Tensor{DType: d, Shape: infer.Shape{1}, Data: data}
		}
		if got := batch.Equal(tensor(a), tensor(b), 1e-4); got != want {
			t.Errorf("%v %v and %v: equal %v, want %v", d, a, b, got, want)
		}
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	f(infer.FP32, floats(1), floats(1.00015), true)
	f(infer.FP32, floats(1), floats(1.0003), false)
	f(infer.FP32, floats(1000), floats(1000.09), true) // relative
	f(infer.FP32, floats(0), floats(0.00009), true)    // absolute
	f(infer.FP32, floats(nan), floats(nan), true)
	f(infer.FP32, floats(nan), floats(1), false)
	f(infer.FP32, floats(inf), floats(inf), true)
	f(infer.FP32, floats(inf), floats(-inf), false)
	f(infer.FP32, floats(inf), floats(1), false)
	le := binary.LittleEndian
	f64 := func(v float64) []byte { return le.AppendUint64(nil, math.Float64bits(v)) }
	f(infer.FP64, f64(1), f64(1.00015), true)
	f(infer.FP64, f64(1), f64(1.0003), false)
	f16 := func(v float32) []byte { return le.AppendUint16(nil, infer.Float32ToFP16(v)) }
	f(infer.FP16, f16(1), f16(1.01), true)
	f(infer.FP16, f16(1), f16(1.02), false)
	bf16 := func(v float32) []byte { return le.AppendUint16(nil, infer.Float32ToBF16(v)) }
	f(infer.BF16, bf16(1), bf16(1.09), true)
	f(infer.BF16, bf16(1), bf16(1.2), false)
	f(infer.Int64, le.AppendUint64(nil, 1), le.AppendUint64(nil, 2), false)
	f(infer.Bool, []byte{1}, []byte{1}, true)
	f(infer.Bytes, infer.AppendElement(nil, "a"), infer.AppendElement(nil, "b"), false)
	if batch.Equal(&infer.Tensor{DType: infer.Bool, Shape: infer.Shape{1, 2}}, &infer.Tensor{DType: infer.Bool, Shape: infer.Shape{2, 1}}, 0) {
		t.Error("tensors of different shape are equal")
	}
}
