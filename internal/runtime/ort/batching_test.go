package ort_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// Models as exporters write them: the dimensions of inputs and outputs have different names,
// and only some sizes work.
func TestProbeOfExportedModels(t *testing.T) {
	f := func(g *onnxgen.Graph, want string) {
		t.Helper()
		got := probe(t, load(t, g, options()))
		if got.Batchable != (want == "") || !strings.Contains(got.Reason, want) {
			t.Errorf("%s: %+v, want %q", g.Name(), got, want)
		}
	}
	g := onnxgen.New("names")
	g.Output("y", infer.FP32, g.Op("Relu", g.Input("x", infer.FP32, "unk__99", 4)), "unk__100", 4)
	f(g, "")

	g = onnxgen.New("inputs")
	a, b := g.Input("a", infer.FP32, "a_dynamic_axes_1", 4), g.Input("b", infer.FP32, "b_dynamic_axes_1", 4)
	g.Output("y", infer.FP32, g.Op("Add", a, b), "y_dynamic_axes_1", 4)
	f(g, "")

	f(pyramid(), "")

	g = onnxgen.New("square")
	x := g.Input("x", infer.FP32, "N", "height", "width")
	g.Output("y", infer.FP32, g.Op("MatMul", x, x), "M", "h", "w")
	f(g, "")

	g = onnxgen.New("table") // of 3 rows
	ids := g.Input("ids", infer.Int64, "N", "T")
	g.Output("y", infer.FP32, g.Op("Gather", g.Init(onnxgen.Normal(onnxgen.Rand(1), 1, 3, 4)), ids), "M", "U", 4)
	f(g, "")

	g = onnxgen.Centered().As("centred")
	f(g, "changes with the rows beside it")

	g = onnxgen.New("turned")
	x = g.Input("x", infer.FP32, "batch", "time", 4)
	g.Output("y", infer.FP32, g.Op("Transpose", x).Ints("perm", 1, 0, 2), "time", "batch", 4)
	f(g, "output 'y' has its rows on axis 1; Sluice joins along axis 0 only")
}

// pyramid accepts pictures whose height and width are multiples of 32, since it scales a
// picture down and up again and adds both.
func pyramid() *onnxgen.Graph {
	g := onnxgen.New("pyramid")
	x := g.Input("x", infer.FP32, "p2o.DynamicDimension.0", 3, "p2o.DynamicDimension.1", "p2o.DynamicDimension.2")
	small := g.Op("AveragePool", x).Ints("kernel_shape", 32, 32).Ints("strides", 32, 32)
	large := g.Op("Resize", small, nil, g.Init(onnxgen.Float32s([]float32{1, 1, 32, 32}, 4)))
	g.Output("y", infer.FP32, g.Op("Add", x, large), "p2o.DynamicDimension.3", 3, "p2o.DynamicDimension.4", "p2o.DynamicDimension.5")
	return g
}

// numbered is a table of 3 rows for ids from 1000 on, which made-up data never has. If it
// mixes, each answer is centred over all rows.
func numbered(mixes bool) *onnxgen.Graph {
	g := onnxgen.New("numbered")
	ids := g.Op("Sub", g.Input("ids", infer.Int64, "N", 8), g.Init(onnxgen.Int64s([]int64{1000}, 1)))
	y := g.Op("Gather", g.Init(onnxgen.Normal(onnxgen.Rand(1), 1, 3)), ids)
	if mixes {
		y = g.Op("Sub", y, g.Op("ReduceMean", y).Ints("axes", 0))
	}
	g.Output("y", infer.FP32, y, "M", 8)
	return g
}

func TestTrialOfARealModel(t *testing.T) {
	f := func(mixes bool) {
		t.Helper()
		s := load(t, numbered(mixes), options())
		why := probe(t, s)
		if !why.Undecided || why.Reason != "the model refuses made-up data" {
			t.Fatalf("the probe says %+v", why)
		}
		settled := make(chan batch.Finding, 2)
		trial, err := batch.NewTrial(batch.TrialOptions{
			Model: s.Model(), NewInstance: func() (batch.Instance, error) { return s.NewInstance() }, Why: why, Tolerance: 1e-4,
			MaxSize: 256, Requests: 32, MaxBytes: 16 << 20, CheckEvery: 10 * time.Second, Timeout: 30 * time.Second,
			Settled: func(f batch.Finding) { settled <- f },
		})
		if err != nil {
			t.Fatal(err)
		}
		ran := make(chan error, 1)
		go func() { ran <- trial.Run(context.Background()) }()
		serve := newInstance(t, s)         // answers callers
		rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // test data
		var got batch.Finding
		for got.Reason == "" {
			req := &infer.Request{Inputs: []infer.Tensor{{Name: "ids", DType: infer.Int64, Shape: infer.Shape{1, 8}}}}
			for range 8 {
				req.Inputs[0].Data = binary.LittleEndian.AppendUint64(req.Inputs[0].Data, uint64(1000+rng.IntN(3)))
			}
			resp := infer.NewResponse()
			copy(resp.Add("y", 0, infer.FP32, infer.Shape{1, 8}, 32), answer(t, serve, req).Data)
			trial.Offer(req, resp)
			resp.Release()
			select {
			case got = <-settled:
			default:
				runtime.Gosched()
			}
		}
		if got.Batchable == mixes || got.Undecided {
			t.Errorf("mixes %t: %+v", mixes, got)
		}
		if err := errors.Join(trial.Shutdown(context.Background()), <-ran); err != nil {
			t.Error(err)
		}
	}
	f(false)
	f(true)
}

// The probe's timeout terminates a loop that would run very long.
func TestProbeTerminatesALoop(t *testing.T) {
	s := load(t, onnxgen.Steps(1<<40), options())
	instance := newInstance(t, s)
	got := batch.Probe(t.Context(), instance, s.Model(), batch.ProbeOptions{Timeout: 50 * time.Millisecond, MaxBytes: 64 << 20})
	if !got.Undecided || !strings.Contains(got.Reason, "did not end within 50ms") {
		t.Errorf("%+v", got)
	}
}
