package ort_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/runtime/ort"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// probe returns the finding for a session.
func probe(t *testing.T, s *ort.Session) batch.Finding {
	t.Helper()
	instance, err := s.NewInstance()
	if err != nil {
		t.Fatal(err)
	}
	defer instance.Close() //nolint:errcheck // a test's
	return batch.Probe(t.Context(), instance, s.Model(), batch.ProbeOptions{Tolerance: 1e-4, Timeout: 10 * time.Second, MaxBytes: 64 << 20})
}

// relaxed loads a model with its first dimensions made free.
func relaxed(t *testing.T, g *onnxgen.Graph) (*ort.Session, error) {
	t.Helper()
	path := write(t, g)
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close() //nolint:errcheck // only read
	r, err := onnxfile.Relax(root, filepath.Base(path), nil)
	if err != nil {
		return nil, err
	}
	s, err := env.Load(path, complete(ort.LoadOptions{Name: g.Name(), Version: 1, Model: r}))
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, nil
}

// fixed is a perceptron of one row, with external tensors and a branch with shapes of its own.
func fixed(rows any) *onnxgen.Graph {
	g := onnxgen.New("fixed")
	rng := onnxgen.Rand(1)
	x := g.Input("x", infer.FP32, rows, 4)
	h := g.Op("Relu", g.Op("MatMul", x, g.External(onnxgen.Normal(rng, 1, 4, 8), "weights.bin")))
	always := g.Init(infer.Tensor{DType: infer.Bool, Shape: infer.Shape{}, Data: []byte{1}})
	then, otherwise := g.Sub("then"), g.Sub("else")
	then.Output("a", infer.FP32, then.Op("Neg", h), rows, 8)
	otherwise.Output("b", infer.FP32, otherwise.Op("Abs", h), rows, 8)
	y := g.Op("If", always).Graph("then_branch", then).Graph("else_branch", otherwise)
	g.Output("y", infer.FP32, g.Op("MatMul", y, g.External(onnxgen.Normal(rng, 1, 8, 3), "weights.bin")), rows, 3)
	return g
}

func TestRelaxedModelsAreBatched(t *testing.T) {
	original := load(t, fixed(1), options())
	if f := probe(t, original); f.Batchable || !f.Relaxable || f.Advice != "set batching.relax to let requests be joined" {
		t.Errorf("the original: %+v", f)
	}
	s, err := relaxed(t, fixed(1))
	if err != nil {
		t.Fatal(err)
	}
	if x := s.Model().Inputs[0]; !x.Shape.Equal(infer.Shape{-1, 4}) {
		t.Errorf("input of shape %v", x.Shape)
	}
	if f := probe(t, s); !f.Batchable {
		t.Errorf("%+v", f)
	}
	// It gives the same answers as the original.
	in := original.Model().Example(1, rand.New(rand.NewPCG(1, 2))) //nolint:gosec // test data
	want := answer(t, newInstance(t, original), &infer.Request{Inputs: in})
	got := answer(t, newInstance(t, s), &infer.Request{Inputs: in})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got)\n%s", diff)
	}
}

// answer runs one request and returns its first output.
func answer(t *testing.T, s *ort.Instance, req *infer.Request) infer.Tensor {
	t.Helper()
	if err := s.Gather([]*infer.Request{req}); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	resp := infer.NewResponse()
	if err := s.Scatter(0, resp); err != nil {
		t.Fatal(err)
	}
	return resp.Outputs[0]
}

// The load or the probe finds a model that cannot be relaxed.
func TestModelsThatCannotBeRelaxed(t *testing.T) {
	f := func(name string, g *onnxgen.Graph, want string) {
		t.Helper()
		s, err := relaxed(t, g)
		text := infer.Message(err)
		if err == nil {
			finding := probe(t, s)
			if text = finding.Reason; finding.Batchable {
				t.Errorf("%s: %+v", name, finding)
			}
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s: %q, want %q", name, text, want)
		}
	}
	const weights = 6
	// one row is written into the graph
	g := onnxgen.New("reshaped")
	x := g.Input("x", infer.FP32, 1, 2, 3)
	flat := g.Op("Reshape", x, g.Init(onnxgen.Int64s([]int64{1, weights}, 2)))
	g.Output("y", infer.FP32, flat, 1, weights)
	f("a Reshape to one row", g, "output 'y' has no free first dimension (it is fixed at 1)") // ONNX Runtime has inferred it

	g = onnxgen.New("flat")
	x = g.Input("x", infer.FP32, 1, 2, 3)
	flat = g.Op("Reshape", x, g.Init(onnxgen.Int64s([]int64{1, -1}, 2)))
	g.Output("y", infer.FP32, g.Op("ReduceSum", flat, g.Init(onnxgen.Int64s([]int64{1}, 1))), 1, 1)
	f("a Reshape of all rows to one", g, "output 'y' has no free first dimension (it is fixed at 1)")

	g = onnxgen.New("normalised")
	x = g.Input("x", infer.FP32, 1, 4)
	g.Output("y", infer.FP32, g.Op("Sub", x, g.Op("ReduceMean", x).Ints("axes", 0)), 1, 4)
	f("a mean over the rows", g, "changes with the rows beside it")

	g = onnxgen.New("state")
	x = g.Input("x", infer.FP32, 1, 4)
	g.Output("y", infer.FP32, g.Op("Add", x, g.Op("ReduceSum", g.Input("state", infer.FP32, 2, 1, 4), g.Init(onnxgen.Int64s([]int64{0}, 1))).Int("keepdims", 0)), 1, 4)
	f("a state of two layers", g, "'state' has no free first dimension (it is fixed at 2)")

	f("free already", fixed("N"), "no input or output of the model has a first dimension that is fixed at 1")
}

func TestLoadOfBytesThatAreNoModel(t *testing.T) {
	path := write(t, onnxgen.Lin())
	_, err := env.Load(path, complete(ort.LoadOptions{Name: "m", Version: 1, Model: []byte("no model")}))
	if infer.CodeOf(err) != infer.Invalid || strings.Contains(infer.Message(err), filepath.Dir(path)) {
		t.Errorf("%v", err)
	}
	// External data that is missing.
	root := filepath.Dir(write(t, fixed(1)))
	model, err := os.ReadFile(filepath.Join(root, "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "weights.bin")); err != nil {
		t.Fatal(err)
	}
	_, err = env.Load(filepath.Join(root, "model.onnx"), complete(ort.LoadOptions{Name: "m", Version: 1, Model: model}))
	if infer.CodeOf(err) != infer.Invalid || strings.Contains(infer.Message(err), root) {
		t.Errorf("%v", err)
	}
}
