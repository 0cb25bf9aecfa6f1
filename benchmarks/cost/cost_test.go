package main

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/internal/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// made are results whose figures follow from names and rounds alone.
func made(points []point) record.Rows {
	about := record.New("run", "server_cpus", "0", "client_cpus", "1", "rounds", 3, "duration", "2s")
	about.Host = &record.Host{Date: "2026-11-29", Revision: "abc1234", Go: "go1.26.8", CPU: "a processor", Cores: 2, Kernel: "6.1"}
	rows := record.Rows{about}
	for round := range 3 {
		for i, p := range points {
			const n = 100_000
			cpu := n * float64(10_000+100*i+20*round) // ns each: 100 more per point, 20 more per round
			if p.set == setBareAgain {
				cpu += float64(n * 30 * (round - 1)) // which is up to 150 ns to the first
			}
			if p.curve == "payload" {
				cpu += n * p.x
			}
			m := record.New("measured", "set", p.set, "curve", p.curve, "x", p.x, "round", round+1)
			m.Figures = map[string]float64{"requests": n, "elapsed_ns": 2e9, "cpu_ns": cpu, "mallocs": n + 10_000*float64(i), "runs": 25_000, "members": n}
			if p.features > 0 {
				m.Figures["drift_rows"], m.Figures["drift_dropped"] = 75_000, 25_000
			}
			rows = append(rows, m)
		}
	}
	return rows
}

// TestReports compares both pages with what they were, by way of the file.
func TestReports(t *testing.T) {
	f := func(name string, rows record.Rows, render func(dir string, rows record.Rows) error) {
		t.Helper()
		dir := t.TempDir()
		file := filepath.Join(dir, name+".jsonl")
		if err := record.Save(file, rows); err != nil {
			t.Fatal(err)
		}
		again, err := record.Load(file)
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
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s differs from the golden file; look at it and run with -update:\n%s", name, diff)
		}
	}
	cost, request := made(sets()), record.New("metrics", "what", "a request")
	request.Figures["ns"] = 94.6
	f("cost", append(cost, request), renderCost)
	f("growth", made(curvePoints()), renderGrowth)
	f("rollouts-cost", append(made(rolloutSets()), request), renderRollouts)
}

func TestVerdicts(t *testing.T) {
	f := func(want, why string, rows ...[]float64) {
		t.Helper()
		l := line{curve: curve{why: why}}
		for i, row := range rows {
			var list record.Rows
			for _, v := range row {
				m := record.New("measured")
				m.Figures = map[string]float64{"requests": 1, "cpu_ns": v}
				list = append(list, m)
			}
			l.add(math.Pow(10, float64(i)), list)
		}
		if got := l.verdict(); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f("Flat: all points lie within 4.0 %.", "", []float64{100, 100}, []float64{102, 102}, []float64{104, 104})
	f("Not to be told from flat: 10 costs × 1.20 of 1, but", "", []float64{90, 110}, []float64{105, 135})
	f("Not flat: 10 costs × 1.20 of 1, and that is not explained.", "", []float64{100, 100}, []float64{120, 120})
	f("Not flat: 100 costs × 4.00 of 10. The reason: so it is", "so it is", []float64{50, 50}, []float64{25, 25}, []float64{100, 100})
	f("Not flat: 1 costs × 4.00 of 10, and that is not explained.", "so it is", []float64{100, 100}, []float64{25, 25}, []float64{50, 50}) // it should grow
}

// Only what was answered OK is counted.
func TestAllAnswered(t *testing.T) {
	m := process.Metrics{`sluice_requests_total{code="ok",model="a b"}`: 1.5e6, `sluice_requests_total{code="ok",model="b"}`: 2}
	if allAnswered(m, 1.5e6+2) != nil || allAnswered(m, 0) == nil {
		t.Error("nothing was answered, and no error; or the other way round")
	}
	m[`sluice_requests_total{code="overloaded"}`] = 1
	if err := allAnswered(m, 3); err == nil {
		t.Error("a request was refused, and no error")
	}
}

// The gateway takes the configuration of each point.
func TestPoints(t *testing.T) {
	for _, p := range slices.Concat(sets(), curvePoints(), rolloutSets()) {
		text := p.config("dir")
		c, err := config.Parse(p.id(), []byte(text), func(string) (string, bool) { return "", false })
		if err != nil || c.Server.AccessLog.Enabled != (p.log > 0) {
			t.Errorf("%s: %v in\n%s", p.id(), err, text)
		}
		for _, m := range c.Models {
			if (m.Drift.Profile != "") != (p.features > 0) {
				t.Errorf("%s: profile %q for %d features", p.id(), m.Drift.Profile, p.features)
			}
		}
	}
}
