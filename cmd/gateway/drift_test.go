package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/offline"
)

// driftFold has streams in every state that a table shows in its own way.
func driftFold() *fold {
	f := newFold()
	began := foldAt.Add(-time.Hour)
	last := &api.DriftVerdict{
		Window: api.Span{Start: foldAt.Add(-5 * time.Minute), End: foldAt}, Rows: 1234, State: "DETECTED", Began: &began,
		Features: []api.DriftFinding{
			{Feature: "petal\nlength", Kind: "input", Statistic: "g", P: 1e-300, Effect: .31234, Low: .251, High: .38, Shift: .5432, Change: "mean higher by 0.54 s.d.", State: "DETECTED", Began: &began},
			{Feature: "label", Kind: "output", Statistic: "g", P: 2.345e-9, Effect: .05, Low: .0301, High: .0704, Shift: -.12, Change: "another distribution", State: "SUSPECTED", Began: &foldAt},
			{Feature: "petal width", Kind: "input", Statistic: "g", P: .5, Effect: .001, High: .004, State: "OK"},
		},
		Quality: []api.DriftFinding{
			{Feature: "petal width", Kind: "input", Statistic: "missing", Value: 99, P: 1e-20, Effect: .08, Low: .06, High: .1, Change: "8.02 % of the rows, 0 % in the reference", State: "DETECTED", Began: &began},
			{Feature: "label", Kind: "output", Statistic: "range", Value: 1, P: 1, State: "OK"},
		},
	}
	f.streams = []api.DriftStatus{
		{Model: "iris", Version: 1, Role: "stable", State: "OK", ProfileFrom: api.ProfileFromVersion, ProfileDigest: "sha256:12", Since: began, Rows: 987_654, Windows: 12, Last: &api.DriftVerdict{Rows: 99, State: "OK", Features: last.Features[2:]}},
		{Model: "iris", Version: 2, Role: "canary", State: "DETECTED", Since: foldAt, Rows: 50_000, Windows: 11, Dropped: 3, Last: last},
		{Model: "wine", Version: 4, Role: "default", State: "SUSPECTED", Since: foldAt},
		{Model: "wine", Version: 4, Role: "stable", State: "UNJUDGED", Since: began, UnjudgedSince: began, Waiting: 7, MinRows: 50, Rows: 7},
		{Model: "wine", Version: 5, Role: "canary", State: "OFF", Reason: "the profile does not fit model 'wine', version 5"},
	}
	return f
}

const driftTable = `MODEL  VERSION  ROLE     STATE      SINCE                ROWS    WINDOWS  DROPPED
iris   1        stable   OK         2026-05-04 02:02:01  987654  12       0
iris   2        canary   DETECTED   2026-05-04 03:02:01  50000   11       3
wine   4        default  SUSPECTED  2026-05-04 03:02:01  0       0        0
wine   4        stable   UNJUDGED   2026-05-04 02:02:01  7       0        0
wine   5        canary   OFF        -                    0       0        0

iris/2 canary: DETECTED, the last window from 2026-05-04 02:57:01 to 2026-05-04 03:02:01 had 1234 rows
FEATURE       KIND    CHANGE                                             EFFECT                     SHIFT       P        STATE      BEGAN
petal length  input   mean higher by 0.54 s.d.                           PSI 0.312 [0.251, 0.38]    +0.54 s.d.  <1e-300  DETECTED   2026-05-04 02:02:01
label         output  another distribution                               PSI 0.05 [0.0301, 0.0704]  -0.12 s.d.  2.3e-09  SUSPECTED  2026-05-04 03:02:01
petal width   input   missing: 8.02 % of the rows, 0 % in the reference  8 pp [6, 10]               -           1e-20    DETECTED   2026-05-04 02:02:01

wine/4 default: SUSPECTED; no window has had enough rows yet

wine/4 stable: no window was judged since 2026-05-04 02:02:01: the current window has 7 rows and needs at least 50

wine/5 canary: not compared: the profile does not fit model 'wine', version 5
`

func TestShiftText(t *testing.T) {
	for x, want := range map[float64]string{
		0: "-", .5432: "+0.54 s.d.", -.001: "-0.00 s.d.", 9999.99: "+9999.99 s.d.", -1e4: "-1e+04 s.d.", 123456: "+1.23e+05 s.d.", -math.MaxFloat64: "-1.8e+308 s.d.",
	} {
		if got := shiftText(x); got != want {
			t.Errorf("%v: got %s, want %s", x, got, want)
		}
	}
}

