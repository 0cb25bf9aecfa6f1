package onnxfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/onnxgen"
)

func TestSteady(t *testing.T) {
	f := func(want bool, g *onnxgen.Graph) {
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
		if got, err := onnxfile.Steady(root, "model.onnx"); err != nil || got != want {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	}
	op := func(name string) *onnxgen.Graph {
		g := onnxgen.New("m")
		x := g.Input("input", infer.FP32, "N", 4)
		g.Output("output", infer.FP32, g.Op(name, g.Op("Relu", x), x), "N", 4)
		return g
	}
	f(true, onnxgen.Lin())
	f(true, onnxgen.CNN())
	f(true, onnxgen.TreeEnsemble())
	f(true, op("Add"))
	f(false, op("Expand")) // as large as the second input says
	f(false, op("Range"))
	f(false, onnxgen.Steps(3)) // a loop
}

func TestSteadyRefusesWhatIsNoModel(t *testing.T) {
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
		if _, err := onnxfile.Steady(root, name); infer.CodeOf(err) != infer.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
