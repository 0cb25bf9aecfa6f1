package main

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/benchmarks/record"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const fixture = "testdata/small.jsonl"

// render runs the command on a copy of the fixture and returns all that it wrote.
func render(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	in, readme := filepath.Join(dir, "compare.jsonl"), filepath.Join(dir, "README.md")
	for file, text := range map[string][]byte{
		in: text, readme: []byte("before\n" + begin + "\nold\n" + end + "\nafter\n"),
		filepath.Join(dir, "compare-old.svg"): []byte("of a former run"),
	} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(in, readme); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		written[f.Name()] = string(text)
	}
	return written
}

func TestGolden(t *testing.T) {
	got := render(t)
	for name, golden := range map[string]string{"compare.md": "testdata/small.md", "README.md": "testdata/README.md"} {
		if *update {
			if err := os.WriteFile(golden, []byte(got[name]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got[name]); diff != "" {
			t.Errorf("%s; go test ./report -update after a wanted change\n%s", name, diff)
		}
	}
}

func TestPlots(t *testing.T) {
	first, again := render(t), render(t)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Error("the same results gave another report:", diff)
	}
	var plots []string
	for name, text := range first {
		if strings.HasSuffix(name, ".svg") {
			plots = append(plots, name)
			if !strings.Contains(text, "<svg") || !strings.Contains(text, "gateway") && !strings.Contains(text, "R_raw") {
				t.Errorf("%s is no picture of the gateway: %.200s", name, text)
			}
			if !strings.Contains(first["compare.md"], "]("+name+")") {
				t.Errorf("%s is not on the page", name)
			}
		}
	}
	slices.Sort(plots)
	want := []string{
		"compare-open-loop-enc-binary-c-16-pinned.svg", "compare-ratios-pinned.svg", "compare-ratios-shared.svg",
		"compare-requests-in-flight-lin-binary-pinned.svg", "compare-throughput-pinned.svg", "compare-throughput-shared.svg",
	}
	if diff := cmp.Diff(want, plots); diff != "" {
		t.Error(diff)
	}
}

func TestSpread(t *testing.T) {
	f := func(want spread, values ...float64) {
		t.Helper()
		if got := spreadOf(values); got != want {
			t.Errorf("%v: %+v, want %+v", values, got, want)
		}
	}
	f(spread{})
	f(spread{3, 3, 3}, 3)
	f(spread{2, 1, 9}, 9, 1, 2)
	f(spread{2.5, 1, 9}, 2, 9, 1, 3)
}

func cells(list ...record.Cell) *results {
	return arrange(&record.Run{Cells: list})
}

func cell(round int, contender string, rate float64) record.Cell {
	return record.Cell{Setup: record.Shared, Round: round, Contender: contender, Attempt: 1, Rate: rate, Work: record.Work{Name: "w", Model: "m", Rows: 1}}
}

func noisy(c record.Cell, attempt int, others float64) record.Cell {
	c.Attempt, c.Others, c.Noisy = attempt, others, true
	return c
}

func TestRatioIsTakenRoundByRound(t *testing.T) {
	r := cells(cell(1, "a", 50), cell(1, "b", 100), cell(2, "a", 30), cell(2, "b", 40), cell(3, "a", 90), cell(3, "b", 100), cell(4, "a", 1))
	got, ok := r.ratio(record.Shared, "w", "a", "b")
	if want := (spread{0.75, 0.5, 0.9}); !ok || got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, ok := r.ratio(record.Shared, "w", "a", "nobody"); ok {
		t.Errorf("%+v to nobody", got)
	}
}

func TestRepeatedCells(t *testing.T) {
	f := func(want float64, marked string, list ...record.Cell) {
		t.Helper()
		r := cells(list...)
		kept := r.cells[cellKey{record.Shared, "w", "a"}]
		if len(kept) != 1 || kept[0].Rate != want || marks(kept) != marked {
			t.Errorf("kept %+v, want the rate %g; marks %q, want %q", kept, want, marks(kept), marked)
		}
	}
	quiet := cell(1, "a", 7)
	quiet.Attempt = 2
	f(7, "", noisy(cell(1, "a", 5), 1, 0.5), quiet)
	f(6, "1 of 1 rounds noisy", noisy(cell(1, "a", 5), 1, 0.5), noisy(cell(1, "a", 6), 2, 0.2), noisy(cell(1, "a", 4), 3, 0.3))
}

func TestWarning(t *testing.T) {
	quiet, loud := cell(1, "a", 7), noisy(cell(2, "a", 7), 3, 0.5)
	if got := cells(quiet).warning(); got != "" {
		t.Errorf("%q", got)
	}
	if got := cells(quiet, loud).warning(); !strings.Contains(got, "1 of 2 cells") {
		t.Errorf("%q", got)
	}
}

// A server that is faster than the gateway is named.
func TestFasterPeer(t *testing.T) {
	run := &record.Run{Cells: []record.Cell{cell(1, record.Gateway, 50), cell(1, "node", 100), cell(1, "slow", 10), cell(1, record.Noop, 900)}}
	run.Machine.Settings = record.Settings{
		Setups: []string{record.Shared}, Works: []string{"w"}, Contenders: []string{record.Gateway, record.Noop, "node", "slow"},
	}
	for _, name := range run.Machine.Settings.Contenders {
		run.Contenders = append(run.Contenders, record.Contender{Setup: record.Shared, Name: name})
	}
	if got, want := arrange(run).behind(), "Where it is behind:\n\n- node is faster at w, shared: the gateway does 0.50 of it\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMarks(t *testing.T) {
	a, b := cell(1, "a", 1), cell(2, "a", 1)
	a.Errors, b.Errors = map[string]int64{"503": 2, "0": 1}, map[string]int64{"503": 3}
	b.Generator = true
	if got, want := marks([]record.Cell{a, b}), "generator-bound in 1, 1 errors 0, 5 errors 503"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Raw ONNX Runtime is the best loop at the batch size that the server ran with,
// between measured sizes too.
func TestShareOfRaw(t *testing.T) {
	run := &record.Run{Cells: []record.Cell{cell(1, "a", 1000), cell(2, "a", 1100)}}
	for round := 1; round <= 2; round++ {
		for batch, runs := range map[int]float64{1: 2000, 5: 400} { // 0.5 ms and 2.5 ms
			run.Raw = append(run.Raw,
				record.Raw{Setup: record.Shared, Round: round, Model: "m", Threads: 1, Batch: batch, Runs: runs},
				record.Raw{Setup: record.Shared, Round: round, Model: "m", Threads: 1, Batch: batch, Arena: true, Runs: runs / 2},
				record.Raw{Setup: record.Shared, Round: round, Model: "m", Threads: 2, Batch: batch, Runs: runs / 4},
			)
		}
	}
	r := arrange(run)
	if got, ok := r.share(record.Shared, "w", "a", 0); !ok || got.low != 0.5 || got.high != 0.55 {
		t.Errorf("%+v", got)
	}
	for i := range run.Cells {
		run.Cells[i].Go = &record.GoStats{Batch: 3} // 1.5 ms, 2000 rows/s
	}
	if got, ok := arrange(run).share(record.Shared, "w", "a", 0); !ok || got.low < 0.499 || got.low > 0.501 {
		t.Errorf("%+v", got)
	}
	if got, ok := r.share(record.Pinned, "w", "a", 0); ok {
		t.Errorf("%+v without raw runs", got)
	}
}

func TestVerdicts(t *testing.T) {
	f := func(value float64, of target, want string) {
		t.Helper()
		of.measure = func(*results, *target) (spread, bool) { return spread{value, value, value}, true }
		if _, got, _ := of.verdict(nil); got != want {
			t.Errorf("%g: %q, want %q", value, got, want)
		}
	}
	f(0.74, target{want: 0.8, binds: true}, "**missed**, 0.74 of 0.80")
	f(0.81, target{want: 0.8, stretch: 0.9, binds: true}, "met; the stretch of 0.90 is not")
	f(0.91, target{want: 0.8, stretch: 0.9, binds: true}, "met, and the stretch")
	f(0.81, target{want: 0.8, binds: true, note: "why"}, "met (why)")
	f(0.10, target{want: 0.8}, "reported")
	f(1.29, target{want: 1.3, most: true, binds: true}, "met")
	f(1.31, target{want: 1.3, most: true, binds: true}, "**missed**, 1.31 of 1.30")
}

func TestReadmeWithoutMarkers(t *testing.T) {
	for _, text := range []string{"", begin, end, end + begin, begin + begin + end} {
		readme := filepath.Join(t.TempDir(), "README.md")
		if err := os.WriteFile(readme, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := updateReadme(readme, "new")
		if err == nil || !strings.Contains(err.Error(), readme) || !strings.Contains(err.Error(), begin) {
			t.Errorf("%q: %v", text, err)
		}
		if left, _ := os.ReadFile(readme); !bytes.Equal(left, []byte(text)) {
			t.Errorf("%q became %q", text, left)
		}
	}
}

// A run that was broken off, and one of the gateway alone, can be looked at too.
func TestPartialRuns(t *testing.T) {
	raw, err := record.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*record.Run){
		"nothing but the machine": func(r *record.Run) { *r = record.Run{Machine: r.Machine} },
		"no raw runs":             func(r *record.Run) { r.Raw = nil },
		"nobody known":            func(r *record.Run) { r.Contenders = nil },
		"the gateway alone": func(r *record.Run) {
			r.Cells = slices.DeleteFunc(slices.Clone(r.Cells), func(c record.Cell) bool { return c.Contender != record.Gateway })
		},
	} {
		partial := *raw
		change(&partial)
		r := arrange(&partial)
		plots, err := r.savePlots(t.TempDir(), "x")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var page strings.Builder
		r.page(&page, plots)
		if strings.Contains(page.String(), "NaN") || strings.Contains(page.String(), "Inf") {
			t.Errorf("%s:\n%s", name, page.String())
		}
		for title := range maps.Keys(plots) {
			if !strings.Contains(page.String(), "!["+title+"]") {
				t.Errorf("%s: %s is not on the page", name, title)
			}
		}
		if text := r.summary(); strings.Contains(text, "NaN") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}