func TestDriftTable(t *testing.T) {
	fold := driftFold()
	fold.streams[0].Last.Window = fold.streams[1].Last.Window
	url := sideOf(t, fold)
	f := func(want string, args ...string) {
		t.Helper()
		expect(t, result{exitOK, want, ""}, command(t, "", append([]string{"drift", "--admin", url}, args...)))
	}
	f(driftTable)
	f(`MODEL  VERSION  ROLE    STATE     SINCE                ROWS    WINDOWS  DROPPED
iris   1        stable  OK        2026-05-04 02:02:01  987654  12       0
iris   2        canary  DETECTED  2026-05-04 03:02:01  50000   11       3

profile from the version folder, sha256:12
iris/1 stable: OK, the last window from 2026-05-04 02:57:01 to 2026-05-04 03:02:01 had 99 rows
FEATURE      KIND   CHANGE  EFFECT                SHIFT  P    STATE  BEGAN
petal width  input  -       PSI 0.001 [0, 0.004]  -      0.5  OK     -

iris/2 canary: DETECTED, the last window from 2026-05-04 02:57:01 to 2026-05-04 03:02:01 had 1234 rows
FEATURE       KIND    CHANGE                                             EFFECT                     SHIFT       P        STATE      BEGAN
petal length  input   mean higher by 0.54 s.d.                           PSI 0.312 [0.251, 0.38]    +0.54 s.d.  <1e-300  DETECTED   2026-05-04 02:02:01
label         output  another distribution                               PSI 0.05 [0.0301, 0.0704]  -0.12 s.d.  2.3e-09  SUSPECTED  2026-05-04 03:02:01
petal width   input   -                                                  PSI 0.001 [0, 0.004]       -           0.5      OK         -
petal width   input   missing: 8.02 % of the rows, 0 % in the reference  8 pp [6, 10]               -           1e-20    DETECTED   2026-05-04 02:02:01
label         output  range                                              0 pp [0, 0]                -           1        OK         -
`, "iris", "--all")

	got := command(t, "", []string{"drift", "iris", "--admin", url, "-o", "json"})
	var list []api.DriftStatus
	if err := json.Unmarshal([]byte(got.out), &list); err != nil {
		t.Fatalf("%v in %+v", err, got)
	}
	if diff := cmp.Diff(fold.streams[:2], list, cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("-o json (-want +got):\n%s", diff)
	}
	expect(t, result{exitFailed, "", "gateway: there is no model 'none' (404 Not Found)\n"}, command(t, "", []string{"drift", "none", "--admin", url}))
	fold.streams = nil
	f("MODEL  VERSION  ROLE  STATE  SINCE  ROWS  WINDOWS  DROPPED\n")
}

func TestDriftWatch(t *testing.T) {
	f := driftFold()
	ctx, cancel := context.WithCancel(t.Context())
	f.before = func(f *fold, _ string) {
		if f.asked == 2 {
			cancel()
		}
	}
	t.Setenv("SLUICE_TOKEN", "")
	var out, errOut strings.Builder
	code := run(ctx, []string{"drift", "--watch", "--interval", "1ms", "--admin", sideOf(t, f)}, strings.NewReader(""), &out, &errOut, terminal)
	expect(t, result{exitOK, driftTable + "\n" + driftTable, older}, result{code, out.String(), errOut.String()})
}

// shiftedRows is a table of rows. x is higher from row number from on, and y is missing from row
// number none on.
func shiftedRows(seed uint64, rows, from, none int) string {
	rng := rand.New(rand.NewPCG(seed, 3))
	var b strings.Builder
	b.WriteString("y,x\n")
	for i := range rows {
		x, y := rng.NormFloat64(), fmt.Sprintf("%.4f", rng.NormFloat64())
		if i+1 >= from {
			x++
		}
		if i+1 >= none {
			y = "NA"
		}
		fmt.Fprintf(&b, "%s,%.4f\n", y, x)
	}
	return b.String()
}

// profileFile makes a profile of unchanged rows.
func profileFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "p.json")
	if r := profileLine(t, shiftedRows(1, 5000, 1e6, 1e6), "-", "-o", file); r.code != exitOK {
		t.Fatalf("%+v", r)
	}
	return file
}

