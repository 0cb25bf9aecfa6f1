package ort_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/runtime/ort"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// env is the environment of the process, and logs has its log.
var (
	env  *ort.Environment
	logs *observer.ObservedLogs
)

func TestMain(m *testing.M) {
	var core zapcore.Core
	core, logs = observer.New(zapcore.WarnLevel)
	var err error
	if env, err = ort.Open(ort.Options{GlobalThreads: 2, Logger: zap.New(core)}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if n := env.Memory().InUse(); n != 0 {
		fmt.Fprintf(os.Stderr, "%d bytes of C memory are left after all tests\n", n)
		code = 1
	}
	if err := errors.Join(env.Close(), goleak.Find()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// write writes a model to a new folder and returns the file's path.
func write(tb testing.TB, g *onnxgen.Graph) string {
	tb.Helper()
	dir := tb.TempDir()
	if err := g.Write(dir, 1); err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(dir, g.Name(), "1", "model.onnx")
}

// load loads a model and closes it with the test.
func load(tb testing.TB, g *onnxgen.Graph, o ort.LoadOptions) *ort.Session {
	tb.Helper()
	o.Name, o.Version = g.Name(), 1
	s, err := env.Load(write(tb, g), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func newInstance(tb testing.TB, s *ort.Session) *ort.Instance {
	tb.Helper()
	instance, err := s.NewInstance()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := instance.Close(); err != nil {
			tb.Error(err)
		}
	})
	return instance
}

// request makes a checked request that asks for the named outputs, or for all.
func request(tb testing.TB, s *ort.Session, outputs []string, inputs ...infer.Tensor) *infer.Request {
	tb.Helper()
	r := &infer.Request{Inputs: inputs}
	for _, name := range outputs {
		r.Outputs = append(r.Outputs, infer.OutputRef{Name: name})
	}
	if err := s.Model().Check(r); err != nil {
		tb.Fatal(err)
	}
	return r
}

// predict runs the requests together and returns the outputs of each.
func predict(instance *ort.Instance, reqs ...*infer.Request) ([][]infer.Tensor, error) {
	if err := instance.Gather(reqs); err != nil {
		return nil, err
	}
	if err := instance.Run(); err != nil {
		return nil, err
	}
	outputs := make([][]infer.Tensor, len(reqs))
	for i := range reqs {
		resp := new(infer.Response) // not from the pool: its outputs are kept
		if err := instance.Scatter(i, resp); err != nil {
			return nil, err
		}
		outputs[i] = resp.Outputs
	}
	return outputs, nil
}

// mustPredict is predict for one request that must succeed.
func mustPredict(tb testing.TB, instance *ort.Instance, r *infer.Request) []infer.Tensor {
	tb.Helper()
	got, err := predict(instance, r)
	if err != nil {
		tb.Fatal(err)
	}
	return got[0]
}

// named gives a tensor of onnxgen another name and place.
func named(name string, index int, tensor infer.Tensor) infer.Tensor {
	tensor.Name, tensor.Index = name, index
	return tensor
}

func floats(name string, shape infer.Shape, values ...float32) infer.Tensor {
	data := make([]byte, 0, 4*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return infer.Tensor{Name: name, DType: infer.FP32, Shape: shape, Data: data}
}

// same compares outputs; an empty and a nil slice are the same.
func same(tb testing.TB, got []infer.Tensor, want ...infer.Tensor) {
	tb.Helper()
	equal := cmp.FilterValues(func(a, b []byte) bool { return len(a) == 0 && len(b) == 0 }, cmp.Ignore())
	dims := cmp.FilterValues(func(a, b infer.Shape) bool { return len(a) == 0 && len(b) == 0 }, cmp.Ignore())
	if diff := cmp.Diff(want, got, equal, dims); diff != "" {
		tb.Error(diff)
	}
}
