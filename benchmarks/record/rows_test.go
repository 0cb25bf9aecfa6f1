package record_test

import (
	"bytes"
	"io"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/benchmarks/record"
)

type closing struct{ io.Writer }

func (closing) Close() error { return nil }

// What is written is read, with the host of the line before if it is the same.
func TestWhatIsWrittenIsRead(t *testing.T) {
	here, there := &record.Host{Cores: 2, CPU: "a"}, &record.Host{Cores: 4, CPU: "b"}
	one := record.New("cell", "round", 1, "load", 0.5, "none", "")
	one.Host, one.Figures["p50_us"], one.Figures["none"] = here, 1.5, math.NaN()
	table := record.Table{Title: "T", Columns: []string{"name", "ms"}}
	table.Add("a|b", 1.5)
	two := record.Record{Scenario: "check", Tables: []record.Table{table}, Notes: []string{"n"}, Host: here}
	two.AtMost("never", math.Inf(1), 1, "ms")
	three := record.Record{Scenario: "check", Host: there}
	var text bytes.Buffer
	f := record.NewFile(closing{&text})
	for _, r := range []record.Record{one, two, three} {
		if err := f.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(text.String(), `"host"`); n != 2 {
		t.Errorf("%d hosts in\n%s", n, &text)
	}
	got, err := record.Read(&text)
	if err != nil {
		t.Fatal(err)
	}
	delete(one.Figures, "none")
	if diff := cmp.Diff(record.Rows{one, two, three}, got); diff != "" {
		t.Error(diff)
	}
	if got[0].Num("load") != 0.5 || got[1].Checks[0].Got != -1 || len(got.Where("cell", "round", "1", "none", "")) != 1 || len(got.Groups("load")) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestBrokenFiles(t *testing.T) {
	const first = `{"scenario":"a","host":{"cores":2}}` + "\n"
	for text, want := range map[string]string{
		`{"scenario":"a"}`:       "line 1 has no scenario or no host",
		first + `{"params":{}}`:  "line 2 has no scenario",
		first + `{"scenario":1}`: "line 2: json",
	} {
		if _, err := record.Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if rows, err := record.Load(filepath.Join(t.TempDir(), "none.jsonl")); err != nil || rows != nil {
		t.Errorf("%v, %v", rows, err)
	}
}

func TestSpread(t *testing.T) {
	f := func(want record.Spread, values ...float64) {
		t.Helper()
		if got := record.SpreadOf(values); got != want {
			t.Errorf("%v: %+v, want %+v", values, got, want)
		}
	}
	f(record.Spread{Median: 3, Low: 3, High: 3}, 3)
	f(record.Spread{Median: 2.5, Low: 1, High: 4}, 4, 1, 2, 3)
	f(record.Spread{Median: 2, Low: 1, High: 9}, 9, 1, math.NaN(), 2, math.Inf(1))
	if s := record.SpreadOf(nil); s.OK() || s.Text("%.0f") != "–" {
		t.Errorf("of nothing: %+v", s)
	}
}

// A difference is one within a round: what makes a whole round slow does not show,
// and a round that lacks one of the two does not count.
func TestDifferencesAreWithinARound(t *testing.T) {
	of := func(values ...float64) (rows record.Rows) {
		for i, v := range values {
			if v > 0 {
				r := record.New("x", "round", i+1)
				r.Figures["v"] = v
				rows = append(rows, r)
			}
		}
		return rows
	}
	f := func(want record.Spread, compare func(own, base float64) float64, own record.Rows, base ...record.Rows) {
		t.Helper()
		if got := own.Over(record.Named("v"), compare, base...); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	f(record.Spread{Median: 10, Low: 10, High: 10}, record.Difference, of(110, 1110, 500, 210), of(90, 1090, 400, 0), of(110, 1110, 0, 200))
	f(record.Spread{Median: 2, Low: 1, High: 3}, record.Ratio, of(10, 60, 7), of(10, 20, 0))
	f(record.Spread{Median: 25, Low: 0, High: 50}, record.Percent, of(15, 20), of(10, 10), of(10, 30))
}

func TestVerdicts(t *testing.T) {
	var r record.Record
	r.AtMost("a", 10, 10, "ms")
	r.AtMost("b", 10.1, 10, "ms")
	r.AtLeast("c", 90, 90, "%")
	r.AtLeast("d", 89.9, 90, "%")
	r.AtMost("e", math.NaN(), 10, "ms")
	r.AtLeast("f", math.NaN(), 10, "ms")
	r.Tell("g", math.Inf(1), "")
	want := []record.Check{
		{"a", 10, "≤ 10", "ms", record.Met},
		{"b", 10.1, "≤ 10", "ms", record.Missed},
		{"c", 90, "≥ 90", "%", record.Met},
		{"d", 89.9, "≥ 90", "%", record.Missed},
		{"e", -1, "≤ 10", "ms", record.Missed},
		{"f", -1, "≥ 10", "ms", record.Missed},
		{"g", -1, "", "", record.Recorded},
	}
	if diff := cmp.Diff(want, r.Checks); diff != "" {
		t.Error(diff)
	}
}

func TestNumber(t *testing.T) {
	for want, v := range map[string]float64{
		"0": 0, "12": 12, "0.0123": 0.01234, "1.23": 1.234, "12.3": 12.34, "1234": 1234.5, "1000000000": 1e9, "-0.5": -0.5,
	} {
		if got := record.Number(v); got != want {
			t.Errorf("%g is written %s, want %s", v, got, want)
		}
	}
}
