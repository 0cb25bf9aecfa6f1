package infer_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
)

func TestFloat16AllValuesRoundTrip(t *testing.T) {
	for h := range 1 << 16 {
		f := infer.FP16ToFloat32(uint16(h))
		if f != f {
			continue
		}
		if got := infer.Float32ToFP16(f); got != uint16(h) {
			t.Fatalf("fp16 %#04x -> %v -> %#04x", h, f, got)
		}
		b := infer.BF16ToFloat32(uint16(h))
		if b == b && infer.Float32ToBF16(b) != uint16(h) {
			t.Fatalf("bf16 %#04x -> %v -> %#04x", h, b, infer.Float32ToBF16(b))
		}
	}
}

// Every float32 between two neighbours must go to the nearer one, ties to even.
func TestFloat16RoundsToNearestEven(t *testing.T) {
	for h := range uint16(0x7bff) {
		lo, hi := float64(infer.FP16ToFloat32(h)), float64(infer.FP16ToFloat32(h+1))
		mid := float32((lo + hi) / 2)
		even := h + h&1
		for _, c := range []struct {
			f    float32
			want uint16
		}{{mid, even}, {math.Nextafter32(mid, 0), h}, {math.Nextafter32(mid, math.MaxFloat32), h + 1}} {
			if got := infer.Float32ToFP16(c.f); got != c.want {
				t.Fatalf("Float32ToFP16(%v) = %#04x, want %#04x", c.f, got, c.want)
			}
		}
	}
	if got := infer.Float32ToFP16(65520); got != 0x7c00 {
		t.Errorf("65520 = %#04x, want infinity", got)
	}
	if got := infer.Float32ToFP16(65519); got != 0x7bff {
		t.Errorf("65519 = %#04x, want the largest finite", got)
	}
	if got := infer.FP16ToFloat32(infer.Float32ToFP16(float32(math.NaN()))); got == got {
		t.Error("NaN was lost")
	}
}

func TestShapeSizes(t *testing.T) {
	f := func(s infer.Shape, d infer.DType, elements, bytes int64, elementsOK, bytesOK bool) {
		t.Helper()
		if n, ok := s.Elements(); ok != elementsOK || ok && n != elements {
			t.Errorf("%v.Elements() = %d, %v", s, n, ok)
		}
		if n, ok := s.ByteSize(d); ok != bytesOK || ok && n != bytes {
			t.Errorf("%v.ByteSize(%v) = %d, %v", s, d, n, ok)
		}
	}
	f(infer.Shape{}, infer.FP32, 1, 4, true, true)
	f(infer.Shape{0, 5}, infer.FP32, 0, 0, true, true)
	f(infer.Shape{2, 3}, infer.FP64, 6, 48, true, true)
	f(infer.Shape{2, 3}, infer.Bytes, 6, 24, true, true)
	f(infer.Shape{0, -1}, infer.FP32, 0, 0, false, false)
	f(infer.Shape{-1}, infer.FP32, 0, 0, false, false)
	// Overflow in elements, overflow only in bytes, and products that wrap to small numbers.
	f(infer.Shape{16, 1<<60 + 2}, infer.FP32, 0, 0, false, false)
	f(infer.Shape{4, 1<<60 + 2}, infer.FP32, 4*(1<<60+2), 0, true, false)
	f(infer.Shape{5, 3689348814741910325}, infer.FP32, 0, 0, false, false)
	f(infer.Shape{math.MaxInt64, math.MaxInt64, 2}, infer.Int8, 0, 0, false, false)
	f(infer.Shape{math.MaxInt64, 0, math.MaxInt64}, infer.FP32, 0, 0, false, false) // strict: a zero does not hide an overflow
}

func two() *infer.Model {
	spec := func(name string, optional bool) infer.TensorSpec {
		return infer.TensorSpec{Name: name, DType: infer.FP32, Shape: infer.Shape{-1, 2}, Symbols: []string{"N", ""}, Optional: optional}
	}
	return infer.NewModel("two", 1,
		[]infer.TensorSpec{spec("a", false), spec("b", false), spec("scale", true)},
		[]infer.TensorSpec{spec("sum", false), spec("diff", false)})
}

func in(name string, shape ...int64) infer.Tensor {
	n, _ := infer.Shape(shape).ByteSize(infer.FP32)
	return infer.Tensor{Name: name, DType: infer.FP32, Shape: shape, Data: make([]byte, max(0, min(n, 1<<10)))}
}

func TestCheckOrdersInputsAndFillsIndexes(t *testing.T) {
	r := &infer.Request{
		Inputs:  []infer.Tensor{in("scale", 1, 2), in("b", 1, 2), in("a", 1, 2)},
		Outputs: []infer.OutputRef{{Name: "diff"}, {Name: "sum"}},
	}
	m := two()
	if err := m.Check(r); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"a", "b", "scale"} {
		if r.Inputs[i].Name != want || r.Inputs[i].Index != i {
			t.Errorf("input %d is %q with index %d, want %q", i, r.Inputs[i].Name, r.Inputs[i].Index, want)
		}
	}
	if r.Outputs[0].Index != 1 || r.Outputs[1].Index != 0 {
		t.Errorf("output indexes %d, %d; want 1, 0", r.Outputs[0].Index, r.Outputs[1].Index)
	}
	if n := testing.AllocsPerRun(100, func() { _ = m.Check(r) }); n != 0 {
		t.Errorf("Check allocates %v times", n)
	}
}

