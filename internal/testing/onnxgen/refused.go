package onnxgen

import "sluice.io/sluice/internal/infer"

// mlOpset is the version of the ai.onnx.ml domain that the models here use.
const mlOpset = 3

// ZipMap is the default result of converters of classifiers: "output" is a sequence of maps
// from class to probability.
func ZipMap() *Graph {
	g := New("zipmap")
	g.Opset("ai.onnx.ml", mlOpset)
	x := g.Input("input", infer.FP32, "N", 3)
	maps := g.OpIn("ai.onnx.ml", "ZipMap", x).Ints("classlabels_int64s", 0, 1, 2)
	g.OutputOf("output", maps, Sequence(Map(infer.Int64, Tensor(infer.FP32))))
	return g
}

// SequenceOutput returns the rows of "input" FP32 [N, 4] as a sequence.
func SequenceOutput() *Graph {
	g := New("sequence_output")
	x := g.Input("input", infer.FP32, "N", 4)
	g.OutputOf("output", g.Op("SplitToSequence", x), Sequence(Tensor(infer.FP32, nil, 4)))
	return g
}

// SequenceInput takes a sequence of FP32 [4] and returns its length.
func SequenceInput() *Graph {
	g := New("sequence_input")
	x := g.InputOf("input", Sequence(Tensor(infer.FP32, 4)))
	g.Output("output", infer.Int64, g.Op("SequenceLength", x))
	return g
}

// OptionalInput takes an optional FP32 [4] and returns whether it was there.
func OptionalInput() *Graph {
	g := New("optional_input")
	x := g.InputOf("input", Optional(Tensor(infer.FP32, 4)))
	g.Output("output", infer.Bool, g.Op("OptionalHasElement", x))
	return g
}