func TestDriftSimulate(t *testing.T) {
	profile := profileFile(t)
	f := func(in, want string, args ...string) {
		t.Helper()
		got := command(t, in, append([]string{"drift", "simulate", "-", "--profile", profile}, args...))
		expect(t, result{exitOK, want, ""}, got)
	}
	f(shiftedRows(2, 2040, 1e6, 1e6), "Rows:             2040; the last 40 are in a window that has not ended\nWindows:          2 of 1000 rows\nFirst detection:  none\n")
	f(shiftedRows(2, 20, 1e6, 1e6), "Rows:             20; the last 20 are in a window that has not ended\nWindows:          0 of 1000 rows\nFirst detection:  none; no window was judged\n")
	moved := shiftedRows(3, 4000, 1501, 2501)
	got := command(t, moved, []string{"drift", "simulate", "-", "--profile", profile, "--window-rows", "500"})
	if got.code != exitOK || !strings.Contains(got.out, "1501 to 2000  OK → DETECTED        1501          input x: mean higher by ") ||
		!strings.Contains(got.out, "2501 to 2550  DETECTED → DETECTED  1501          input x: mean higher by ") ||
		!strings.Contains(got.out, "; input y: missing: within 50 rows: 100 % of the rows are missing, 0 % in the reference\n") ||
		!strings.HasSuffix(got.out, "\n\nRows:             4000; the last 450 are in a window that has not ended\nWindows:          8 of 500 rows\nFirst detection:  after row 2000; the drift began at row 1501\n") || strings.Count(got.out, "\n") != 7 {
		t.Errorf("%+v", got)
	}
	f(moved, "Rows:             4000\nWindows:          8 of 500 rows\nFirst detection:  none\n", "--window-rows", "500", "--tolerance", "9", "--range-tolerance", ".9", "--quality-tolerance", "0.99", "--false-alarm-windows", "1000000000")

	got = command(t, moved, []string{"drift", "simulate", "-", "--profile", profile, "--window-rows", "500", "-o", "json"})
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	if got.code != exitOK || len(lines) != 8 {
		t.Fatalf("%+v", got)
	}
	var s offline.Simulated
	if err := json.Unmarshal([]byte(lines[3]), &s); err != nil || s.From != 1501 || s.To != 2000 || s.Since != 1501 || s.State != drift.Detected || len(s.Features) != 2 {
		t.Errorf("%s: %v", lines[3], err)
	}
}

func TestDriftSimulateTimes(t *testing.T) {
	profile := profileFile(t)
	rows := strings.Split(strings.TrimSpace(shiftedRows(3, 2000, 1001, 1e6)), "\n")
	var in strings.Builder
	in.WriteString(rows[0] + ",t\n")
	for i, row := range rows[1:] { // 20 a minute
		fmt.Fprintf(&in, "%s,%d\n", row, 1_777_852_800+3*i)
	}
	got := command(t, in.String(), []string{"drift", "simulate", "-", "--profile", profile, "--time-column", "t", "--window", "1m"})
	for _, part := range []string{
		"WINDOW ENDED", "  2026-05-04 00:54:00  OK → DETECTED  ", "\nRows:             2000; the last 20 are in a window that has not ended\n",
		"\nWindows:          33 of 1m0s, joined until they have 50 rows\n", "\nFirst detection:  after row 1080; the drift began at row 1021\n",
	} {
		if got.code != exitOK || !strings.Contains(got.out, part) {
			t.Errorf("no %q in %+v", part, got)
		}
	}
}

func TestDriftSimulateRefused(t *testing.T) {
	profile := profileFile(t)
	f := func(code int, want string, args ...string) {
		t.Helper()
		got := command(t, "", append([]string{"drift", "simulate"}, args...))
		if got.code != code || got.out != "" || !strings.Contains(got.errOut, want) {
			t.Errorf("%v: %+v, want %d %q", args, got, code, want)
		}
	}
	f(exitUsage, "expected one file")
	f(exitUsage, "--profile is missing", "x.csv")
	f(exitUsage, "--window-rows 0: expected 1 or more", "x.csv", "--profile", profile, "--window-rows", "0")
	f(exitUsage, "--window needs --time-column", "x.csv", "--profile", profile, "--window", "5m")
	f(exitUsage, "give --window or --window-rows", "x.csv", "--profile", profile, "--time-column", "t", "--window", "5m", "--window-rows", "7")
	f(exitUsage, "--window 1ms: expected 1s or more", "x.csv", "--profile", profile, "--time-column", "t", "--window", "1ms")
	f(exitUsage, "--false-alarm-every 1m0s: expected at least the length of a window, 5m0s", "x.csv", "--profile", profile, "--time-column", "t", "--false-alarm-every", "1m")
	f(exitFailed, "the file has no column 't'", rowsFile(t, "y,x\n1,2\n"), "--profile", profile, "--time-column", "t")
	f(exitUsage, "--recover -1: expected 1 or more", "x.csv", "--profile", profile, "--recover", "-1")
	f(exitUsage, "--tolerance 11: expected more than 0 and at most 10", "x.csv", "--profile", profile, "--tolerance", "11")
	f(exitUsage, "--range-tolerance NaN", "x.csv", "--profile", profile, "--range-tolerance", "nan")
	f(exitUsage, "--header maybe", "x.csv", "--profile", profile, "--header", "maybe")
	f(exitUsage, "expected table or json", "x.csv", "--profile", profile, "-o", "yaml")
	f(exitFailed, "no such file", "gone.csv", "--profile", profile)
	f(exitFailed, "no such file", "gone.csv", "--profile", "gone.json")
	f(exitFailed, "no column for feature 'x'", rowsFile(t, "y,z\n1,2\n"), "--profile", profile)
	f(exitFailed, "is incomplete", "x.csv", "--profile", rowsFile(t, "{"))
}

