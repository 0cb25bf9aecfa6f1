package ort_test

import (
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// TestEveryTypeAndShape sends patterns through Identity, twice each, so that both ways of
// receiving outputs are covered.
func TestEveryTypeAndShape(t *testing.T) {
	shapes := []infer.Shape{{}, {1}, {0}, {3, 2}, {2, 0, 3}, {1, 2, 1, 3, 1, 2, 1}}
	for d := infer.Bool; d <= infer.Bytes; d++ {
		for _, shape := range shapes {
			t.Run(d.String()+shape.String(), func(t *testing.T) {
				g := onnxgen.New("identity")
				dims := make([]any, len(shape))
				for i := range dims {
					dims[i] = string(rune('a' + i))
				}
				g.Output("y", d, g.Op("Identity", g.Input("x", d, dims...)), dims...)
				s := load(t, g, options())
				x := infer.Tensor{Name: "x", DType: d, Shape: shape, Data: pattern(t, d, shape)}
				y := x
				y.Name = "y"
				instance := newInstance(t, s)
				for range 2 {
					same(t, mustPredict(t, instance, request(t, s, nil, x)), y)
				}
			})
		}
	}
}

func pattern(t *testing.T, d infer.DType, shape infer.Shape) (data []byte) {
	t.Helper()
	n, ok := shape.Elements()
	if !ok {
		t.Fatal(shape)
	}
	for i := range n {
		switch d {
		case infer.Bool:
			data = append(data, byte(i&1))
		case infer.Bytes:
			data = infer.AppendElement(data, []string{"", "a\x00b", "\x00", "grüß\xff", strings.Repeat("long ", 100)}[i%5])
		default:
			for range d.Size() {
				data = append(data, byte(17*len(data)+1)%0x70)
			}
		}
	}
	return data
}

// A byte other than 0 and 1 is not a valid C++ bool: kernels that count and then copy would
// write past the end.
func TestBoolIsNormalised(t *testing.T) {
	g := onnxgen.New("bool")
	x := g.Input("x", infer.Bool, "N")
	g.Output("y", infer.Bool, g.Op("Identity", x), "N")
	g.Output("where", infer.Int64, g.Op("NonZero", x), 1, "K")
	s := load(t, g, options())
	got := mustPredict(t, newInstance(t, s), request(t, s, nil,
		infer.Tensor{Name: "x", DType: infer.Bool, Shape: infer.Shape{4}, Data: []byte{0, 255, 1, 2}}))
	same(t, got, infer.Tensor{Name: "y", DType: infer.Bool, Shape: infer.Shape{4}, Data: []byte{0, 1, 1, 1}},
		named("where", 1, onnxgen.Int64s([]int64{1, 2, 3}, 1, 3)))
}

func TestSignature(t *testing.T) {
	g := onnxgen.New("signature")
	x := g.Input("x", infer.FP32, "batch", nil, 3)
	bias := g.InputWithDefault(named("bias", 0, onnxgen.Float32s([]float32{1, 2, 3}, 3)), 3)
	g.Output("y", infer.FP32, g.Op("Add", x, bias), "batch", nil, 3)
	g.Output("rank", infer.Int64, g.Op("Size", x))
	m := load(t, g, options()).Model()
	if m.Name != "signature" || m.Version != 1 {
		t.Errorf("%s version %d", m.Name, m.Version)
	}
	f := func(got, want infer.TensorSpec) {
		t.Helper()
		if got.Name != want.Name || got.DType != want.DType || !got.Shape.Equal(want.Shape) ||
			strings.Join(got.Symbols, "|") != strings.Join(want.Symbols, "|") || got.Optional != want.Optional {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	f(m.Inputs[0], infer.TensorSpec{Name: "x", DType: infer.FP32, Shape: infer.Shape{-1, -1, 3}, Symbols: []string{"batch", "", ""}})
	f(m.Inputs[1], infer.TensorSpec{Name: "bias", DType: infer.FP32, Shape: infer.Shape{3}, Symbols: []string{""}, Optional: true})
	f(m.Outputs[0], infer.TensorSpec{Name: "y", DType: infer.FP32, Shape: infer.Shape{-1, -1, 3}, Symbols: []string{"batch", "", ""}})
	f(m.Outputs[1], infer.TensorSpec{Name: "rank", DType: infer.Int64})
}

func TestRefusedTypes(t *testing.T) {
	f := func(g *onnxgen.Graph, want string) {
		t.Helper()
		before := env.Memory().InUse()
		s, err := env.Load(write(t, g), options())
		if err == nil {
			t.Fatal("loaded", s.Close())
		}
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("got %v %q, want %q", infer.CodeOf(err), infer.Message(err), want)
		}
		if env.Memory().InUse() != before {
			t.Error("a refused model keeps memory")
		}
	}
	scores := func(name string) (*onnxgen.Graph, *onnxgen.Value) {
		g := onnxgen.New(name)
		g.Opset("ai.onnx.ml", 1)
		return g, g.Input("x", infer.FP32, "N", 2)
	}
	g, x := scores("zipmap")
	zip := g.OpIn("ai.onnx.ml", "ZipMap", x).Ints("classlabels_int64s", 0, 1)
	g.OutputOf("output_probability", zip, onnxgen.Sequence(onnxgen.Map(infer.Int64, onnxgen.Tensor(infer.FP32))))
	f(g, "output 'output_probability' has the type sequence(map), and only tensors can be served; export the model with only tensors as inputs and outputs (skl2onnx: options={'zipmap': False})")

	g, x = scores("sequence")
	g.OutputOf("list", g.Op("SequenceConstruct", x, x), onnxgen.Sequence(onnxgen.Tensor(infer.FP32, "N", 2)))
	f(g, "output 'list' has the type sequence(tensor)")

	g = onnxgen.New("optional")
	maybe := g.InputOf("maybe", onnxgen.Optional(onnxgen.Tensor(infer.FP32, "N")))
	g.Output("y", infer.FP32, g.Op("OptionalGetElement", maybe), "N")
	f(g, "input 'maybe' has the type optional(tensor)")

	g = onnxgen.New("unranked")
	g.OutputOf("y", g.Op("Identity", g.InputOf("x", onnxgen.Unranked(infer.FP32))), onnxgen.Unranked(infer.FP32))
	f(g, "input 'x' declares no shape")

	for code, name := range map[int64]string{17: "float8e4m3fn", 22: "int4"} {
		g = onnxgen.New(name)
		g.Opset("", 21)
		g.Output("y", infer.FP32, g.Op("Cast", g.InputOf("x", onnxgen.RawTensor(code, "N"))).Int("to", 1), "N")
		f(g, "input 'x' has the element type "+name)
	}
	g = onnxgen.New("complex64")
	g.OutputOf("y", g.Op("Identity", g.InputOf("x", onnxgen.RawTensor(14, "N"))), onnxgen.RawTensor(14, "N"))
	f(g, "tensor(complex64) is not currently registered or supported") // by the runtime, in its own words
}
