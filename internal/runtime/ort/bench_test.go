package ort_test

import (
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// BenchmarkPredict runs a tiny model (16 numbers to 1), so that it shows the cost of the three
// steps besides the run itself.
func BenchmarkPredict(b *testing.B) {
	g := onnxgen.New("lin")
	x := g.Input("x", infer.FP32, "N", 16)
	w := g.Init(onnxgen.Normal(onnxgen.Rand(1), 0.1, 16, 1))
	g.Output("y", infer.FP32, g.Op("Sigmoid", g.Op("MatMul", x, w)), "N", 1)
	s := load(b, g, options())
	instance := newInstance(b, s)
	reqs := []*infer.Request{request(b, s, nil, infer.Tensor{Name: "x", DType: infer.FP32, Shape: infer.Shape{1, 16}, Data: make([]byte, 64)})}
	b.ReportAllocs()
	for b.Loop() {
		if err := instance.Gather(reqs); err != nil {
			b.Fatal(err)
		}
		if err := instance.Run(); err != nil {
			b.Fatal(err)
		}
		resp := infer.NewResponse()
		if err := instance.Scatter(0, resp); err != nil {
			b.Fatal(err)
		}
		resp.Release()
	}
}
