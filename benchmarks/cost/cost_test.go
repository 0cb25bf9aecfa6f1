package main

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// made are results whose figures follow from names and rounds alone.
func made(points []point) *results {
	r := &results{About: aboutLine{
		Part: partRun, Date: time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC), Commit: "abc1234", Go: "go1.26.8", CPU: "a processor",
		Cores: 2, Kernel: "6.1", Server: "0", Client: "1", Rounds: 3, Duration: 2 * time.Second,
	}}
	for round := range 3 {
		for i, p := range points {
			m := measurement{
				Part: partMeasured, Set: p.set, Curve: p.curve, X: p.x, Round: round + 1, Requests: 100_000, Elapsed: 2 * time.Second,
				CPU:     time.Duration(100_000 * (10_000 + 100*i + 20*round)), // ns each: 100 more per point, 20 more per round
				Mallocs: 100_000 + 10_000*float64(i), Runs: 25_000, Members: 100_000,
			}
			if p.set == setBareAgain {
				m.CPU += time.Duration(100_000 * 30 * (round - 1)) // which is up to 150 ns to the first
			}
			if p.curve == "payload" {
				m.CPU += time.Duration(100_000 * p.x)
			}
			if p.features > 0 {
				m.DriftRows, m.DriftDrops = 75_000, 25_000
			}
			r.Measured = append(r.Measured, m)
		}
	}
	return r
}

// TestReports compares both pages with what they were, by way of the file.
func TestReports(t *testing.T) {
	f := func(name string, r *results, render func(dir string, r *results) error) {
		t.Helper()
		dir := t.TempDir()
		file := filepath.Join(dir, name+".jsonl")
		if err := write(file, r); err != nil {
			t.Fatal(err)
		}
		again, err := read(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := render(dir, again); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, name+".md"))
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name+".md")
		if *update {
			if err := os.WriteFile(golden, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from the golden file; look at it and run with -update:\n%s", name, got)
		}
		drawn, err := os.ReadFile(filepath.Join(dir, name+".svg"))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range append(r.Measured[:1:1], r.Measured[len(r.Measured)-1]) {
			if label := p.Set + p.Curve; label != setBare && !strings.Contains(string(drawn), ">"+label+"<") {
				t.Errorf("the plot has no %q", label)
			}
		}
	}
	cost := made(sets())
	cost.Metrics = []observed{{partMetrics, "a request", 94.6, 0}}
	f("cost", cost, renderCost)
	f("growth", made(curvePoints()), renderGrowth)
}

func TestSpread(t *testing.T) {
	f := func(want spread, values ...float64) {
		t.Helper()
		if got := newSpread(values); got != want {
			t.Errorf("%v: %+v, want %+v", values, got, want)
		}
	}
	f(spread{3, 3, 3}, 3)
	f(spread{2.5, 1, 4}, 4, 1, 2, 3)
	f(spread{2, 1, 9}, 9, 1, 2)
	if s := newSpread(nil); !math.IsNaN(s.median) || s.text("%.0f") != "–" {
		t.Errorf("of nothing: %+v", s)
	}
}

// A difference is one within a round: what makes a whole round slow does not show,
// and a round that lacks one of the two does not count.
func TestDifferencesAreWithinARound(t *testing.T) {
	ns := func(values ...int) rounds {
		list := make(rounds, len(values))
		for i, v := range values {
			if v > 0 {
				list[i] = &measurement{Requests: 10, CPU: time.Duration(10 * v)}
			}
		}
		return list
	}
	got := ns(110, 1110, 500, 210).over(cpu, ns(90, 1090, 400, 0), ns(110, 1110, 0, 200))
	if want := (spread{10, 10, 10}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestVerdicts(t *testing.T) {
	f := func(want, why string, rows ...[]int) {
		t.Helper()
		l := line{curve: curve{why: why}}
		for i, row := range rows {
			var list rounds
			for _, v := range row {
				list = append(list, &measurement{Requests: 1, CPU: time.Duration(v)})
			}
			l.x, l.points = append(l.x, math.Pow(10, float64(i))), append(l.points, list)
		}
		if got := l.verdict(); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f("Flat: all points lie within 4.0 %.", "", []int{100, 100}, []int{102, 102}, []int{104, 104})
	f("Not to be told from flat: 10 costs × 1.20 of 1, but", "", []int{90, 110}, []int{105, 135})
	f("Not flat: 10 costs × 1.20 of 1, and that is not explained.", "", []int{100, 100}, []int{120, 120})
	f("Not flat: 100 costs × 4.00 of 10. The reason: so it is", "so it is", []int{50, 50}, []int{25, 25}, []int{100, 100})
	f("Not flat: 1 costs × 4.00 of 10, and that is not explained.", "so it is", []int{100, 100}, []int{25, 25}, []int{50, 50}) // it should grow
}

func TestReadMetrics(t *testing.T) {
	text := `# HELP sluice_requests_total x
sluice_requests_total{code="ok",model="a b",version="1"} 1.5e+06
sluice_requests_total{code="ok",model="b",version="1"} 2
sluice_runs_total{code="ok",model="b",version="1"} 4
sluice_run_requests_total{model="b",version="1"} 6
sluice_drift_rows_total{model="a",role="default",version="1"} 7
sluice_drift_dropped_rows_total{model="a",role="default",version="1"} 3
go_memstats_mallocs_total 12
go_memstats_mallocs_total_of_others 99
`
	got, err := readMetrics(strings.NewReader(text))
	if want := (counted{requests: 1_500_002, mallocs: 12, runs: 4, members: 6, driftRows: 7, driftDrops: 3}); err != nil || got != want {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	for _, bad := range []string{`sluice_requests_total{code="overloaded"} 1`, "go_memstats_mallocs_total x"} {
		if c, err := readMetrics(strings.NewReader(bad)); err == nil {
			t.Errorf("%s: no error, %+v", bad, c)
		}
	}
}

// Each point has a configuration that the gateway takes, with models for it, and a
// name of its own.
func TestPoints(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range append(sets(), curvePoints()...) {
		if seen[p.id()] {
			t.Errorf("%s is there twice", p.id())
		}
		seen[p.id()] = true
		dir := t.TempDir()
		if err := p.prepare(dir); err != nil {
			t.Fatalf("%s: %v", p.id(), err)
		}
		text := p.config(dir, "127.0.0.1:1", "127.0.0.1:2")
		c, err := config.Parse(p.id(), []byte(text), func(string) (string, bool) { return "", false })
		if err != nil {
			t.Fatalf("%s: %v in\n%s", p.id(), err, text)
		}
		if on := c.Server.AccessLog.Enabled; on != (p.log > 0) {
			t.Errorf("%s: access log %v", p.id(), on)
		}
		for name, m := range c.Models {
			file := filepath.Join(dir, "models", name, strconv.FormatInt(p.versions, 10), "model.onnx")
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: %v", p.id(), err)
			}
			if path := m.Drift.Profile; (path != "") != (p.features > 0) {
				t.Errorf("%s: profile %q for %d features", p.id(), path, p.features)
			}
		}
		if p.curve == "payload" && p.x > 1<<20 {
			continue // its body takes long to make
		}
		if p.conns < 1 || len(p.targets("http://x")) == 0 {
			t.Errorf("%s asks for nothing", p.id())
		}
	}
}
