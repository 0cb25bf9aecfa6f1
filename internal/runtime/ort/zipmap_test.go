package ort_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/runtime/ort"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// zipped is a classifier of three classes with external data, whose ZipMap computes "y".
func zipped() (*onnxgen.Graph, *onnxgen.Value) {
	g := onnxgen.New("zipped")
	g.Opset("ai.onnx.ml", 3)
	x := g.Input("x", infer.FP32, "N", 2)
	scores := g.Op("MatMul", x, g.External(onnxgen.Float32s([]float32{1, 0, -1, 0, 1, 1}, 2, 3), "weights.bin"))
	zip := g.OpIn("ai.onnx.ml", "ZipMap", scores).Ints("classlabels_int64s", 5, 6, 7)
	g.OutputOf("y", zip, onnxgen.Sequence(onnxgen.Map(infer.Int64, onnxgen.Tensor(infer.FP32))))
	return g, scores
}

func TestModelsWhoseZipMapIsCutOff(t *testing.T) {
	f := func(g *onnxgen.Graph, want ...infer.TensorSpec) {
		t.Helper()
		s := loadCut(t, write(t, g))
		if diff := cmp.Diff(want, s.Model().Outputs); diff != "" {
			t.Errorf("%s: outputs (-want +got)\n%s", g.Name(), diff)
		}
		in := onnxgen.Float32s([]float32{1, 2, 3, 4}, 2, 2)
		in.Name = "x"
		got := answer(t, newInstance(t, s), &infer.Request{Inputs: []infer.Tensor{in}})
		if scores := onnxgen.Float32s([]float32{1, 2, 1, 3, 4, 1}); string(got.Data) != string(scores.Data) || !got.Shape.Equal(infer.Shape{2, 3}) {
			t.Errorf("%s: %v %x", g.Name(), got.Shape, got.Data)
		}
	}
	y := infer.TensorSpec{Name: "y", DType: infer.FP32, Shape: infer.Shape{-1, 3}, Symbols: []string{"N", ""}}
	scoresOut := y
	scoresOut.Name = "scores"
	g, _ := zipped()
	f(g, y)
	// The input of the ZipMap is an output too.
	g, scores := zipped()
	g.As("zipped_beside_scores").Output("scores", infer.FP32, scores, "N", 3)
	f(g, y, scoresOut)
}

// A file that imports only the operators of ai.onnx.ml, as onnxmltools writes it, also gets an
// Identity.
func TestCutModelWithoutStandardOperators(t *testing.T) {
	path := write(t, onnxgen.ZipMap())
	model, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	opset := []byte{8<<3 | 2, 4, 1<<3 | 2, 0, 2 << 3, 17} // opset_import {domain: "", version: 17}
	if bytes.Count(model, opset) != 1 {
		t.Fatalf("no opset to remove in %x", model)
	}
	if err := os.WriteFile(path, bytes.Replace(model, opset, nil, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if y := loadCut(t, path).Model().Outputs[0]; y.DType != infer.FP32 || !y.Shape.Equal(infer.Shape{-1, 3}) {
		t.Errorf("output %+v", y)
	}
}

// loadCut loads a model without its ZipMaps.
func loadCut(t *testing.T, path string) *ort.Session {
	t.Helper()
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close() //nolint:errcheck // only read
	cut, err := onnxfile.Adapt(root, filepath.Base(path))
	if err != nil || cut == nil {
		t.Fatal(cut, err)
	}
	s, err := env.Load(path, complete(ort.LoadOptions{Name: "cut", Version: 1, Model: cut.Model}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestAdviceOnSequences(t *testing.T) {
	f := func(producer, want string) {
		t.Helper()
		g := onnxgen.New("list")
		x := g.Input("x", infer.FP32, "N", 2)
		g.OutputOf("y", g.Op("SequenceConstruct", x, x), onnxgen.Sequence(onnxgen.Tensor(infer.FP32, "N", 2)))
		_, err := env.Load(write(t, g), complete(ort.LoadOptions{Name: "list", Version: 1, Producer: producer}))
		want = "output 'y' has the type sequence(tensor), and only tensors can be served; " + want
		if infer.CodeOf(err) != infer.Invalid || !strings.HasPrefix(infer.Message(err), want) {
			t.Errorf("%s: %v %q, want %q", producer, err, infer.Message(err), want)
		}
	}
	f("skl2onnx", "export it with to_onnx(…, options={'zipmap': False})")
	f("OnnxMLTools", "export it with zipmap=False")
	f("pytorch", "let the module's forward return tensors")
	f("tf2onnx", "let the function that is exported return tensors")
	f("", "export the model with only tensors")
}
