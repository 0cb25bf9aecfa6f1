// Package golden reads testdata/golden, the answers of Python onnxruntime, for tests.
// The README.md there describes the files.
package golden

import (
	"encoding/json"
	"os"
	"strconv"
	"testing"
)

// File is the content of one file: one version of a model.
type File struct {
	Model     string
	Version   int64
	Labels    []string // the labels of the classes, if the model files have any
	Tolerance struct{ Absolute, Relative float64 }
	Cases     []Case // at least one
}

// Case is a request and its answer.
type Case struct {
	Name    string
	Request json.RawMessage // a V2 inference request
	Outputs []Tensor
}

// Tensor is a tensor of a V2 JSON request or answer.
type Tensor struct {
	Name, Datatype string
	Shape          []int64
	Data           []json.Number
}

// Read reads a file.
func Read(t *testing.T, path string) File {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f File
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Cases) == 0 {
		t.Fatalf("%s has no cases", path)
	}
	return f
}

// Floats returns the data as float32 values.
func (x Tensor) Floats(t *testing.T) []float64 {
	t.Helper()
	list := make([]float64, len(x.Data))
	for i, n := range x.Data {
		f, err := strconv.ParseFloat(n.String(), 32)
		if err != nil {
			t.Fatal(err)
		}
		list[i] = f
	}
	return list
}
