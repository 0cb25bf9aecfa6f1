package onnxfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/testing/onnxgen"
)

func TestTraits(t *testing.T) {
	f := func(want onnxfile.Traits, g *onnxgen.Graph) {
		t.Helper()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "model.onnx"), g.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close() //nolint:errcheck // only read
		if got, err := onnxfile.TraitsOf(root, "model.onnx"); err != nil || got != want {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
	op := func(name string) *onnxgen.Graph {
		g := onnxgen.New("m")
		x := g.Input("input", infer.FP32, "N", 4)
		g.Output("output", infer.FP32, g.Op(name, g.Op("Relu", x), x), "N", 4)
		return g
	}
	steady, varies := onnxfile.Traits{Steady: true}, onnxfile.Traits{}
	f(steady, onnxgen.Lin())
	f(steady, onnxgen.CNN())
	f(steady, onnxgen.TreeEnsemble())
	f(steady, op("Add"))
	f(varies, op("Expand")) // as large as the values of the second input
	f(varies, op("Range"))
	f(varies, onnxgen.Steps(3)) // a loop
	for _, name := range []string{"LSTM", "GRU", "RNN", "DynamicQuantizeLSTM", "ConvTranspose", "Einsum", "GatherND", "GridSample", "LRN", "Unique"} {
		f(onnxfile.Traits{Steady: true, NoEmpty: name}, op(name))
	}
}

func TestTraitsOfWhatIsNotAModel(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "model.onnx"), []byte("\x3a\xff\x01"), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close() //nolint:errcheck // only read
	for _, name := range []string{"model.onnx", "missing.onnx"} {
		if _, err := onnxfile.TraitsOf(root, name); infer.CodeOf(err) != infer.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
