package main

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
	got := r.ratio(record.Shared, "w", "a", "b")
	if want := (record.Spread{Median: 0.75, Low: 0.5, High: 0.9}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := r.ratio(record.Shared, "w", "a", "nobody"); got.OK() {
		t.Errorf("%+v to nobody", got)
	}
}

func TestRepeatedCells(t *testing.T) {
	f := func(want float64, marked string, list ...record.Record) {
		t.Helper()
		r := cells(list...)
		kept := r.cells[cellKey{record.Shared, "w", "a"}]
		if len(kept) != 1 || rate(&kept[0]) != want || marks(kept) != marked {
			t.Errorf("kept %+v, want the rate %g; marks %q, want %q", kept, want, marks(kept), marked)
		}
	}
	quiet := cell(1, "a", 7)
	quiet.Params["attempt"] = "2"
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
	rows := record.Rows{record.New("run", "setups", record.Shared, "works", "w", "contenders", "gateway,noop,node,slow")}
	for name, rate := range map[string]float64{record.Gateway: 50, "node": 100, "slow": 10, record.Noop: 900} {
		rows = append(rows, cell(1, name, rate), record.New("contender", "setup", record.Shared, "contender", name))
	}
	if got, want := arrange(rows).behind(), "Where it is behind:\n\n- node is faster at w, shared: the gateway does 0.50 of it\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMarks(t *testing.T) {
	a, b := cell(1, "a", 1), cell(2, "a", 1)
	a.Figures["errors_503"], a.Figures["errors_0"], b.Figures["errors_503"], b.Figures["generator_bound"] = 2, 1, 3, 1
	if got, want := marks(record.Rows{a, b}), "generator-bound in 1, 1 errors 0, 5 errors 503"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Raw ONNX Runtime is the best loop at the batch size that the server ran with,
// between measured sizes too.
func TestShareOfRaw(t *testing.T) {
	rows := record.Rows{cell(1, "a", 1000), cell(2, "a", 1100)}
	raw := func(round, threads, batch int, arena bool, runs float64) {
		r := record.New("raw", "setup", record.Shared, "round", round, "model", "m", "threads", threads, "batch", batch, "arena", arena)
		r.Figures["runs_per_second"] = runs
		rows = append(rows, r)
	}
	for round := 1; round <= 2; round++ {
		for batch, runs := range map[int]float64{1: 2000, 5: 400} { // 0.5 ms and 2.5 ms
			raw(round, 1, batch, false, runs)
			raw(round, 1, batch, true, runs/2)
			raw(round, 2, batch, false, runs/4)
		}
	}
	r := cells(rows...)
	if got := r.share(record.Shared, "w", "a", 0); got.Low != 0.5 || got.High != 0.55 {
		t.Errorf("%+v", got)
	}
	for i := range 2 {
		rows[i].Figures["batch_rows"] = 3 // 1.5 ms, 2000 rows/s
	}
	if got := cells(rows...).share(record.Shared, "w", "a", 0); got.Low < 0.499 || got.Low > 0.501 {
		t.Errorf("%+v", got)
	}
	if got := r.share(record.Pinned, "w", "a", 0); got.OK() {
		t.Errorf("%+v without raw runs", got)
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
	all, err := record.Load(fixture)
	if err != nil {
		t.Fatal(err)
	}
	for name, left := range map[string]func(r record.Record) bool{
		"nothing but the machine": func(r record.Record) bool { return r.Scenario != "run" },
		"no raw runs":             func(r record.Record) bool { return r.Scenario == "raw" },
		"nobody known":            func(r record.Record) bool { return r.Scenario == "contender" },
		"the gateway alone":       func(r record.Record) bool { return r.Scenario == "cell" && r.Params["contender"] != record.Gateway },
	} {
		r := arrange(slices.DeleteFunc(slices.Clone(all), left))
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
