package batch_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

var errShape = errors.New("the shape is not valid")

// only is rowSums of a model that accepts only some shapes of its inputs.
func only(suits func(shapes []infer.Shape) bool) func([]infer.Tensor) ([]infer.Tensor, error) {
	return func(in []infer.Tensor) ([]infer.Tensor, error) {
		shapes := make([]infer.Shape, len(in))
		for i := range in {
			shapes[i] = in[i].Shape
		}
		if !suits(shapes) {
			return nil, errShape
		}
		return rowSums(in)
	}
}

func TestProbeFindsSizes(t *testing.T) {
	f := func(name string, m *infer.Model, suits func(s []infer.Shape) bool) {
		t.Helper()
		virtual(t, func(t *testing.T) { // no time passes: the budget does not matter
			instance := newTensors(only(suits))
			got := probeWithin(t.Context(), instance, m, 10*time.Second, 1<<18) // data takes real time
			if !got.Batchable {
				t.Errorf("%s: %+v after %d runs", name, got, len(instance.runs))
			}
		})
	}
	picture := rowsModel(infer.Shape{-1, 1, -1, -1})
	f("multiples of 32", picture, func(s []infer.Shape) bool { return s[0][2]%32 == 0 && s[0][3]%32 == 0 })
	f("one height", picture, func(s []infer.Shape) bool { return s[0][2] == 48 })
	f("64 alone", picture, func(s []infer.Shape) bool { return s[0][2] == 64 && s[0][3] == 64 })
	f("a square", picture, func(s []infer.Shape) bool { return s[0][2] == s[0][3] && s[0][2] > 3 })
	f("channels, height and width", rowsModel(infer.Shape{-1, -1, -1, -1}),
		func(s []infer.Shape) bool { return s[0][1] == 3 && s[0][2]%32 == 0 && s[0][3]%32 == 0 })
	f("channels last", rowsModel(infer.Shape{-1, -1, -1, -1}),
		func(s []infer.Shape) bool { return s[0][3] == 1 && s[0][1] == s[0][2] && s[0][1]%16 == 0 })
	f("a number of features", rowsModel(infer.Shape{-1, -1, -1}), func(s []infer.Shape) bool { return s[0][1] <= 3 && s[0][2] == 80-16 })
	f("two sequences", rowsModel(infer.Shape{-1, -1}, infer.Shape{-1, -1}), func(s []infer.Shape) bool { return s[0][1] == s[1][1] })
}

func TestDimensionsOfOneNameHaveOneSize(t *testing.T) {
	m := rowsModel(infer.Shape{-1, -1, -1}, infer.Shape{-1, -1})
	m.Inputs[0].Symbols = []string{"n", "t", "?"}
	m.Inputs[1].Symbols = []string{"m", "t"}
	instance := newTensors(only(func(s []infer.Shape) bool { return s[0][2] == 3 && s[0][1] == 16 }))
	virtual(t, func(t *testing.T) { // no time passes: the budget does not matter
		if got := probeWithin(t.Context(), instance, m, 10*time.Second, 1<<18); !got.Batchable {
			t.Errorf("%+v", got)
		}
	})
	for _, s := range instance.runs {
		if s[0][1] != s[1][1] || s[0][0] != s[1][0] {
			t.Fatalf("a run of shapes %v: dimensions of one name differ", s)
		}
	}
}

func TestProbeRunsSeveralRows(t *testing.T) {
	instance := newTensors(rowSums)
	if got := probe(t.Context(), instance, rowsModel(infer.Shape{-1, 4})); !got.Batchable {
		t.Fatalf("%+v", got)
	}
	rows := map[int64]bool{}
	for _, s := range instance.runs {
		rows[s[0][0]] = true
	}
	for _, n := range []int64{1, 2, 3, 5} {
		if !rows[n] {
			t.Errorf("no run of %d rows among %v", n, rows)
		}
	}
}

