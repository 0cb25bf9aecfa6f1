package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"sluice.io/sluice/api"
)

// TestSegmentsOfAFile: a profile is built and shown with its segments, and the drift of one is reported with its name.
func TestSegmentsOfAFile(t *testing.T) {
	rows := func(seed uint64, n, from int) string {
		rng := rand.New(rand.NewPCG(3, seed))
		var b strings.Builder
		b.WriteString("plan,age\n")
		for i := range n {
			plan, age := "free", rng.NormFloat64()
			if i%10 == 0 {
				plan = "pro"
				if i >= from {
					age++
				}
			}
			fmt.Fprintf(&b, "%s,%.4f\n", plan, age)
		}
		return b.String()
	}
	file := filepath.Join(t.TempDir(), "p.json")
	r := profileLine(t, rows(1, 20_000, 1e6), "-", "--segment", "plan", "-o", file)
	if r.code != exitOK || !strings.Contains(r.errOut, "segments of element 0 of input 'plan': free 18000 rows, pro 2000 rows") {
		t.Fatalf("%+v", r)
	}
	if r := profileLine(t, "", "show", file); r.code != exitOK || !strings.Contains(r.out, "free 18000 rows, pro 2000 rows") {
		t.Errorf("%+v", r)
	}
	if r := profileLine(t, "", "show", file, "--html"); r.code != exitOK || !strings.Contains(r.out, "<td>pro<td>2000<td>10") || wellFormed(t, r.out) == 0 {
		t.Errorf("%.3000s", r.out)
	}
	simulate := func(args ...string) result {
		return command(t, rows(2, 20_000, 10_000), append([]string{"drift", "simulate", "-", "--profile", file, "--window-rows", "250"}, args...))
	}
	r = simulate()
	if r.code != exitOK || !strings.Contains(r.out, "SEGMENT") || !strings.Contains(r.out, "  pro      OK → DETECTED") || !strings.Contains(r.out, "in segment pro after row 12491; the drift began at row 10001") ||
		strings.Contains(r.out, "  free  ") || strings.Contains(r.out, "  -  ") {
		t.Errorf("%+v", r)
	}
	if r := simulate("--max-segments", "0"); r.code != exitOK || strings.Contains(r.out, "DETECTED") || strings.Contains(r.out, "SEGMENT") {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{"--segment", "plan", "--max-segments", "0"}, {"--max-segments", "5"}} {
		if r := profileLine(t, "", append([]string{"-"}, args...)...); r.code != exitUsage {
			t.Errorf("%v: %+v", args, r)
		}
	}
}

// TestSegmentsAreNamed: status, signals and journal name a segment.
func TestSegmentsAreNamed(t *testing.T) {
	var b strings.Builder
	printDrift(&b, []api.DriftStatus{
		{Model: "loans", Version: 3, Role: "stable", State: "OK"},
		{Model: "loans", Version: 3, Role: "stable", Segment: "DE\n", State: "DETECTED", Last: &api.DriftVerdict{Rows: 500}},
	}, false)
	if got := b.String(); !strings.Contains(got, "ROLE\tSEGMENT\tSTATE") || !strings.Contains(got, "stable\t-\tOK") || !strings.Contains(got, "loans/3 stable, segment DE") || strings.Contains(got, "DE\n\t") {
		t.Errorf("%s", got)
	}
	b.Reset()
	printSignal(&b, &api.Signal{
		SignalData:     api.SignalData{Model: "loans", Version: 3, Role: "stable", Segment: "DE"},
		SignalProgress: api.SignalProgress{Also: []api.SignalAlso{{Cause: api.CauseDrift, Version: 3, Role: "stable", Segment: "FR"}}},
	})
	if got := b.String(); !strings.Contains(got, "loans/3 stable, segment DE") || !strings.Contains(got, "version 3 stable, segment FR") {
		t.Errorf("%s", got)
	}
	b.Reset()
	if err := writeDriftPage(&b, driftPage{Model: "loans", Streams: []driftPageStream{{api.DriftReport{DriftStatus: api.DriftStatus{Version: 3, Role: "stable", Segment: "<DE>", State: "OFF"}}}}}); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); !strings.Contains(got, "Version 3, stable, segment &lt;DE&gt;:") {
		t.Errorf("%s", got)
	}
}