func TestCheckRefuses(t *testing.T) {
	f := func(want string, outputs []infer.OutputRef, inputs ...infer.Tensor) {
		t.Helper()
		err := two().Check(&infer.Request{Inputs: inputs, Outputs: outputs})
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("got %v, want invalid: %s", err, want)
		}
	}
	a, b := in("a", 1, 2), in("b", 1, 2)
	f("expected number of inputs between 2 and 3 but got 1 inputs for model 'two'. Got input(s) ['a'], but missing required input(s) ['b']", nil, a)
	f("expected number of inputs between 2 and 3 but got 0 inputs for model 'two'. Got input(s) [], but missing required input(s) ['a','b']", nil)
	f("unexpected inference input 'zzz' for model 'two'", nil, a, b, in("zzz", 1, 2))
	f("input 'a' already exists in request", nil, a, b, a)
	f("unexpected inference output 'zzz' for model 'two'", []infer.OutputRef{{Name: "zzz"}}, a, b)
	f("output 'sum' already exists in request", []infer.OutputRef{{Name: "sum"}, {Name: "sum"}}, a, b)
	f("unexpected shape for input 'b' for model 'two'. Expected [-1,2], got [1,3]", nil, a, in("b", 1, 3))
	f("unexpected shape for input 'b' for model 'two'. Expected [-1,2], got [2]", nil, a, in("b", 2))
	f("got [-1,2]", nil, a, in("b", -1, 2))
	f("negative or too large", nil, a, in("b", math.MaxInt64, 2))
	short := in("b", 1, 2)
	short.Data = short.Data[:7]
	f("needs 8 bytes, got 7", nil, a, short)
	wrong := in("b", 1, 2)
	wrong.DType = infer.FP64
	f("inference input 'b' data-type is 'FP64', but model 'two' expects 'FP32'", nil, a, wrong)
}

func TestCheckCountsStringElements(t *testing.T) {
	m := infer.NewModel("s", 1, []infer.TensorSpec{{Name: "x", DType: infer.Bytes, Shape: infer.Shape{-1}}}, nil)
	f := func(shape infer.Shape, data string, ok bool) {
		t.Helper()
		err := m.Check(&infer.Request{Inputs: []infer.Tensor{{Name: "x", DType: infer.Bytes, Shape: shape, Data: []byte(data)}}})
		if (err == nil) != ok {
			t.Errorf("%v %q: %v", shape, data, err)
		}
	}
	f(infer.Shape{2}, "\x01\x00\x00\x00a\x00\x00\x00\x00", true)
	f(infer.Shape{0}, "", true)
	f(infer.Shape{1}, "\x02\x00\x00\x00a", false)
	f(infer.Shape{1}, "\x01\x00\x00", false)
	f(infer.Shape{2}, "\x01\x00\x00\x00a", false)
	f(infer.Shape{1}, "\x01\x00\x00\x00ab", false)
	f(infer.Shape{1 << 62}, "", false)
}

func TestResponseKeepsEarlierOutputs(t *testing.T) {
	r := infer.NewResponse()
	a := r.Add("a", 0, infer.Uint8, infer.Shape{3}, 3)
	copy(a, "abc")
	for range 10 { // forces new buffers
		copy(r.Add("b", 1, infer.Uint8, infer.Shape{1000}, 1000), strings.Repeat("x", 1000))
	}
	if string(r.Outputs[0].Data) != "abc" || !r.Outputs[0].Shape.Equal(infer.Shape{3}) {
		t.Errorf("first output became %q %v", r.Outputs[0].Data, r.Outputs[0].Shape)
	}
	r.Release()
}

func TestResponseCopies(t *testing.T) {
	r := infer.NewResponse()
	var want [][]byte
	for i, n := range []int{3, 2 << 20, 0, 1 << 20, 5, 1<<20 + 1} {
		data := bytes.Repeat([]byte{byte(i + 1)}, n)
		shape := infer.Shape{int64(n)}
		r.AddCopy("y", i, infer.Uint8, shape, data)
		want = append(want, bytes.Clone(data))
		clear(data)
		shape[0] = -1
	}
	for i, out := range r.Outputs {
		if !bytes.Equal(out.Data, want[i]) || !out.Shape.Equal(infer.Shape{int64(len(want[i]))}) || out.Index != i || out.DType != infer.Uint8 {
			t.Errorf("output %d has %d bytes and shape %v, or not those that were copied", i, len(out.Data), out.Shape)
		}
		_ = append(out.Data, 9) // must not reach the next output
	}
	if !bytes.Equal(r.Outputs[4].Data, want[4]) {
		t.Error("an output reaches into the next")
	}
	r.Release()
}

func TestExampleIsValid(t *testing.T) {
	var inputs []infer.TensorSpec
	for d := infer.Bool; d <= infer.Bytes; d++ {
		inputs = append(inputs, infer.TensorSpec{Name: d.String(), DType: d, Shape: infer.Shape{-1, 3, -1}})
	}
	inputs = append(inputs, infer.TensorSpec{Name: "scalar", DType: infer.FP32}, infer.TensorSpec{Name: "opt", DType: infer.FP32, Optional: true})
	m := infer.NewModel("m", 1, inputs, nil)
	r := &infer.Request{Inputs: m.Example(4, rand.New(rand.NewPCG(1, 2)))}
	if err := m.Check(r); err != nil {
		t.Fatal(err)
	}
	if r.Rows() != 4 {
		t.Errorf("%d rows, want 4", r.Rows())
	}
}
