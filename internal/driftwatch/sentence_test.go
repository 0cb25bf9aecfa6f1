package driftwatch

import (
	"testing"
	"time"

	"sluice.io/sluice/internal/drift"
)

// A signal says in words which feature changed and how, how much evidence it has, and how little would
// have been enough.
func TestSignalSaysTheChange(t *testing.T) {
	f := func(statistic, change, want string) {
		t.Helper()
		got := finding(drift.Finding{Feature: "x", Statistic: statistic, Change: change, Gate: "mean", P: 1e-9, Limit: 1e-7, Windows: 3, Rows: 2000})
		if got.Change != want || got.Gate != "mean" || got.Limit != 1e-7 || got.Windows != 3 || got.Rows != 2000 {
			t.Errorf("%+v, want %q", got, want)
		}
	}
	f(drift.StatisticG, "mean higher by 0.6 s.d. (0.4 to 0.8)", "mean of x rose by 0.6 s.d. (0.4 to 0.8)")
	f(drift.StatisticG, "values lower by 0.6 s.d. (0.4 to 0.8)", "values of x fell by 0.6 s.d. (0.4 to 0.8)")
	f(drift.StatisticG, "stuck at 3", "x: stuck at 3")
	f(drift.StatisticMissing, "8 % of the rows, 0 % in the reference", "x: missing: 8 % of the rows, 0 % in the reference")
	f(drift.StatisticG, "", "")
}

// The limit on false alarms in a signal is the one that applies, and its durations are texts.
func TestSignalDetectorSettings(t *testing.T) {
	o := drift.Options{Tolerance: 0.02, FalseAlarmEvery: 720 * time.Hour, FalseAlarmWindows: 720, Streams: 1, MinRows: 50, Recover: 3}
	const head, tail = `{"tolerance":0.02,"quality_tolerance":0,"range_tolerance":0,"streams":1,"min_rows":50,"recover":3,`, `}`
	if got, want := string(encoded(settingsOf(o))), head+`"false_alarm_windows":720`+tail; got != want {
		t.Errorf("windows of rows: %s, want %s", got, want)
	}
	o.Window = 5 * time.Minute
	if got, want := string(encoded(settingsOf(o))), head+`"false_alarm_every":"720h0m0s","window":"5m0s"`+tail; got != want {
		t.Errorf("windows of time: %s, want %s", got, want)
	}
	o.Calibration = drift.Calibration{Windows: 100, Span: 24 * time.Hour, Gross: 4}
	const learning = `,"calibration":{"windows":100,"span":"24h0m0s","gross":4}`
	if got, want := string(encoded(settingsOf(o))), head+`"false_alarm_every":"720h0m0s","window":"5m0s"`+learning+tail; got != want {
		t.Errorf("a calibration: %s, want %s", got, want)
	}
}