func TestProbeBoundsMemory(t *testing.T) {
	const most = 1 << 20
	suits := func(s []infer.Shape) bool { return s[0][2] >= 320 && s[0][3] >= 320 }
	instance := newTensors(only(suits))
	got := probeWithin(t.Context(), instance, rowsModel(infer.Shape{-1, 3, -1, -1}), 10*time.Second, most)
	if !got.Undecided || !strings.Contains(got.Reason, "more than 1 MiB") {
		t.Errorf("%+v", got)
	}
	if n := instance.bytesOfRun(); n > most || n == 0 {
		t.Errorf("a run had inputs of %d bytes, want at most %d", n, most)
	}

	// The signature does not give the size of the outputs: one row shows it.
	instance = newTensors(func(in []infer.Tensor) ([]infer.Tensor, error) {
		n := in[0].Shape[0]
		if n > 1 {
			t.Errorf("a run of %d rows, whose outputs take %d bytes", n, n*most)
		}
		return []infer.Tensor{{Name: "y", DType: infer.Uint8, Shape: infer.Shape{n, most}, Data: make([]byte, n*most)}}, nil
	})
	got = probeWithin(t.Context(), instance, rowsModel(infer.Shape{-1, 3}), 10*time.Second, most)
	if !got.Undecided || !strings.Contains(got.Reason, "more than 1 MiB") {
		t.Errorf("%+v", got)
	}
}

func TestProbeTerminatesRunsThatDoNotEnd(t *testing.T) {
	f := func(ctx context.Context, timeout, want time.Duration) {
		t.Helper()
		virtual(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			instance := newTensors(rowSums)
			instance.takes = 1 << 60
			begin := time.Now()
			got := probeWithin(ctx, instance, rowsModel(infer.Shape{-1, 3}), timeout, 64<<20)
			if took := time.Since(begin); took != want || instance.cut != 1 {
				t.Errorf("it took %v and %d runs were terminated, want %v and 1", took, instance.cut, want)
			}
			if !got.Undecided || !strings.Contains(got.Reason, "did not end") {
				t.Errorf("%+v", got)
			}
		})
	}
	f(context.Background(), 10*time.Second, 10*time.Second)
	f(context.Background(), time.Second, time.Second)
	f(context.Background(), time.Hour, time.Minute) // the caller's context ends first
}