// TestDriftReplay judges the window of an event again, from the journal.
func TestDriftReplay(t *testing.T) {
	file := profileFile(t)
	p, err := readProfile(file)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := p.Digest()
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
	detector, err := drift.NewDetector(p, driftwatch.DetectorOptions(&config.Default().Defaults.Drift, 1))
	if err != nil {
		t.Fatal(err)
	}
	w := p.NewWindow(foldAt)
	w.End, w.Rows = foldAt.Add(5*time.Minute), 400
	for i := range 400 {
		w.Counts[0].Add(&p.Features[0], float64(i%20-10)/5)
		w.Counts[1].Add(&p.Features[1], 3)
	}
	e := api.DriftEvidence{Model: "iris", Version: 2, Role: "canary", From: "OK", ProfileDigest: digest, Window: text(w), Before: text(detector.Snapshot())}
	e.Verdict = detector.Judge(w)
	e.State, e.After = e.Verdict.State, text(detector.Snapshot())
	other := e
	other.Verdict.Rows++
	fold := newFold()
	for i, e := range []api.DriftEvidence{e, other} {
		fold.events = append(fold.events, api.Event{
			Seq: int64(i + 3), Time: foldAt, Type: api.EventDriftState, Subject: "drift/iris/2/canary", Origin: api.OriginGateway, After: text(e),
		})
	}
	url := sideOf(t, fold)
	replay := func(args ...string) result {
		t.Helper()
		return command(t, "", append([]string{"drift", "replay", "--admin", url}, args...))
	}
	got := replay("3", "--profile", file)
	if got.code != exitOK || got.errOut != "" ||
		!strings.HasPrefix(got.out, "iris/2 canary: OK → DETECTED, the window from 2026-05-04 03:02:01 to 2026-05-04 03:07:01 had 400 rows\nFEATURE ") ||
		!strings.Contains(got.out, "stuck at 3") || !strings.HasSuffix(got.out, "\n\nThe verdict is bit for bit the same.\n") {
		t.Errorf("%+v", got)
	}
	var r offline.Replayed
	if got := replay("3", "--profile", file, "-o", "json"); json.Unmarshal([]byte(got.out), &r) != nil || !r.Same || r.Verdict.Rows != 400 {
		t.Errorf("%+v", got)
	}
	got = replay("4", "--profile", file)
	if got.code != exitFailed || got.errOut != "gateway: the verdict differs from the one in the journal\n" || !strings.Contains(got.out, "differs from the journal. The journal has DETECTED: input x: stuck at 3") {
		t.Errorf("%+v", got)
	}

	f := func(code int, want string, args ...string) {
		t.Helper()
		if got := replay(args...); got.code != code || got.out != "" || !strings.Contains(got.errOut, want) {
			t.Errorf("%v: %+v, want %d %q", args, got, code, want)
		}
	}
	f(exitUsage, "expected one event")
	f(exitUsage, "'x' is not a valid number of an event", "x", "--profile", file)
	f(exitUsage, "'0' is not a valid number of an event", "0", "--profile", file)
	f(exitUsage, "--profile is missing", "3")
	f(exitFailed, "event 2 is of type route.set, expected drift.state", "2", "--profile", file)
	f(exitFailed, "the journal has no event 9", "9", "--profile", file)
	foreign := filepath.Join(t.TempDir(), "q.json")
	if r := profileLine(t, "1\n2\n", "-", "-o", foreign); r.code != exitOK {
		t.Fatalf("%+v", r)
	}
	f(exitFailed, "event 3: the window was compared with profile "+digest+", but this one is sha256:", "3", "--profile", foreign)

	// The journal describes the change, and names do not break its lines.
	got = command(t, "", []string{"journal", "--admin", url, "--after", "2", "--limit", "1"})
	if !strings.Contains(got.out, "OK → DETECTED: input ") || !strings.Contains(got.out, "input x: stuck at 3") {
		t.Errorf("%+v", got)
	}
}
