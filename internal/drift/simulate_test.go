package drift_test

import (
	"iter"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"sluice.io/sluice/internal/drift"
)

// rows yields n rows of independent normal values, one a minute; mark may change a row.
func rows(n, features int, mark func(i int, values []float64, missing []bool)) iter.Seq[drift.Row] {
	rng := rand.New(rand.NewPCG(21, 1))
	return func(yield func(drift.Row) bool) {
		values, missing := make([]float64, features), make([]bool, features)
		for i := range n {
			for j := range values {
				values[j], missing[j] = rng.NormFloat64(), false
			}
			mark(i, values, missing)
			if !yield(drift.Row{At: epoch.Add(time.Duration(i+1) * time.Minute), Values: values, Missing: missing}) {
				return
			}
		}
	}
}

func TestSimulate(t *testing.T) {
	p := profile(3, 2000, normal(rand.New(rand.NewPCG(20, 1))))
	var states []string
	from := uint64(0)
	stream := rows(4100, 3, func(i int, values []float64, missing []bool) {
		switch {
		case i >= 1000 && i < 2000:
			values[1]++
		case i >= 3000 && i%4 == 0:
			missing[2] = true
			values[2] = math.NaN() // the value of a missing one is ignored
		}
	})
	o := drift.SimulateOptions{Windows: drift.Windowing{Rows: 500}, Start: epoch}
	for v := range drift.Simulate(p, detector(t, p, drift.CompleteOptions()), stream, o) {
		valid(t, v)
		to := from + v.Rows
		if v.Window.Start != epoch.Add(time.Duration(from)*time.Minute) || v.Window.End != epoch.Add(time.Duration(to)*time.Minute) {
			t.Errorf("rows %d to %d: window %v", from, to, v.Window)
		}
		if v.State == drift.Detected && from < 2500 && (v.Features[0].Feature != "ba" || v.Features[0].Change == "") {
			t.Errorf("rows %d to %d: %+v", from, to, v.Features[0])
		}
		if v.State == drift.Detected && from >= 3000 && (v.Quality[0].Feature != "ca" || v.Quality[0].Statistic != "missing") {
			t.Errorf("rows %d to %d: %+v", from, to, v.Quality)
		}
		from = to
		states = append(states, v.State)
	}
	want := []string{
		drift.OK, drift.OK, drift.Detected, drift.Detected, drift.Recovering, drift.Recovering,
		drift.Detected, drift.Detected, // the last 100 rows are not a window
	}
	if len(states) != len(want) || from != 4000 {
		t.Fatalf("%d rows in windows %v", from, states)
	}
	for i := range want {
		if states[i] != want[i] {
			t.Errorf("window %d: %s, want %s", i, states[i], want[i])
		}
	}
}

func TestSimulateStopsWhenAsked(t *testing.T) {
	p := profile(1, 500, normal(rand.New(rand.NewPCG(22, 1))))
	read := 0
	stream := rows(1000, 1, func(int, []float64, []bool) { read++ })
	for range drift.Simulate(p, detector(t, p, drift.CompleteOptions()), stream, drift.SimulateOptions{Windows: drift.Windowing{Rows: 100}}) {
		break
	}
	if read != 100 {
		t.Errorf("%d rows read for one window of 100", read)
	}
	for v := range drift.Simulate(p, detector(t, p, drift.CompleteOptions()), rows(0, 1, nil), drift.SimulateOptions{Windows: drift.Windowing{Rows: 100}}) {
		t.Errorf("a window of no rows: %+v", v)
	}
}

// TestSimulateRounds: numbers of a file are judged as the tensors that a gateway gets.
func TestSimulateRounds(t *testing.T) {
	b := newBuilder([]drift.Feature{{Name: "a", Kind: drift.KindInput, Tensor: "a", Datatype: "FP32"}}, drift.BuilderOptions{Seed: 1})
	stream := func(yield func(drift.Row) bool) {
		for i := range 2000 {
			if !yield(drift.Row{Values: []float64{float64(i%8) / 10}, Missing: []bool{false}}) {
				return
			}
		}
	}
	stream(func(r drift.Row) bool { b.Add(r.Values, r.Missing); return true })
	p := b.Profile(drift.Meta{})
	n := 0
	for v := range drift.Simulate(p, detector(t, p, drift.CompleteOptions()), stream, drift.SimulateOptions{Windows: drift.Windowing{Rows: 1000}}) {
		n++
		if v.Features[0].Effect > .001 || len(v.Quality) > 0 {
			t.Errorf("the reference itself: %+v", v)
		}
	}
	if n != 2 {
		t.Errorf("%d windows", n)
	}
}

// The users of rows are known, so that rows of few users say less.
func TestSimulateUsers(t *testing.T) {
	effect := func(known bool) (most float64) {
		rng := rand.New(rand.NewPCG(61, 1))
		p := profile(1, 5000, normal(rng))
		users := take(30, normal(rng))
		rows := func(yield func(drift.Row) bool) {
			for range 4 * 500 {
				user := rng.IntN(len(users))
				r := drift.Row{At: epoch, Values: []float64{users[user]}, Missing: []bool{false}}
				if known {
					r.User = uint64(user) + 1
				}
				if !yield(r) {
					return
				}
			}
		}
		o := drift.SimulateOptions{Windows: drift.Windowing{Rows: 500, MinRows: 50}}
		for v := range drift.Simulate(p, detector(t, p, drift.CompleteOptions()), rows, o) {
			most = max(most, v.Features[0].DesignEffect)
		}
		return most
	}
	if known, unknown := effect(true), effect(false); known < 4 || known < 2*unknown {
		t.Errorf("the design effect is %v with known users, %v without", known, unknown)
	}
}