func TestProbeGivesUpInTime(t *testing.T) {
	virtual(t, func(t *testing.T) {
		instance := newTensors(only(func([]infer.Shape) bool { return false }))
		instance.takes = 10 * time.Millisecond
		begin := time.Now()
		got := probeWithin(t.Context(), instance, rowsModel(infer.Shape{-1, -1, -1, -1}), 10*time.Second, 1<<18)
		if !got.Undecided {
			t.Errorf("%+v", got)
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestProbeTriesKindsOfData(t *testing.T) {
	refuse := errors.New("the values are not valid")
	each := func(suits func(v float32) bool) func([]infer.Tensor) ([]infer.Tensor, error) {
		return func(in []infer.Tensor) ([]infer.Tensor, error) {
			for _, v := range values(in[0].Data) {
				if !suits(v) {
					return nil, refuse
				}
			}
			return rowSums(in)
		}
	}
	f := func(name string, suits func(v float32) bool, batchable bool) {
		t.Helper()
		got := probe(t.Context(), newTensors(each(suits)), rowsModel(infer.Shape{-1, 4}))
		if got.Batchable != batchable || got.Undecided == batchable {
			t.Errorf("%s: %+v, want batchable %t", name, got, batchable)
		}
	}
	f("0 to 1", func(v float32) bool { return v >= 0 && v <= 1 }, true)
	f("below 0 too", func(v float32) bool { return v > -5 && v < 5 }, true)
	f("0 alone", func(v float32) bool { return v == 0 }, false) // accepted, but the rows are equal
	f("above a million", func(v float32) bool { return v > 1e6 }, false)
}

func TestMadeUpIntegersSuitTheirNames(t *testing.T) {
	shape := infer.Shape{-1, -1}
	spec := func(name string, shape infer.Shape, symbols ...string) infer.TensorSpec {
		return infer.TensorSpec{Name: name, DType: infer.Int64, Shape: shape, Symbols: symbols}
	}
	inputs := []infer.TensorSpec{
		spec("input_ids", shape, "n", "t"), spec("attention_mask", shape, "n", "t"),
		spec("token_type_ids", shape, "n", "t"), spec("x_lengths", infer.Shape{-1}, "n"),
	}
	for range 50 {
		for kind, row := range batch.MadeUp(infer.NewModel("m", 1, inputs, nil), 16) {
			ids, masks, types, lengths := integers(row[0]), integers(row[1]), integers(row[2]), integers(row[3])
			if len(ids) != 16 || len(lengths) != 1 || lengths[0] < 0 || lengths[0] > 16 {
				t.Fatalf("kind %d: %d ids, lengths %v", kind, len(ids), lengths)
			}
			for i := range ids {
				if ids[i] < 0 || ids[i] >= 100 || masks[i]>>1 != 0 || types[i]>>1 != 0 {
					t.Fatalf("kind %d: ids %v, masks %v, types %v", kind, ids, masks, types)
				}
				if i > 0 && masks[i] > masks[i-1] {
					t.Fatalf("kind %d: mask %v does not end once", kind, masks)
				}
			}
		}
	}
}

func TestRowsOnOtherAxes(t *testing.T) {
	spec := func(name string, shape infer.Shape, symbols ...string) infer.TensorSpec {
		return infer.TensorSpec{Name: name, DType: infer.FP32, Shape: shape, Symbols: symbols}
	}
	f := func(inputs, outputs []infer.TensorSpec, compute func([]infer.Tensor) ([]infer.Tensor, error), want string) {
		t.Helper()
		got := probe(t.Context(), newTensors(compute), infer.NewModel("m", 1, inputs, outputs))
		if got.Batchable || got.Undecided || got.Summary != "no, other axis" || got.Reason != want+"; Sluice joins along axis 0 only" {
			t.Errorf("%+v, want %q", got, want)
		}
	}
	type specs = []infer.TensorSpec
	x, y := spec("x", infer.Shape{-1, 3}, "n", ""), spec("y", infer.Shape{-1, 3}, "n", "")
	f(specs{x, spec("state", infer.Shape{2, -1, 4}, "", "n", "")}, specs{y}, nil, "input 'state' has its rows on axis 1")
	f(specs{x, spec("state", infer.Shape{-1, -1, 4}, "l", "n", "")}, specs{y}, nil, "input 'state' has its rows on axis 1")
	f(specs{spec("pairs", infer.Shape{-1, -1}, "n", "n")}, specs{y}, nil, "input 'pairs' has its rows on axis 1")
	f(specs{x}, specs{spec("y", infer.Shape{-1, -1, 4}, "time", "n", "")}, nil, "output 'y' has its rows on axis 1")
	f(specs{x}, specs{spec("y", infer.Shape{-1, -1}, "", "")}, func(in []infer.Tensor) ([]infer.Tensor, error) {
		n := in[0].Shape[0]
		return []infer.Tensor{{Name: "y", DType: infer.FP32, Shape: infer.Shape{1, n}, Data: make([]byte, 4*n)}}, nil
	}, "output 'y' has its rows on axis 1")
}

func TestFixedRowsAdvise(t *testing.T) {
	const relax = "set batching.relax to let requests be joined"
	const export = "export the model with a free first dimension"
	f := func(input, output infer.Shape, reason, advice string) {
		t.Helper()
		m := rowsModel(infer.Shape{-1, 3}, input)
		m.Outputs[0].Shape = output
		got := probe(t.Context(), newTensors(rowSums), m)
		if got.Reason != reason || got.Advice != advice || got.Batchable || got.Undecided || got.Relaxable != (advice == relax) {
			t.Errorf("%+v, want %q and %q", got, reason, advice)
		}
	}
	f(infer.Shape{1, 3}, infer.Shape{-1, 1}, "input 'b' has no free first dimension (it is fixed at 1)", relax)
	f(infer.Shape{-1, 3}, infer.Shape{1, 1}, "output 'y' has no free first dimension (it is fixed at 1)", relax)
	f(infer.Shape{1, 3}, infer.Shape{2, 1}, "output 'y' has no free first dimension (it is fixed at 2)", export)
	f(infer.Shape{7, 3}, infer.Shape{1, 1}, "input 'b' has no free first dimension (it is fixed at 7)", export)
	f(infer.Shape{1, 3}, infer.Shape{}, "output 'y' has no first dimension along which requests could be joined", "")
}
