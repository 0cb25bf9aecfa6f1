// Package onnxgen writes small ONNX models for tests and benchmarks, so that no model has to be
// committed. The same calls give the same bytes.
//
//	g := onnxgen.New("lin")
//	x := g.Input("input", infer.FP32, "N", 16)
//	w := g.Init(onnxgen.Normal(rng, 0.1, 16, 1))
//	g.Output("output", infer.FP32, g.Op("Sigmoid", g.Op("MatMul", x, w)), "N", 1)
//	g.Write(repository, 1) // <repository>/lin/1/model.onnx
//
// Misuse panics: a model that a test builds wrongly is a bug in that test. ONNX itself is not
// checked here: ONNX Runtime does that when it loads.
package onnxgen
