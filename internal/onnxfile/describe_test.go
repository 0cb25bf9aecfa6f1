package onnxfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// describe writes a file and describes it.
func describe(t testing.TB, dir string, file []byte) (onnxfile.Description, error) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "model.onnx"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close() //nolint:errcheck // only read
	return onnxfile.Describe(root, "model.onnx", nil)
}

func TestDescribe(t *testing.T) {
	g := onnxgen.New("scale")
	g.Opset("ai.onnx.ml", 3)
	x, by := g.Input("x", infer.FP32, "N", 4), g.InputWithDefault(onnxgen.Float32s([]float32{2}, 1), 1)
	g.Output("y", infer.FP32, g.Op("Mul", x, by), "N", 4)
	got, err := describe(t, t.TempDir(), g.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Inputs) != 2 || !got.Inputs[1].Optional || got.Inputs[0].Optional || got.Producer == "" || got.IRVersion == 0 || got.Opsets["ai.onnx"] == 0 || got.Opsets["ai.onnx.ml"] != 3 {
		t.Errorf("%+v", got)
	}
	want := onnxfile.Value{Name: "x", Datatype: "FP32", Shape: []int64{-1, 4}, Symbols: []string{"N", ""}}
	if diff := cmp.Diff(want, got.Inputs[0]); diff != "" {
		t.Error(diff)
	}
	want.Name = "y"
	if diff := cmp.Diff([]onnxfile.Value{want}, got.Outputs); diff != "" {
		t.Error(diff)
	}
}

func TestDescribeRefuses(t *testing.T) {
	dir := t.TempDir()
	f := func(file []byte, text string) {
		t.Helper()
		if _, err := describe(t, dir, file); infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), text) {
			t.Errorf("got %v, want %q", err, text)
		}
	}
	newer := onnxgen.New("newer")
	newer.Opset("", onnxfile.MaxOpset+1)
	newer.Output("y", infer.FP32, newer.Op("Neg", newer.Input("x", infer.FP32, 1)), 1)
	f(newer.Bytes(), "export it with an older opset")
	f(nil, "")
	f([]byte("not ONNX"), "")
	g := onnxgen.New("cut")
	g.Output("y", infer.FP32, g.Op("Neg", g.Input("x", infer.FP32, 1)), 1)
	whole := g.Bytes()
	f(whole[:len(whole)/2], "")
}

// A description is bounded by the file, and a refusal is Invalid.
func FuzzDescribe(f *testing.F) {
	g := onnxgen.New("seed")
	g.Output("y", infer.FP32, g.Op("Mul", g.Input("x", infer.FP32, "N", 4), g.Init(onnxgen.Float32s([]float32{2}, 1))), "N", 4)
	f.Add(g.Bytes())
	f.Add([]byte{})
	f.Add([]byte{0x3a, 0x02, 0x5a, 0x00, 0x42, 0x02, 0x10, 0x11}) // an input without a name, and an opset
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, file []byte) {
		d, err := describe(t, dir, file)
		if err != nil {
			if infer.CodeOf(err) != infer.Invalid {
				t.Fatal(err)
			}
			return
		}
		if len(d.Opsets) == 0 || d.Opsets["ai.onnx"] < 0 || d.Opsets["ai.onnx"] > onnxfile.MaxOpset || len(d.Inputs)+len(d.Outputs) > len(file) {
			t.Fatalf("%+v of %d bytes", d, len(file))
		}
		for _, v := range append(d.Inputs, d.Outputs...) {
			if len(v.Shape) != len(v.Symbols) || len(v.Name) > 4*len(file) {
				t.Fatalf("%+v", v)
			}
		}
	})
}
