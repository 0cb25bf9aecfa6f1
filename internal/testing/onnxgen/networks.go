package onnxgen

import (
	"math"
	"math/rand/v2"

	"sluice.io/sluice/internal/infer"
)

// network is a graph whose layers draw their weights from one sequence.
type network struct {
	*Graph
	rng *rand.Rand
}

func newNetwork(name string) network { return network{New(name), Rand(seed)} }

// MLP is three dense layers, FP32 [N, 64] → 256 → 256 → [N, 10].
func MLP() *Graph {
	g := newNetwork("mlp")
	x := g.Input("input", infer.FP32, "N", 64)
	x = g.Op("Relu", g.dense(x, 64, 256))
	x = g.Op("Relu", g.dense(x, 256, 256))
	g.Output("output", infer.FP32, g.Op("Softmax", g.dense(x, 256, 10)).Int("axis", 1), "N", 10)
	return g.Graph
}

// ThreeHeads is a small network with three outputs of different widths, FP32
// [N, 16] → "a" [N, 4], "b" [N, 1], "c" [N, 32].
func ThreeHeads() *Graph {
	const width = 32
	g := newNetwork("three")
	x := g.Op("Relu", g.dense(g.Input("input", infer.FP32, "N", 16), 16, width))
	g.Output("a", infer.FP32, g.Op("Softmax", g.dense(x, width, 4)).Int("axis", 1), "N", 4)
	g.Output("b", infer.FP32, g.Op("Sigmoid", g.dense(x, width, 1)), "N", 1)
	g.Output("c", infer.FP32, g.Op("Tanh", g.dense(x, width, width)), "N", width)
	return g.Graph
}

func (g network) dense(x *Value, in, out int64) *Value {
	return g.Op("Gemm", x, g.Init(Normal(g.rng, math.Sqrt(2/float64(in)), in, out)), g.bias(out))
}

func (g network) bias(n int64) *Value { return g.Init(Normal(g.rng, 0.01, n)) }

// CNN is a small residual network for pictures, FP32 [N, 3, 32, 32] → [N, 10]:
// eight convolutions in three stages, batch norms folded into them.
func CNN() *Graph {
	g := newNetwork("cnn")
	x := g.Op("Relu", g.conv(g.Input("input", infer.FP32, "N", 3, 32, 32), 3, 16, 3, 1))
	channels := int64(16)
	for _, stage := range []struct{ channels, stride int64 }{{16, 1}, {32, 2}, {64, 2}} {
		y := g.Op("Relu", g.conv(x, channels, stage.channels, 3, stage.stride))
		y = g.conv(y, stage.channels, stage.channels, 3, 1)
		if stage.stride > 1 {
			x = g.conv(x, channels, stage.channels, 1, stage.stride)
		}
		x, channels = g.Op("Relu", g.Op("Add", x, y)), stage.channels
	}
	x = g.Op("Flatten", g.Op("GlobalAveragePool", x))
	g.Output("output", infer.FP32, g.Op("Softmax", g.dense(x, channels, 10)).Int("axis", 1), "N", 10)
	return g.Graph
}

func (g network) conv(x *Value, in, out, kernel, stride int64) *Value {
	weights := Normal(g.rng, math.Sqrt(2/float64(in*kernel*kernel)), out, in, kernel, kernel)
	pad := kernel / 2
	return g.Op("Conv", x, g.Init(weights), g.bias(out)).
		Ints("kernel_shape", kernel, kernel).Ints("strides", stride, stride).Ints("pads", pad, pad, pad, pad)
}

// The sizes of a MiniLM: the width of a token's vector, the number of attention heads, and the
// width of the layer between.
const (
	encoderWidth = 384
	encoderHeads = 12
	encoderInner = 1536
)

// Encoder is a transformer shaped like MiniLM without its embedding table, FP32 [N, tokens,
// 384] → their mean [N, 384]. MiniLM itself has 6 layers. The number of tokens is an int, or a
// string if it varies.
func Encoder(layers int, tokens any) *Graph {
	g := newNetwork("enc")
	x := g.norm(g.Input("input", infer.FP32, "N", tokens, encoderWidth))
	for range layers {
		x = g.norm(g.Op("Add", x, g.attention(x)))
		y := g.gelu(g.project(x, encoderWidth, encoderInner))
		x = g.norm(g.Op("Add", x, g.project(y, encoderInner, encoderWidth)))
	}
	mean := g.Op("ReduceMean", x).Ints("axes", 1).Int("keepdims", 0)
	g.Output("output", infer.FP32, mean, "N", encoderWidth)
	return g.Graph
}

func (g network) attention(x *Value) *Value {
	const headWidth = encoderWidth / encoderHeads
	split := g.Init(Int64s([]int64{0, 0, encoderHeads, headWidth}, 4))
	join := g.Init(Int64s([]int64{0, 0, encoderWidth}, 3))
	heads := func(order ...int64) *Value {
		y := g.Op("Reshape", g.project(x, encoderWidth, encoderWidth), split)
		return g.Op("Transpose", y).Ints("perm", order...)
	}
	query, key, value := heads(0, 2, 1, 3), heads(0, 2, 3, 1), heads(0, 2, 1, 3)
	scores := g.Op("Mul", g.Op("MatMul", query, key), g.scalar(1/math.Sqrt(headWidth)))
	mixed := g.Op("MatMul", g.Op("Softmax", scores).Int("axis", -1), value)
	mixed = g.Op("Reshape", g.Op("Transpose", mixed).Ints("perm", 0, 2, 1, 3), join)
	return g.project(mixed, encoderWidth, encoderWidth)
}

func (g network) project(x *Value, in, out int64) *Value {
	weights := g.Init(Normal(g.rng, 1/math.Sqrt(float64(in)), in, out))
	return g.Op("Add", g.Op("MatMul", x, weights), g.bias(out))
}

func (g network) norm(x *Value) *Value {
	ones, zeros := make([]float32, encoderWidth), make([]float32, encoderWidth)
	for i := range ones {
		ones[i] = 1
	}
	return g.Op("LayerNormalization", x, g.Init(Float32s(ones, encoderWidth)), g.Init(Float32s(zeros, encoderWidth))).
		Int("axis", -1).Float("epsilon", 1e-12)
}

func (g network) gelu(x *Value) *Value {
	erf := g.Op("Erf", g.Op("Div", x, g.scalar(math.Sqrt2)))
	return g.Op("Mul", g.Op("Mul", x, g.Op("Add", erf, g.scalar(1))), g.scalar(0.5))
}

func (g network) scalar(v float64) *Value { return g.Init(Float32s([]float32{float32(v)})) }
