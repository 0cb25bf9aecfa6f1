package app_test

import (
	"slices"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/compat"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// The weights of the recorded model "lin", whose bias is 0.1.
var linWeights = []float32{
	0.5578611, 0.41672373, 0.10978182, -0.13643631, -0.100467995, -0.98612314, 0.08865835, -0.19745183,
	0.14138725, 0.15930824, 0.53729576, -0.15316619, 0.13936508, 0.66129076, -0.2358239, 0.020292409,
}

// tritonModels writes the models of the record into a new repository.
func tritonModels(t *testing.T, add ...string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(g *onnxgen.Graph, name string) {
		t.Helper()
		if err := g.As(name).Write(dir, 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range append(add, "lin") {
		if name == "broken" {
			put(t, dir, name, 1, []byte("this is not ONNX"))
			continue
		}
		write(onnxgen.Linear(linWeights, 0.1), name)
	}
	two := onnxgen.New("two") // the order in which Triton lists them
	b, a := two.Input("b", infer.FP32, "N", 2), two.Input("a", infer.FP32, "N", 2)
	two.Output("diff", infer.FP32, two.Op("Sub", a, b), "N", 2)
	two.Output("sum", infer.FP32, two.Op("Add", a, b), "N", 2)
	write(two, "two")
	for name, dtype := range map[string]infer.DType{
		"bool": infer.Bool, "u8": infer.Uint8, "u16": infer.Uint16, "u32": infer.Uint32, "u64": infer.Uint64,
		"i8": infer.Int8, "i16": infer.Int16, "i32": infer.Int32, "i64": infer.Int64,
		"fp16": infer.FP16, "fp32": infer.FP32, "fp64": infer.FP64, "str": infer.Bytes,
	} {
		g := onnxgen.New("id_" + name)
		g.Output("y", dtype, g.Input("x", dtype, "N"), "N")
		write(g, g.Name())
	}
	return dir
}

// tritonPhases are the settings of the server for each part of the record. The delay of q, 300
// ms there, is longer, so that requests that are sent at the same time meet in its queue on a
// busy machine too.
var tritonPhases = []struct {
	phase string
	add   []string // models besides those of every phase
	yaml  []string
}{
	{phase: "A", yaml: []string{"models: {lin: {instances: 2, batching: {max_size: 8}}}"}},
	{
		phase: "B", add: []string{"broken"},
		yaml: []string{"repository.control: explicit", "repository.load: ['*']", "models: {lin: {instances: 2, batching: {max_size: 8}}}"},
	},
	{
		phase: "C", add: []string{"q", "pri", "cache"},
		yaml: []string{"models: {q: {batching: {max_delay: 600ms, queue: {max_requests: 2}}}, pri: {priority_levels: 2}}"},
	},
	{phase: "D", yaml: []string{anyone}},
	{phase: "E", yaml: []string{"repository.control: explicit", anyone}},
}

// again sends the row with 20 ms once more if they were not enough: a busy machine may need
// longer, but not every time.
func again(t *testing.T, g *gateway, answers []compat.Result) {
	t.Helper()
	for i, a := range answers {
		for n := 0; a.Name == "q_timeout_expires_in_queue" && answers[i].Got.Status != a.Answer.Status && n < 100; n++ {
			var err error
			if answers[i].Got, err = compat.Send(t.Context(), g.http, a.Row); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAnswersAsTriton(t *testing.T) {
	t.Run("default", func(t *testing.T) { answersAsTriton(t, false) })
	t.Run("compat", func(t *testing.T) { answersAsTriton(t, true) })
}

func answersAsTriton(t *testing.T, triton bool) {
	var rows []compat.Row
	for _, record := range []string{"http", "repository"} {
		more, err := compat.Load("../../testdata/triton-2.51-" + record + ".jsonl")
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, more...)
	}
	repository, models := tritonRepository(t)
	var results []compat.Result
	for _, p := range tritonPhases {
		yaml, dir := p.yaml, repository
		if p.phase < "D" {
			dir = tritonModels(t, p.add...)
		} else {
			yaml = append(yaml, models)
		}
		if triton {
			yaml = append(yaml, "server.compat: triton")
		}
		g := start(t, dir, yaml...)
		mine := slices.DeleteFunc(slices.Clone(rows), func(r compat.Row) bool { return r.Phase != p.phase })
		answers, err := compat.Replay(t.Context(), g.http, mine)
		if err != nil {
			t.Fatal(err)
		}
		again(t, g, answers)
		results = append(results, answers...)
		if err := g.stop(); err != nil {
			t.Fatal(err)
		}
	}
	for _, wrong := range compat.Check(results, triton) {
		t.Error(wrong)
	}
}
