package main

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/benchmarks/record"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The page and the document's table are what they were; every picture is on the page.
func TestGolden(t *testing.T) {
	dir := t.TempDir()
	text, err := os.ReadFile("testdata/small.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	in, readme := filepath.Join(dir, "compare.jsonl"), filepath.Join(dir, "README.md")
	for file, text := range map[string][]byte{in: text, readme: []byte("before\n" + begin + "\nold\n" + end + "\nafter\n")} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(in, readme); err != nil {
		t.Fatal(err)
	}
	for name, golden := range map[string]string{"compare.md": "testdata/small.md", "README.md": "testdata/README.md"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(golden, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s; go test ./report -update after a wanted change\n%s", name, diff)
		}
	}
	if plots, _ := filepath.Glob(filepath.Join(dir, "compare-*.svg")); len(plots) != 6 {
		t.Errorf("%q", plots)
	}
}

func cells(list ...record.Record) *results {
	return arrange(append(record.Rows{record.New("run", "noisy_above", 0.1)}, list...))
}

func cell(round int, contender string, rate float64) record.Record {
	c := record.New("cell", "setup", record.Shared, "round", round, "contender", contender, "attempt", 1, "work", "w", "model", "m", "rows", 1)
	c.Figures["requests_per_second"] = rate
	return c
}

func noisy(c record.Record, attempt int, others float64) record.Record {
	c.Params["attempt"] = strconv.Itoa(attempt)
	c.Figures["others"], c.Figures["noisy"] = others, 1
	return c
}

func TestRatioIsTakenRoundByRound(t *testing.T) {
	r := cells(cell(1, "a", 50), cell(1, "b", 100), cell(2, "a", 30), cell(2, "b", 40), cell(3, "a", 90), cell(3, "b", 100), cell(4, "a", 1))
	if got, want := r.ratio(record.Shared, "w", "a", "b"), (record.Spread{Median: 0.75, Low: 0.5, High: 0.9}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Of the attempts of a round the first quiet one counts, else the least noisy.
func TestRepeatedCells(t *testing.T) {
	f := func(want float64, marked string, list ...record.Record) {
		t.Helper()
		kept := cells(list...).cells[cellKey{record.Shared, "w", "a"}]
		if len(kept) != 1 || rate(&kept[0]) != want || marks(kept) != marked {
			t.Errorf("kept %+v, want the rate %g; marks %q, want %q", kept, want, marks(kept), marked)
		}
	}
	f(7, "", noisy(cell(1, "a", 5), 1, 0.5), cell(1, "a", 7))
	f(6, "1 of 1 rounds noisy", noisy(cell(1, "a", 5), 1, 0.5), noisy(cell(1, "a", 6), 2, 0.2), noisy(cell(1, "a", 4), 3, 0.3))
	if got := cells(cell(1, "a", 7), noisy(cell(2, "a", 7), 3, 0.5)).warning(); !strings.Contains(got, "1 of 2 cells") {
		t.Errorf("%q", got)
	}
}

// Raw ONNX Runtime is the best loop at the batch size that the server ran with, between
// measured sizes too.
func TestShareOfRaw(t *testing.T) {
	rows := record.Rows{cell(1, "a", 1000), cell(2, "a", 1100)}
	for round := 1; round <= 2; round++ {
		for batch, runs := range map[int]float64{1: 2000, 5: 400} { // 0.5 ms and 2.5 ms
			for _, l := range []struct {
				threads int
				arena   bool
				share   float64
			}{{1, false, 1}, {1, true, 0.5}, {2, false, 0.25}} {
				r := record.New("raw", "setup", record.Shared, "round", round, "model", "m", "threads", l.threads, "batch", batch, "arena", l.arena)
				r.Figures["runs_per_second"] = runs * l.share
				rows = append(rows, r)
			}
		}
	}
	if got := cells(rows...).share(record.Shared, "w", "a", 0); got.Low != 0.5 || got.High != 0.55 {
		t.Errorf("%+v", got)
	}
	for i := range 2 {
		rows[i].Figures["batch_rows"] = 3 // 1.5 ms, 2000 rows/s
	}
	if got := cells(rows...).share(record.Shared, "w", "a", 0); math.Abs(got.Low-0.5) > 0.001 {
		t.Errorf("%+v", got)
	}
}

func TestVerdicts(t *testing.T) {
	f := func(value float64, of target, want string) {
		t.Helper()
		of.got = record.SpreadOf([]float64{value})
		if _, got, _ := of.verdict(); got != want {
			t.Errorf("%g: %q, want %q", value, got, want)
		}
	}
	f(0.74, target{want: 0.8, binds: true}, "**missed**, 0.74 of 0.80")
	f(0.81, target{want: 0.8, stretch: 0.9, binds: true}, "met; the stretch of 0.90 is not")
	f(0.91, target{want: 0.8, stretch: 0.9, binds: true}, "met, and the stretch")
	f(0.10, target{want: 0.8}, "reported")
	f(1.29, target{want: 1.3, most: true, binds: true}, "met")
	f(1.31, target{want: 1.3, most: true, binds: true}, "**missed**, 1.31 of 1.30")
}

// If a run takes the same time whatever is in it, all who come during a run leave with the
// next: under heavy load the time is uniform between one run and two. And a measured encoder,
// as another simulation had it.
func TestDrainQueue(t *testing.T) {
	f := func(q queue, want50, want99, tolerance float64) {
		t.Helper()
		p50, p99, err := q.quantiles(400_000, 3)
		if err != nil || math.Abs(p50/want50-1) > tolerance || math.Abs(p99/want99-1) > tolerance {
			t.Errorf("p50 %g, p99 %g, %v; want %g and %g", p50, p99, err, want50, want99)
		}
	}
	f(queue{100_000, 1, 1 << 20, runCost{a: 1e-3}}, 1500, 1990, 0.01)
	f(queue{1000, 64, 4, runCost{1e-3, 1e-3}}, 2000, 2000, 0.001) // nobody waits
	f(queue{0.7 * 16 / 37.3e-3, 1, 16, runCost{2100e-6, 2200e-6}}, 12_750, 37_439, 0.06)
	if _, _, err := (queue{2000, 1, 1, runCost{a: 1e-3}}).quantiles(10, 1); err == nil {
		t.Error("more than the capacity, and no error")
	}
	got, err := fit([]int{1, 8, 32}, []float64{4.3e-3, 19.7e-3, 72.5e-3})
	if err != nil || math.Abs(got.a-2.1e-3) > 1e-9 || math.Abs(got.b-2.2e-3) > 1e-9 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = fit([]int{1, 8, 32}, []float64{1, 9, 40}); err != nil || got.a != 0 || got.b < 1 || got.b > 1.25 { // more than linear
		t.Errorf("%+v, %v", got, err)
	}
}
