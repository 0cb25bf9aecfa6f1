package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
)

// signalFold has an open request that could not be delivered, and a delivered violation.
func signalFold() *fold {
	f := newFold()
	next, delivered := foldAt.Add(time.Minute), foldAt.Add(2*time.Hour)
	f.signals = []api.Signal{
		{
			SignalData: api.SignalData{
				ID: "aaaa", Type: api.TypeRetrainRequested, Model: "iris", Version: 2, Role: "canary", Cause: api.CauseDrift,
				Window: api.Span{Start: foldAt.Add(-5 * time.Minute), End: foldAt}, Began: foldAt.Add(-time.Hour), Rows: 1234,
				Features: []api.SignalFinding{
					{Feature: "petal length", Kind: "input", Statistic: "g", Value: 432.1, P: 1e-300, Effect: .31, Low: .25, High: .38, Shift: .5, Change: "mean of petal length rose by 0.5 s.d. (0.4 to 0.6)"},
					{Feature: "label", Kind: "output", Statistic: "g", Value: 40, P: 1e-8, Effect: .05, Low: .03, High: .07},
				},
				FeaturesTotal: 9, CreatedAt: foldAt, ProfileDigest: "sha256:abc", ModelDigest: "sha256:def", Detector: json.RawMessage(`{"name":"tumbling"}`),
			},
			SignalProgress: api.SignalProgress{State: api.SignalOpen, Attempts: 3, LastError: "503", NextAttempt: &next, Suppressed: 2},
		},
		{
			SignalData: api.SignalData{
				ID: "bbbb", Type: api.TypeDataQualityViolated, Model: "wine", Version: 4, CreatedAt: foldAt.Add(time.Hour),
				Features: []api.SignalFinding{{Feature: "ash", Kind: "input", Statistic: "missing"}}, FeaturesTotal: 1,
			},
			SignalProgress: api.SignalProgress{State: api.SignalDelivered, Attempts: 1, DeliveredAt: &delivered},
		},
	}
	return f
}

func signalsCommand(t *testing.T, url string, args ...string) result {
	t.Helper()
	return command(t, "", append([]string{"signals", "--admin", url}, args...), "SLUICE_ACTOR", "tester")
}

func TestSignalsCommands(t *testing.T) {
	fold := signalFold()
	url := sideOf(t, fold)
	f := func(want string, args ...string) {
		t.Helper()
		expect(t, result{exitOK, want, ""}, signalsCommand(t, url, args...))
	}
	const head = "ID    MODEL  VERSION  ROLE    TYPE     STATE      CREATED              ATTEMPTS  FEATURES\n"
	f(head+`bbbb  wine   4        -       quality  delivered  2026-05-04 04:02:01  1         ash
aaaa  iris   2        canary  retrain  open       2026-05-04 03:02:01  3         petal length, label and 7 more
`, "list")
	f("ID    MODEL  VERSION  ROLE  TYPE     STATE      CREATED              ATTEMPTS  FEATURES\n"+
		"bbbb  wine   4        -     quality  delivered  2026-05-04 04:02:01  1         ash\n", "list", "--state", "delivered", "--model", "wine")
	f("ID  MODEL  VERSION  ROLE  TYPE  STATE  CREATED  ATTEMPTS  FEATURES\n", "list", "--state", "closed")
	f(`ID:            aaaa
Type:          io.sluice.retrain.requested.v1
Model:         iris/2 canary
Cause:         drift
Began:         2026-05-04 02:02:01
Window:        2026-05-04 02:57:01 to 2026-05-04 03:02:01, 1234 rows
Created:       2026-05-04 03:02:01
State:         open
Attempts:      3
Last error:    503
Next attempt:  2026-05-04 03:03:01
Held back:     2 more detections since then
Profile:       sha256:abc
Model files:   sha256:def
Detector:      {"name":"tumbling"}

FEATURE       KIND    STATISTIC  CHANGE                                              VALUE  EFFECT                 SHIFT       P
petal length  input   g          mean of petal length rose by 0.5 s.d. (0.4 to 0.6)  432.1  PSI 0.31 [0.25, 0.38]  +0.50 s.d.  <1e-300
label         output  g          -                                                   40     PSI 0.05 [0.03, 0.07]  -           1e-08
and 7 more
`, "show", "aaaa")
	f("Signal aaaa of iris will be delivered now; attempts so far: 3\n", "retry", "aaaa")
	f("Signal aaaa of iris is closed\n", "close", "aaaa", "--reason", " trained again ")
	if r := fold.signals[0]; r.ClosedBy != "tester" || r.Reason != "trained again" {
		t.Errorf("closed by %q because of %q", r.ClosedBy, r.Reason)
	}
	if got := signalsCommand(t, url, "show", "aaaa"); !strings.Contains(got.out, "Closed:       2026-05-04 04:02:01 by tester\nReason:       trained again\n") {
		t.Errorf("%+v", got)
	}
	var list []api.Signal
	got := signalsCommand(t, url, "list", "-o", "json")
	if err := json.Unmarshal([]byte(got.out), &list); err != nil || len(list) != 2 || list[1].Features[0].Value != 432.1 {
		t.Errorf("%v in %+v", err, got)
	}
	expect(t, result{exitOK, "Signal bbbb of wine is closed\n", noReason}, signalsCommand(t, url, "close", "bbbb"))

	failed := func(code int, want string, args ...string) {
		t.Helper()
		if got := signalsCommand(t, url, args...); got.code != code || got.out != "" || !strings.HasSuffix(got.errOut, want) {
			t.Errorf("%v: %+v, want %d %q", args, got, code, want)
		}
	}
	failed(exitFailed, "gateway: there is no signal 'cccc' (404 Not Found)\n", "show", "cccc")
	failed(exitFailed, "gateway: signal aaaa is closed; only an open signal can be delivered (409 Conflict)\n", "retry", "aaaa")
	failed(exitFailed, "gateway: aaaa was closed already (409 Conflict)\n", "close", "aaaa", "--reason", "again")
	failed(exitUsage, "gateway: --state new: expected open, delivered or closed\n", "list", "--state", "new")
	failed(exitUsage, "gateway: --reason: expected one line of text\n", "close", "aaaa", "--reason", "a\nb")
	failed(exitUsage, "ID, as gateway signals list prints it\n", "show")
}

