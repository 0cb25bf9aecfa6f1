package onnxgen

import (
	"math"

	"sluice.io/sluice/internal/infer"
)

// seed of the ready-made models' weights.
const seed = 20260101

// Identity is "input" → "output", called "id_FP32" for example. It is batchable if the first
// dimension is a string.
func Identity(dtype infer.DType, dims ...any) *Graph {
	g := New("id_" + dtype.String())
	g.Output("output", dtype, g.Input("input", dtype, dims...), dims...)
	return g
}

// Scale multiplies with a factor, FP32 [N, 1] → [N, 1]: "x" → "y", called "scale".
func Scale(factor float32) *Graph {
	g := New("scale")
	g.Output("y", infer.FP32, g.Op("Mul", g.Input("x", infer.FP32, "N", 1), g.Init(Float32s([]float32{factor}, 1))), "N", 1)
	return g
}

// Linear is a logistic regression, FP32 [N, len(weights)] → [N, 1].
func Linear(weights []float32, bias float32) *Graph {
	n := int64(len(weights))
	g := New("lin")
	x := g.Input("input", infer.FP32, "N", n)
	y := g.Op("Gemm", x, g.Init(Float32s(weights, n, 1)), g.Init(Float32s([]float32{bias}, 1)))
	g.Output("output", infer.FP32, g.Op("Sigmoid", y), "N", 1)
	return g
}

// Lin is Linear with 16 random weights.
func Lin() *Graph {
	rng := Rand(seed)
	weights := make([]float32, 16)
	for i := range weights {
		weights[i] = float32(rng.NormFloat64() * math.Sqrt(2./16))
	}
	return Linear(weights, 0.1)
}

// Two has two inputs and two outputs: "a", "b" FP32 [N, 4] → "sum", "diff".
func Two() *Graph {
	g := New("two")
	a, b := g.Input("a", infer.FP32, "N", 4), g.Input("b", infer.FP32, "N", 4)
	g.Output("sum", infer.FP32, g.Op("Add", a, b), "N", 4)
	g.Output("diff", infer.FP32, g.Op("Sub", a, b), "N", 4)
	return g
}

// ThreeOutputs is "input" FP32 [N, 4] → "double" [N, 4], "negative" [N, 4],
// "total" [N, 1].
func ThreeOutputs() *Graph {
	g := New("three")
	x := g.Input("input", infer.FP32, "N", 4)
	g.Output("double", infer.FP32, g.Op("Add", x, x), "N", 4)
	g.Output("negative", infer.FP32, g.Op("Neg", x), "N", 4)
	g.Output("total", infer.FP32, g.Op("ReduceSum", x, g.Init(Int64s([]int64{1}, 1))), "N", 1)
	return g
}

// Scaled has an optional input: "output" = "input" FP32 [N, 4] · "scale" [1], which is 2 if the
// request leaves it out.
func Scaled() *Graph {
	g := New("scaled")
	x := g.Input("input", infer.FP32, "N", 4)
	scale := Float32s([]float32{2}, 1)
	scale.Name = "scale"
	g.Output("output", infer.FP32, g.Op("Mul", x, g.InputWithDefault(scale, 1)), "N", 4)
	return g
}

// Scalar is "output" = -"input", FP32 of rank 0.
func Scalar() *Graph {
	g := New("scalar")
	g.Output("output", infer.FP32, g.Op("Neg", g.Input("input", infer.FP32)))
	return g
}

// NonZero is "input" FP32 [N] → "output" INT64 [1, M], the indices of the elements other than
// zero. Their number is known only after the run.
func NonZero() *Graph {
	g := New("nonzero")
	g.Output("output", infer.Int64, g.Op("NonZero", g.Input("input", infer.FP32, "N")), 1, "M")
	return g
}

// RowSum is "output" FP32 [4] = the sum of the rows of "input" [N, 4]. It is not batchable, as
// its output has no first dimension N.
func RowSum() *Graph {
	g := New("rowsum")
	x := g.Input("input", infer.FP32, "N", 4)
	g.Output("output", infer.FP32, g.Op("ReduceSum", x, g.Init(Int64s([]int64{0}, 1))).Int("keepdims", 0), 4)
	return g
}

// Centered is "output" = "input" FP32 [N, 4] minus the mean of its rows. It looks batchable and
// is not, since each row's result depends on the others.
func Centered() *Graph {
	g := New("centered")
	x := g.Input("input", infer.FP32, "N", 4)
	g.Output("output", infer.FP32, g.Op("Sub", x, g.Op("ReduceMean", x).Ints("axes", 0)), "N", 4)
	return g
}

// Reducer is the mean over each row, FP32 [N, 150528] → [N, 1]: almost no
// computing on 602 KB of input, the size of a 224×224 picture.
func Reducer() *Graph {
	g := New("big")
	x := g.Input("input", infer.FP32, "N", 3*224*224)
	g.Output("output", infer.FP32, g.Op("ReduceMean", x).Ints("axes", 1), "N", 1)
	return g
}

// Slow is Steps with a run time of about that many milliseconds on one core, within a factor of
// a few.
func Slow(milliseconds int64) *Graph {
	const stepsPerMillis = 150
	return Steps(milliseconds * stepsPerMillis)
}

// Steps is Identity on FP32 [N, 4], called "slow", with a run time in proportion to n. It is a
// loop of small nodes, so that a run can be terminated in the middle.
func Steps(n int64) *Graph {
	const size = 64
	g := New("slow")
	x := g.Input("input", infer.FP32, "N", 4)
	unit := make([]float32, size*size)
	for i := range size {
		unit[i*size+i] = 1
	}
	matrix := g.Init(Float32s(unit, size, size))
	always := g.Init(infer.Tensor{DType: infer.Bool, Shape: infer.Shape{}, Data: []byte{1}})
	steps := g.Init(Int64s([]int64{n}))

	body := g.Sub("body") // state = state · 1; it neither grows nor vanishes
	body.Input("step", infer.Int64)
	again := body.Input("again", infer.Bool)
	state := body.Input("state", infer.FP32, size, size)
	body.Output("again_out", infer.Bool, again)
	body.Output("state_out", infer.FP32, body.Op("MatMul", state, matrix), size, size)

	end := g.Op("Loop", steps, always, matrix).Graph("body", body)
	zero := g.Init(Float32s([]float32{0}))
	nothing := g.Op("Mul", g.Op("ReduceSum", end).Int("keepdims", 0), zero)
	g.Output("output", infer.FP32, g.Op("Add", x, nothing), "N", 4)
	return g
}
