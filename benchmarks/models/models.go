// Package models lists the models that are measured and writes them as ONNX files:
// from a network that takes a microsecond to one that takes milliseconds. Weights
// are random, of a fixed seed: each machine measures the same bytes.
package models

import (
	"fmt"
	"slices"

	"sluice.io/sluice/internal/testing/onnxgen"
)

// Input is the name of the one FP32 input that each model has.
const Input = "input"

// Model is one of them. The first dimension of its input and outputs is the
// symbol "N": rows of several requests may be joined.
type Model struct {
	Name    string
	Input   string
	Shape   []int64  // of a request of one row
	Outputs []string // all FP32
	build   func() *onnxgen.Graph
}

// Tokens is the sequence length of the encoders in Model.Shape. That of "encdyn"
// may be another.
const Tokens = 32

// All returns the models, the cheapest to run first.
func All() []Model {
	one := []string{"output"}
	return []Model{
		{"lin", Input, []int64{1, 16}, one, onnxgen.Lin},
		{"three", Input, []int64{1, 16}, []string{"a", "b", "c"}, onnxgen.ThreeHeads},
		{"tree", Input, []int64{1, 16}, one, onnxgen.TreeEnsemble},
		{"mlp", Input, []int64{1, 64}, one, onnxgen.MLP},
		{"big", Input, []int64{1, 3 * 224 * 224}, one, onnxgen.Reducer},
		{"cnn", Input, []int64{1, 3, 32, 32}, one, onnxgen.CNN},
		{"enc", Input, []int64{1, Tokens, 384}, one, func() *onnxgen.Graph { return onnxgen.Encoder(layers, Tokens) }},
		{"encdyn", Input, []int64{1, Tokens, 384}, one, func() *onnxgen.Graph { return onnxgen.Encoder(layers, "S") }},
	}
}

// layers is how many MiniLM-L6 has.
const layers = 6

// Graph builds the model. The encoders have 43 MB of weights, so it is built when
// it is asked for and not kept.
func (m Model) Graph() *onnxgen.Graph { return m.build().As(m.Name) }

// ByName returns the model that bears the name.
func ByName(name string) (Model, bool) {
	list := All()
	i := slices.IndexFunc(list, func(m Model) bool { return m.Name == name })
	if i < 0 {
		return Model{}, false
	}
	return list[i], true
}

// Write puts the models, or all where none are named, at <dir>/<name>/1/model.onnx.
func Write(dir string, list ...Model) error {
	if len(list) == 0 {
		list = All()
	}
	for _, m := range list {
		if err := m.Graph().Write(dir, 1); err != nil {
			return fmt.Errorf("model %s: %w", m.Name, err)
		}
	}
	return nil
}