func TestSignalIDsComplete(t *testing.T) {
	url := sideOf(t, signalFold())
	f := func(want string, args ...string) {
		t.Helper()
		got := command(t, "", append([]string{"__complete", "signals"}, args...), "SLUICE_ADMIN", url)
		if got.out != want {
			t.Errorf("%v = %+v, want %q", args, got, want)
		}
	}
	f("bbbb\twine/4, quality, delivered\naaaa\tiris/2, retrain, open\n:4\n", "show", "")
	f("aaaa\tiris/2, retrain, open\n:4\n", "retry", "")
	f("aaaa\tiris/2, retrain, open\n:4\n", "close", "")
	f(":4\n", "close", "aaaa", "")
}

func TestSignalsInTheJournal(t *testing.T) {
	fold := signalFold()
	f := func(kind string, after any, want string) {
		t.Helper()
		text, err := json.Marshal(after)
		if err != nil {
			t.Fatal(err)
		}
		if got := eventChange(&api.Event{Type: kind, After: text}); got != want {
			t.Errorf("%s is %q, want %q", kind, got, want)
		}
	}
	request := fold.signals[0]
	request.Attempts = 0
	f(api.EventRetrainRequested, request, "retrain of iris/2 canary, open, petal length, label and 7 more")
	f(api.EventQualityViolated, fold.signals[1], "quality of wine/4, delivered, attempts 1, ash")
	f(api.EventRetrainSuppressed, api.SignalSuppression{SignalData: request.SignalData, HeldBackBy: "cccc", Why: api.HeldBackCoolDown},
		"retrain of iris/2 canary, held back by cccc (cool_down), petal length, label and 7 more")
	f(api.EventRetrainDelivered, api.SignalProgress{State: api.SignalDelivered, Attempts: 4}, "delivered, attempts 4")
	f(api.EventRetrainClosed, api.SignalProgress{State: api.SignalClosed}, "closed")
	f(api.EventRetrainClosed, "text", unknownForm)
	f(api.EventDriftState, 7, unknownForm)
	f(api.EventDriftState, api.DriftEvidence{From: "DETECTED", State: "OK"}, "DETECTED → OK")

	v := api.DriftVerdict{}
	for i := range 7 {
		v.Features = append(v.Features, api.DriftFinding{Feature: fmt.Sprint("f", i), Kind: "input", Statistic: "g", State: "DETECTED", Change: "stuck\tat 1"})
	}
	v.Features[1].State = "OK"
	f(api.EventDriftState, api.DriftEvidence{From: "OK", State: "DETECTED", Verdict: v},
		"OK → DETECTED: input f0: stuck at 1; input f2: stuck at 1; input f3: stuck at 1; input f4: stuck at 1; input f5: stuck at 1; and 1 more")
}

func TestSignalsByShortIDs(t *testing.T) {
	f := signalFold()
	f.signals[0].ID, f.signals[1].ID = "0123456789abcdef", "0123456789ffffff"
	url := sideOf(t, f)
	got := signalsCommand(t, url)
	expectLines(t, got, "0123456789f  wine ", "0123456789a  iris ")
	if got := signalsCommand(t, url, "list", "-o", "wide"); !strings.Contains(got.out, "0123456789abcdef  iris") {
		t.Errorf("%+v", got)
	}
	expect(t, result{exitOK, "Signal 0123456789abcdef of iris is closed\n", ""}, signalsCommand(t, url, "close", "0123456789a", "--reason", "x"))
	got = signalsCommand(t, url, "show", "0123")
	if got.code != exitUsage || !strings.Contains(got.errOut, "'0123' is ambiguous: 2 ids start with it; give more letters") {
		t.Errorf("%+v", got)
	}
}
