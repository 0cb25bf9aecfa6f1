package onnxfile_test

import (
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/testing/onnxgen"
)

func TestMixes(t *testing.T) {
	f := func(want string, g *onnxgen.Graph) {
		t.Helper()
		if got, err := onnxfile.TraitsOf(holding(t, g.Bytes()), "model.onnx"); err != nil || got.Mixes != want {
			t.Errorf("%+v, %v, want %q", got, err, want)
		}
	}
	op := func(domain, name string) *onnxgen.Graph {
		g := onnxgen.New("m")
		if domain != "" {
			g.Opset(domain, 1)
		}
		x := g.Input("input", infer.FP32, "N", 4)
		g.Output("output", infer.FP32, g.OpIn(domain, name, g.Op("Relu", x), x), "N", 4)
		return g
	}
	f("", onnxgen.Lin())
	f("", op("", "QuantizeLinear")) // its scale is a constant
	f("DynamicQuantizeLinear", op("", "DynamicQuantizeLinear"))
	f("DynamicQuantizeMatMul", op("com.microsoft", "DynamicQuantizeMatMul"))
	f("", op("example.com", "DynamicQuantizeMatMul"))
}
