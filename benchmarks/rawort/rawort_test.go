package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice.io/sluice/benchmarks/models"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/runtime/ort"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// write writes models to a new folder and returns the path of each by its name.
func write(t *testing.T, names ...string) map[string]string {
	t.Helper()
	dir, files := t.TempDir(), map[string]string{}
	for _, name := range names {
		m, ok := models.ByName(name)
		if !ok {
			t.Fatal(name)
		}
		if err := models.Write(dir, m); err != nil {
			t.Fatal(err)
		}
		files[name] = filepath.Join(dir, name, "1", "model.onnx")
	}
	return files
}

// command runs the program.
func command(in io.Reader, args ...string) (string, error) {
	o, err := parse(append([]string{"-library", ort.FindLibrary()}, args...), io.Discard)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = run(o, in, &out)
	return out.String(), err
}

func TestMeasure(t *testing.T) {
	files := write(t, "lin", "three")
	f := func(args []string, want ...string) {
		t.Helper()
		out, err := command(nil, append(args, "-warmup", "1ms", "-d", "20ms")...)
		if err != nil {
			t.Fatal(err)
		}
		printed := strings.Split(strings.TrimSpace(out), "\n")
		if len(printed) != len(want) {
			t.Fatalf("%d lines, want %d:\n%s", len(printed), len(want), out)
		}
		best := map[int64]int{}
		for i := range printed {
			var l line
			if err := json.Unmarshal([]byte(printed[i]), &l); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%s %d %d %v", l.Model, l.Threads, l.Batch, l.Arena); got != want[i] {
				t.Errorf("line %d is of %s, want %s", i, got, want[i])
			}
			if l.Best {
				best[l.Batch]++
			}
			// Three ways to say the same. Threads never use more CPU time than passes.
			if l.Runs <= 0 || math.Abs(l.Rows/l.Runs-float64(l.Batch)) > 1e-6 ||
				math.Abs(l.Runs*l.Micros/1e6-float64(l.Threads)) > 1e-6 || l.CPU <= 0 || l.CPU > 1.5*l.Micros {
				t.Errorf("line %s makes no sense", printed[i])
			}
		}
		for batch, n := range best {
			if n != 1 {
				t.Errorf("batch %d has %d lines that are the best", batch, n)
			}
		}
		if len(best) == 0 {
			t.Error("no line is the best")
		}
	}
	lin, three := []string{"-model", files["lin"], "-shape", "1,16"}, []string{"-model", files["three"], "-shape", "1,16"}
	f(lin, "lin 1 1 true", "lin 1 1 false", "lin 1 8 true", "lin 1 8 false", "lin 1 32 true", "lin 1 32 false")
	f(append(lin, "-threads", "2", "-batch", "4", "-arena", "on"), "lin 2 4 true")
	f(append(three, "-threads", "2", "-batch", "1,3", "-arena", "off"), "three 2 1 false", "three 2 3 false")
}

// TestVerify computes what the logistic regression answers.
func TestVerify(t *testing.T) {
	weights := []float32{0.5, -1, 2}
	g := onnxgen.Linear(weights, 0.25)
	dir := t.TempDir()
	if err := g.Write(dir, 1); err != nil {
		t.Fatal(err)
	}
	rows := [][]float32{{1, 2, 3}, {-4, 5, -6}}
	var input bytes.Buffer
	want := make([]float64, len(rows))
	for i, row := range rows {
		if err := binary.Write(&input, binary.LittleEndian, row); err != nil {
			t.Fatal(err)
		}
		sum := 0.25
		for j := range row {
			sum += float64(row[j] * weights[j])
		}
		want[i] = 1 / (1 + math.Exp(-sum))
	}
	file := filepath.Join(dir, "input")
	if err := os.WriteFile(file, input.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-model", filepath.Join(dir, "lin", "1", "model.onnx"), "-shape", "2,3", "-verify"}
	fromFile, err := command(nil, append(args, file)...)
	if err != nil {
		t.Fatal(err)
	}
	fromPipe, err := command(&input, append(args, "-")...)
	if err != nil {
		t.Fatal(err)
	}
	if fromFile != fromPipe {
		t.Errorf("from a file %s, from a pipe %s", fromFile, fromPipe)
	}
	var answer struct {
		ModelName string   `json:"model_name"`
		Outputs   []output `json:"outputs"`
	}
	if err := json.Unmarshal([]byte(fromFile), &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Outputs) != 1 || answer.ModelName != "lin" {
		t.Fatal(fromFile)
	}
	got := answer.Outputs[0]
	if got.Name != "output" || got.Datatype != "FP32" || fmt.Sprint(got.Shape) != "[2 1]" || len(got.Data) != 2 {
		t.Fatal(fromFile)
	}
	for i := range want {
		if d := math.Abs(float64(got.Data[i]) - want[i]); !(d < 1e-6) {
			t.Errorf("row %d is %v, want %v", i, got.Data[i], want[i])
		}
	}
}

func TestErrors(t *testing.T) {
	files := write(t, "lin", "enc")
	dir := t.TempDir()
	two := onnxgen.Two()
	long := onnxgen.New("long")
	long.Output("output", infer.Int64, long.Op("Cast", long.Input("input", infer.FP32, "N", 4)).Int("to", 7), "N", 4)
	for _, g := range []*onnxgen.Graph{two, long} {
		if err := g.Write(dir, 1); err != nil {
			t.Fatal(err)
		}
	}
	f := func(want string, args ...string) {
		t.Helper()
		out, err := command(strings.NewReader("12345678"), args...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: the error is %v, want %q in it; printed %q", args, err, want, out)
		}
	}
	f("-shape", "-model", "x")
	f("-shape", "-model", "x", "-shape", "1,0")
	f("-batch", "-model", "x", "-shape", "1", "-batch", "-1")
	f("more than", "-model", "x", "-shape", "1,1000000", "-batch", "1000000")
	f("-arena", "-model", "x", "-shape", "1", "-arena", "maybe")
	f("-threads", "-model", "x", "-shape", "1", "-threads", "0")
	f("-model", "-shape", "1")
	f("flag provided but not defined", "-nonsense")
	f("doesn't exist", "-model", filepath.Join(dir, "nowhere"), "-shape", "1,16")
	f("dimension", "-model", files["lin"], "-shape", "1,17")
	f("batch 2", "-model", files["enc"], "-shape", "1,31,384", "-batch", "2", "-d", "1ms")
	f("one input", "-model", filepath.Join(dir, "two", "1", "model.onnx"), "-shape", "1,4")
	f("not FP32", "-model", filepath.Join(dir, "long", "1", "model.onnx"), "-shape", "1,4")
	f("EOF", "-model", files["lin"], "-shape", "1,16", "-verify", "-")
	f("longer", "-model", files["lin"], "-shape", "1,1", "-verify", "-")
	f("no such file", "-model", files["lin"], "-shape", "1,16", "-verify", filepath.Join(dir, "nowhere"))
}
