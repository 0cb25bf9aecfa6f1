package models_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sluice.io/sluice/benchmarks/models"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/runtime/ort"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// loaded are all models in the gateway's own runtime.
type loaded struct {
	env *ort.Environment
	dir string
}

func load(t *testing.T) loaded {
	t.Helper()
	env, err := ort.Open(ort.Options{GlobalThreads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	if err := models.Write(dir); err != nil {
		t.Fatal(err)
	}
	return loaded{env, dir}
}

// model is a session with one instance.
type model struct {
	session  *ort.Session
	instance *ort.Instance
}

func (l loaded) open(t *testing.T, name string) model {
	t.Helper()
	session, err := l.env.Load(filepath.Join(l.dir, name, "1", "model.onnx"), ort.LoadOptions{
		Name: name, Version: 1, OptimizationLevel: "all", PreparedShapes: 1, KeepBytes: 64 << 20, MaxOutputBytes: 1 << 30,
	})
	if err != nil {
		t.Fatal(err)
	}
	instance, err := session.NewInstance()
	if err != nil {
		t.Fatal(errors.Join(err, session.Close()))
	}
	t.Cleanup(func() {
		if err := errors.Join(instance.Close(), session.Close()); err != nil {
			t.Error(err)
		}
	})
	return model{session, instance}
}

// run returns the outputs by name, of which each has as many rows as the input.
func (m model) run(t *testing.T, shape infer.Shape, input []float32) map[string][]float32 {
	t.Helper()
	tensor := onnxgen.Float32s(input, shape...)
	tensor.Name = models.Input
	req := &infer.Request{Inputs: []infer.Tensor{tensor}}
	resp := new(infer.Response)
	err := errors.Join(m.session.Model().Check(req), m.instance.Gather([]*infer.Request{req}))
	if err == nil {
		err = m.instance.Run()
	}
	if err == nil {
		err = m.instance.Scatter(0, resp)
	}
	if err != nil {
		t.Fatal(err)
	}
	outputs := map[string][]float32{}
	for _, o := range resp.Outputs {
		if o.DType != infer.FP32 || o.Shape[0] != shape[0] {
			t.Errorf("output %s is %v %v, want FP32 with %d rows", o.Name, o.DType, o.Shape, shape[0])
		}
		values := make([]float32, len(o.Data)/4)
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(o.Data[4*i:]))
		}
		outputs[o.Name] = values
	}
	return outputs
}

// noise returns normal numbers; those of each row are around another mean.
func noise(shape infer.Shape) []float32 {
	n, _ := shape.Elements()
	rng := onnxgen.Rand(7)
	list := make([]float32, n)
	for i := range list {
		list[i] = float32(rng.NormFloat64() + 0.2*float64(int64(i)/(n/shape[0])))
	}
	return list
}

func TestModels(t *testing.T) {
	l := load(t)
	for _, m := range models.All() {
		t.Run(m.Name, func(t *testing.T) {
			opened := l.open(t, m.Name)
			checkSignature(t, m, opened.session.Model())
			lengths := []int64{m.Shape[1]}
			if m.Name == "encdyn" {
				lengths = []int64{16, 32, 100}
			}
			for _, length := range lengths {
				shape := slices.Clone(infer.Shape(m.Shape))
				shape[0], shape[1] = 5, length
				checkRows(t, m, opened, shape)
			}
		})
	}
	t.Run("the encoders are the same", func(t *testing.T) {
		shape := infer.Shape{2, models.Tokens, 384}
		input := noise(shape)
		static := l.open(t, "enc").run(t, shape, input)["output"]
		dynamic := l.open(t, "encdyn").run(t, shape, input)["output"]
		if d := distance(static, dynamic); !(d <= 1e-5) {
			t.Errorf("enc and encdyn differ by %g", d)
		}
	})
	t.Run("the files are the same each time", func(t *testing.T) {
		for _, m := range models.All() {
			if isEncoder(m) {
				continue // onnxgen tests a smaller one; this takes seconds
			}
			written, err := os.ReadFile(filepath.Join(l.dir, m.Name, "1", "model.onnx"))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(written, m.Graph().Bytes()) {
				t.Errorf("%s differs", m.Name)
			}
		}
	})
}

func isEncoder(m models.Model) bool { return m.Name == "enc" || m.Name == "encdyn" }

func checkSignature(t *testing.T, want models.Model, got *infer.Model) {
	t.Helper()
	if len(got.Inputs) != 1 || got.Inputs[0].Name != want.Input || got.Inputs[0].DType != infer.FP32 {
		t.Fatalf("inputs %v, want one of FP32 called %s", got.Inputs, want.Input)
	}
	shape := slices.Clone(got.Inputs[0].Shape)
	if shape[0] != -1 {
		t.Errorf("input shape %v, want any number of rows", shape)
	}
	for i := range shape {
		if shape[i] == -1 && (i == 0 || want.Name == "encdyn" && i == 1) {
			shape[i] = want.Shape[i]
		}
	}
	if !slices.Equal(shape, want.Shape) {
		t.Errorf("input shape %v, want %v", got.Inputs[0].Shape, want.Shape)
	}
	names := make([]string, len(got.Outputs))
	for i, o := range got.Outputs {
		names[i] = o.Name
		if o.DType != infer.FP32 || o.Shape[0] != -1 {
			t.Errorf("output %s is %v %v, want FP32 and any number of rows", o.Name, o.DType, o.Shape)
		}
	}
	if !slices.Equal(names, want.Outputs) {
		t.Errorf("outputs %q, want %q", names, want.Outputs)
	}
}

// checkRows runs rows together and each alone.
func checkRows(t *testing.T, m models.Model, opened model, shape infer.Shape) {
	t.Helper()
	const near = 1e-5
	rows, input := int(shape[0]), noise(shape)
	together := opened.run(t, shape, input)
	width := len(input) / rows
	shape[0] = 1
	for i := range rows {
		alone := opened.run(t, shape, input[i*width:][:width])
		for _, name := range m.Outputs {
			wide := len(together[name]) / rows
			if wide == 0 || len(alone[name]) != wide {
				t.Fatalf("output %s: %d values of a row alone, %d of %d rows", name, len(alone[name]), len(together[name]), rows)
			}
			if d := distance(together[name][i*wide:][:wide], alone[name]); !(d <= near) { // not for NaN either
				t.Errorf("%v: output %s of row %d differs by %g from that of the row alone", shape, name, i, d)
			}
			if i == 0 {
				continue
			}
			const much = 1e-3
			if d := distance(together[name][:wide], together[name][i*wide:][:wide]); !(d > much) {
				t.Errorf("%v: output %s of row %d differs by %g from that of row 0: it does not depend on the input", shape, name, i, d)
			}
		}
	}
}

// distance is the largest difference of two lists, NaN where one is not finite.
func distance(a, b []float32) (d float64) {
	for i := range a {
		if s := float64(a[i]) + float64(b[i]); math.IsNaN(s) || math.IsInf(s, 0) {
			return math.NaN()
		}
		d = max(d, math.Abs(float64(a[i])-float64(b[i])))
	}
	return d
}

func TestByName(t *testing.T) {
	for _, want := range models.All() {
		m, ok := models.ByName(want.Name)
		if !ok || m.Name != want.Name {
			t.Errorf("ByName(%s) = %s, %v", want.Name, m.Name, ok)
		}
	}
	if m, ok := models.ByName("resnet"); ok {
		t.Errorf("ByName(resnet) = %s", m.Name)
	}
}
