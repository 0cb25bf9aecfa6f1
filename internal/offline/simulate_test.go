package offline_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/offline"
)

// normalRows is a table of a, b and out. a is moved by shift from row number from on.
func normalRows(seed uint64, rows, from int, shift float64) string {
	rng := rand.New(rand.NewPCG(seed, 7))
	var b strings.Builder
	b.WriteString("a,b,out\n")
	for i := range rows {
		a := rng.NormFloat64()
		if i+1 >= from {
			a += shift
		}
		fmt.Fprintf(&b, "%.4f,%.4f,%.4f\n", a, rng.NormFloat64(), rng.NormFloat64())
	}
	return b.String()
}

func normalProfile(t *testing.T) *offline.Profile {
	t.Helper()
	p, err := offline.MakeProfile(t.Context(), strings.NewReader(normalRows(1, 5000, 5001, 0)), offline.ProfileOptions{Outputs: []string{"out"}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// simulation has windows of 500 rows.
func simulation() offline.SimulationOptions {
	o := offline.SimulationOptions{Drift: config.Default().Model("").Drift, Streams: 1}
	o.Drift.Rows = 500
	return o
}

func TestSimulateProfile(t *testing.T) {
	p := normalProfile(t)
	f := func(csv string, o offline.SimulationOptions, want, wantNotes string) {
		t.Helper()
		var got, notes []string
		o.Note = func(text string) { notes = append(notes, text) }
		_, err := offline.SimulateProfile(t.Context(), p, strings.NewReader(csv), o, func(s offline.Simulated) error {
			text := fmt.Sprintf("%d-%d %s", s.From, s.To, s.State)
			if s.State != drift.OK && len(s.Features) > 0 {
				text += fmt.Sprintf(" %s since %d", s.Features[0].Feature, s.Since)
			}
			got = append(got, text)
			return nil
		})
		if err != nil {
			got = append(got, err.Error())
		}
		if text := strings.Join(got, ", "); text != want || strings.Join(notes, ", ") != wantNotes {
			t.Errorf("%s\nnotes %v\nwant %s", text, notes, want)
		}
	}
	f(normalRows(2, 1600, 1601, 0), simulation(), "1-500 OK, 501-1000 OK, 1001-1500 OK", "")
	moved := normalRows(3, 2000, 1001, .8)
	f(moved, simulation(), "1-500 OK, 501-1000 OK, 1001-1500 DETECTED a since 1001, 1501-2000 DETECTED a since 1001", "")
	lax := simulation()
	lax.Drift.Tolerance = 5
	f(moved, lax, "1-500 OK, 501-1000 OK, 1001-1500 OK, 1501-2000 OK", "")

	// Columns are found by name, in any order. Without outputs only inputs count.
	lines := strings.Split(strings.TrimSpace(moved), "\n")
	var inputs strings.Builder
	for _, line := range lines {
		fields := strings.Split(line, ",")
		fmt.Fprintf(&inputs, "x,%s,%s\n", fields[1], fields[0])
	}
	f(inputs.String(), simulation(), "1-500 OK, 501-1000 OK, 1001-1500 DETECTED a since 1001, 1501-2000 DETECTED a since 1001",
		"the file does not have all outputs of the profile; only the inputs are judged")

	f("a,b\n", simulation(), "the file has no rows; expected rows below the names of the columns", "the file does not have all outputs of the profile; only the inputs are judged")
	f("a,out\n1,2\n", simulation(), "no column for feature 'b'", "")
	f("a,b,out\n1,2,3\n1,2\n", simulation(), "line 3 has 2 fields; expected 3, as in the first row", "")
	bad := simulation()
	bad.Drift.Tolerance = -1
	f(moved, bad, "the tolerance is -1; expected more than 0 and at most 10", "")

	bad = simulation()
	bad.Drift.Rows = 0
	f(moved, bad, "windows of 0 rows; expected at least 1, or a column of times", "")

	bad = simulation()
	bad.Streams = 0
	f(moved, bad, "0 streams; expected at least 1", "")

	stop := errors.New("enough")
	_, err := offline.SimulateProfile(t.Context(), p, strings.NewReader(moved), simulation(), func(offline.Simulated) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o := simulation()
	o.Progress = func(int64, int64) { cancel() }
	_, err = offline.SimulateProfile(ctx, p, strings.NewReader(normalRows(4, 10_000, 1, 0)), o, func(offline.Simulated) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestSimulateTimes: rows with times make windows of time, which are joined while they have too few
// rows.
func TestSimulateTimes(t *testing.T) {
	p := normalProfile(t)
	// table has the given number of rows in each minute. a is moved from a minute on.
	table := func(rows []int, moved int, layout string) string {
		rng := rand.New(rand.NewPCG(9, 9))
		var b strings.Builder
		b.WriteString("a,when,b,out\n")
		at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
		for minute, n := range rows {
			for i := range n {
				a := rng.NormFloat64()
				if minute >= moved {
					a++
				}
				when := at.Add(time.Duration(minute)*time.Minute + time.Duration(i)*time.Minute/time.Duration(n))
				text := when.Format(layout)
				if layout == "" {
					text = fmt.Sprintf("%d.%03d", when.Unix(), when.Nanosecond()/1e6)
				}
				fmt.Fprintf(&b, "%.4f,%s,%.4f,%.4f\n", a, text, rng.NormFloat64(), rng.NormFloat64())
			}
		}
		return b.String()
	}
	o := simulation()
	o.Time, o.Drift.Rows, o.Drift.Window, o.Drift.MaxWindow = "when", 0, 2*time.Minute, 7*time.Minute
	f := func(csv, want string) {
		t.Helper()
		var got []string
		rows, err := offline.SimulateProfile(t.Context(), p, strings.NewReader(csv), o, func(s offline.Simulated) error {
			text := fmt.Sprintf("%s to %s %d-%d %s", s.Window.Start.Format("15:04"), s.Window.End.Format("15:04"), s.From, s.To, s.State)
			if s.Since > 0 {
				text += fmt.Sprintf(" since %d", s.Since)
			}
			if s.Reason != "" {
				text += " " + s.Reason
			}
			got = append(got, text)
			return nil
		})
		if got = append(got, fmt.Sprintf("%d rows", rows)); err != nil {
			got = append(got, err.Error())
		}
		if text := strings.Join(got, "; "); text != want {
			t.Errorf("%s\nwant %s", text, want)
		}
	}
	many := "12:00 to 12:02 1-200 OK; 12:02 to 12:04 201-400 OK; 12:04 to 12:06 401-600 DETECTED since 401; 600 rows"
	for _, layout := range []string{"", time.RFC3339Nano, "2006-01-02 15:04:05.999", "2006-01-02T15:04:05.999"} {
		f(table([]int{100, 100, 100, 100, 100, 100}, 4, layout), many)
	}
	// 20 rows a minute are joined to 80 in four minutes; the last window has not ended.
	f(table([]int{20, 20, 20, 20, 20, 20, 20, 20, 20}, 100, time.RFC3339), "12:00 to 12:04 1-80 OK; 12:04 to 12:08 81-160 OK; 180 rows")
	// At most four windows are joined: the max in whole windows.
	f(table([]int{5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100}, 100, time.RFC3339),
		"12:00 to 12:08 1-5 OK the window has 5 rows; expected at least 50; 12:08 to 12:12 6-105 OK; 105 rows")
	f("a,when,b,out\n1,2026-05-04,2,3\n1,2026-05-03,2,3\n", "1 rows; line 3, column 2 ('when'): '2026-05-03' is before the time of the previous row; sort the file by time")
	f("a,when,b,out\n1,noon,2,3\n", "0 rows; line 2, column 2 ('when'): 'noon' is not a valid time; expected RFC 3339, 2026-05-04 12:30:00, 2026-05-04, or seconds since 1970")
	f("a,b,out\n1,2,3\n", "0 rows; the file has no column 'when'; it has 'a', 'b', 'out'")
}

// TestReplayDrift judges each window of a stream again from its event.
func TestReplayDrift(t *testing.T) {
	p := normalProfile(t)
	digest, err := p.Digest()
	if err != nil {
		t.Fatal(err)
	}
	settings := simulation().Drift
	options := driftwatch.DetectorOptions(&settings, 1)
	detector, err := drift.NewDetector(p, options)
	if err != nil {
		t.Fatal(err)
	}
	text := func(doc any) json.RawMessage {
		t.Helper()
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	begin := time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC)
	rng := rand.New(rand.NewPCG(5, 5))
	var events []api.DriftEvidence
	for i := range 12 {
		w := p.NewWindow(begin.Add(time.Duration(i) * time.Hour))
		w.End, w.Rows = begin.Add(time.Duration(i+1)*time.Hour), 300
		for range w.Rows {
			for k := range w.Counts {
				x := rng.NormFloat64()
				if k == 0 && i >= 3 && i < 8 {
					x += .35
				}
				w.Counts[k].Add(&p.Features[k], x)
			}
		}
		e := api.DriftEvidence{ProfileDigest: digest, From: detector.State(), Before: text(detector.Snapshot()), Window: text(w)}
		e.Verdict = detector.Judge(w)
		e.State, e.After = e.Verdict.State, text(detector.Snapshot())
		var stored api.DriftEvidence // as in the journal and the API
		if err := json.Unmarshal(text(e), &stored); err != nil {
			t.Fatal(err)
		}
		events = append(events, stored)
	}
	if !slices.ContainsFunc(events, func(e api.DriftEvidence) bool { return e.State == drift.Detected }) {
		t.Fatal("nothing is detected")
	}
	for i := range events {
		if r, err := offline.ReplayDrift(p, &events[i]); err != nil || !r.Same || r.Verdict.State != events[i].State {
			t.Errorf("window %d: %+v, %v", i, r, err)
		}
	}

	at := slices.IndexFunc(events, func(e api.DriftEvidence) bool { return e.State == drift.Detected })
	f := func(change func(e *api.DriftEvidence), want string) {
		t.Helper()
		e := events[at]
		e.Verdict.Features = slices.Clone(e.Verdict.Features)
		change(&e)
		r, err := offline.ReplayDrift(p, &e)
		switch {
		case want == "" && (err != nil || r.Same):
			t.Errorf("a change is not noticed: %v", err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(func(e *api.DriftEvidence) { e.Verdict.Features[0].P *= 1 + 1e-15 }, "")
	f(func(e *api.DriftEvidence) { e.Verdict.State = drift.OK }, "")
	f(func(e *api.DriftEvidence) { e.After = e.Before }, "")
	f(func(e *api.DriftEvidence) { e.Window = bytes.Replace(e.Window, []byte(`"sum":`), []byte(`"sum":1`), 1) }, "")
	f(func(e *api.DriftEvidence) { e.ProfileDigest = "sha256:0" }, "was compared with profile sha256:0, but this one is sha256:")
	f(func(e *api.DriftEvidence) { e.Window = nil }, "does not have its window")
	f(func(e *api.DriftEvidence) { e.Window = json.RawMessage("null") }, "does not have its window")
	f(func(e *api.DriftEvidence) { e.Before = nil }, "does not have the state")
	f(func(e *api.DriftEvidence) { e.Window = json.RawMessage(`{"rows":-1}`) }, "window cannot be read")
	f(func(e *api.DriftEvidence) { e.Window = json.RawMessage(`{}`) }, "it has 0 features, but the profile has 3")
	f(func(e *api.DriftEvidence) {
		e.Before = text(drift.Snapshot{Options: options, Findings: []drift.FindingStatus{{Feature: "z", Kind: drift.KindInput, Statistic: drift.StatisticG}}})
	}, "the profile has no such feature")
	f(func(e *api.DriftEvidence) { e.Before = json.RawMessage(`{"findings":[]}`) }, "the tolerance is 0")
}
