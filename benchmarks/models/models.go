// Package models lists the models that are measured: from a network that takes a
// microsecond to one that takes milliseconds. Weights are random, of a fixed seed: each
// machine measures the same bytes.
package models

import (
	"fmt"

	"sluice.io/sluice/internal/testing/onnxgen"
)

// Input is the name of the one FP32 input that each model has. Outputs are FP32 as well.
const Input = "input"

// Model is one of them. The first dimension of its input and outputs is the symbol "N":
// rows of several requests may be joined.
type Model struct {
	Name  string
	Shape []int64 // of a request of one row
	build func() *onnxgen.Graph
}

// Graph builds the model. The encoders have 43 MB of weights, so it is not kept.
func (m Model) Graph() *onnxgen.Graph { return m.build().As(m.Name) }

// ByName returns the model that bears the name, one of those below.
func ByName(name string) Model {
	const tokens, layers = 32, 6 // layers as MiniLM-L6 has
	for _, m := range []Model{
		{"lin", []int64{1, 16}, onnxgen.Lin},
		{"three", []int64{1, 16}, onnxgen.ThreeHeads},
		{"tree", []int64{1, 16}, onnxgen.TreeEnsemble},
		{"mlp", []int64{1, 64}, onnxgen.MLP},
		{"big", []int64{1, 3 * 224 * 224}, onnxgen.Reducer},
		{"cnn", []int64{1, 3, 32, 32}, onnxgen.CNN},
		{"enc", []int64{1, tokens, 384}, func() *onnxgen.Graph { return onnxgen.Encoder(layers, tokens) }},
		{"encdyn", []int64{1, tokens, 384}, func() *onnxgen.Graph { return onnxgen.Encoder(layers, "S") }},
	} {
		if m.Name == name {
			return m
		}
	}
	panic(fmt.Sprintf("BUG: there is no model %q", name))
}
