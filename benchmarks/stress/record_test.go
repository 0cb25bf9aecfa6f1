package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestVerdicts(t *testing.T) {
	var r Record
	r.atMost("a", 10, 10, "ms")
	r.atMost("b", 10.1, 10, "ms")
	r.atLeast("c", 90, 90, "%")
	r.atLeast("d", 89.9, 90, "%")
	r.atMost("e", math.NaN(), 10, "ms")
	r.atLeast("f", math.NaN(), 10, "ms")
	r.record("g", math.Inf(1), "")
	want := []Check{
		{"a", 10, "≤ 10", "ms", met},
		{"b", 10.1, "≤ 10", "ms", missed},
		{"c", 90, "≥ 90", "%", met},
		{"d", 89.9, "≥ 90", "%", missed},
		{"e", -1, "≤ 10", "ms", missed},
		{"f", -1, "≥ 10", "ms", missed},
		{"g", -1, "", "", recorded},
	}
	for i, c := range r.Checks {
		if c != want[i] {
			t.Errorf("got %+v, want %+v", c, want[i])
		}
	}
}

func TestNumber(t *testing.T) {
	f := func(v float64, want string) {
		t.Helper()
		if got := number(v); got != want {
			t.Errorf("%g is written %s, want %s", v, got, want)
		}
	}
	f(0, "0")
	f(12, "12")
	f(0.01234, "0.0123")
	f(1.234, "1.23")
	f(12.34, "12.3")
	f(1234.5, "1234")
	f(1e9, "1000000000")
	f(-0.5, "-0.5")
}

// What was written can be read back and looks the same; a scenario that ran again
// takes the place of its old line.
func TestResultsKeepWhatWasNotRun(t *testing.T) {
	at := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	table := Table{Title: "T", Columns: []string{"name", "n", "ms"}}
	table.add("a|b", 3, 1.5)
	one := Record{Scenario: "one", What: "does one", At: at, Machine: "m", Commit: "c1", Tables: []Table{table}}
	one.atMost("quick", 5, 4, "ms")
	two := Record{Scenario: "two", What: "does two", At: at, Machine: "m", Commit: "c1", Notes: []string{"n"}}
	out := filepath.Join(t.TempDir(), "results")
	if err := write(out, "Title", []Record{one, two}); err != nil {
		t.Fatal(err)
	}
	old, err := readRecords(out + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	fresh := Record{Scenario: "two", What: "does two again", At: at, Machine: "m", Commit: "c2", Quick: true}
	list := merge(old, []Record{fresh}, []string{"one", "zero", "two"})
	if len(list) != 2 || list[0].Scenario != "one" || list[1].Commit != "c2" {
		t.Fatalf("%+v", list)
	}
	var text strings.Builder
	render(&text, "Title", list)
	const want = `# Title

2026-11-29, m, commit c1.
2026-11-29, m, commit c2, a quick run: shorter and smaller than what the tables are meant for.

| scenario | claim | wanted | measured | verdict |
|---|---|---|---|---|
| one | quick | ≤ 4 ms | 5 ms | **missed** |

## one

does one

T:

| name | n | ms |
|---|---|---|
| a\|b | 3 | 1.5 |

## two

does two again
`
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &text, want)
	}
}

func TestNoResultsYet(t *testing.T) {
	if list, err := readRecords(filepath.Join(t.TempDir(), "none.jsonl")); err != nil || list != nil {
		t.Errorf("%v, %v", list, err)
	}
}
