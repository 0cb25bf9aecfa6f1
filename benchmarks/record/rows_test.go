package record

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is written is read, with the host of the line before if it is the same.
func TestFileIsReadAsWritten(t *testing.T) {
	here, there := &Host{Cores: 2, CPU: "a"}, &Host{Cores: 4, CPU: "b"}
	one := New("cell", "round", 1, "load", 0.5, "none", "")
	one.Host, one.Figures["p50_us"], one.Figures["none"] = here, 1.5, math.NaN()
	two := Record{Scenario: "check", Tables: []Table{{"T", []string{"name", "ms"}, [][]any{{"a|b", 1.5}}}}, Notes: []string{"n"}, Host: here}
	two.AtMost("never", math.Inf(1), 1, "ms")
	three := Record{Scenario: "check", Host: there}
	file := filepath.Join(t.TempDir(), "x.jsonl")
	if err := Save(file, Rows{one, two, three}); err != nil {
		t.Fatal(err)
	}
	got, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	delete(one.Figures, "none")
	if diff := cmp.Diff(Rows{one, two, three}, got); diff != "" {
		t.Error(diff)
	}
	if got[0].Num("load") != 0.5 || got[1].Checks[0].Got != -1 || len(got.Where("cell", "round", "1", "none", "")) != 1 || len(got.Groups("load")) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestSpread(t *testing.T) {
	for want, values := range map[Spread][]float64{{3, 3, 3}: {3}, {2.5, 1, 4}: {4, 1, 2, 3}, {2, 1, 9}: {9, 1, math.NaN(), 2, math.Inf(1)}} {
		if got := SpreadOf(values); got != want {
			t.Errorf("%v: %+v, want %+v", values, got, want)
		}
	}
	if SpreadOf(nil).OK() {
		t.Error("of nothing")
	}
}

// A difference is one within a round: what makes a whole round slow does not show, and a
// round that lacks one of the two does not count.
func TestMedianOf(t *testing.T) {
	values := func(n int) (list []float64) {
		for i := range n {
			list = append(list, float64(n-i))
		}
		return list
	}
	f := func(n int, want Spread) {
		t.Helper()
		if got := MedianOf(values(n)); got != want {
			t.Errorf("%d values: %+v, want %+v", n, got, want)
		}
	}
	f(5, Spread{3, 1, 5})
	f(6, Spread{3.5, 1, 6}) // 2 of 64 samples are all on one side
	f(15, Spread{8, 4, 12}) // tables of the sign test
	if got := MedianOf(nil); got.OK() {
		t.Error(got)
	}
}

func TestDifferencesAreWithinARound(t *testing.T) {
	of := func(values ...float64) (rows Rows) {
		for i, v := range values {
			if v > 0 {
				r := New("x", "round", i+1)
				r.Figures["v"] = v
				rows = append(rows, r)
			}
		}
		return rows
	}
	f := func(want Spread, compare func(own, base float64) float64, own Rows, base ...Rows) {
		t.Helper()
		if got := own.Over(Named("v"), compare, base...); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	f(Spread{10, 10, 10}, Difference, of(110, 1110, 500, 210), of(90, 1090, 400, 0), of(110, 1110, 0, 200))
	f(Spread{2, 1, 3}, Ratio, of(10, 60, 7), of(10, 20, 0))
	f(Spread{25, 0, 50}, Percent, of(15, 20), of(10, 10), of(10, 30))
}

// A figure that is not a number holds no promise.
func TestVerdicts(t *testing.T) {
	var r Record
	r.AtMost("", 10, 10, "")
	r.AtMost("", 10.1, 10, "")
	r.AtLeast("", 90, 90, "")
	r.AtLeast("", 89.9, 90, "")
	r.AtMost("", math.NaN(), 10, "")
	r.AtLeast("", math.NaN(), 10, "")
	for i, want := range []string{Met, Missed, Met, Missed, Missed, Missed} {
		if r.Checks[i].Verdict != want {
			t.Errorf("%+v is not %s", r.Checks[i], want)
		}
	}
}
