package metrics_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/metrics"
)

// driftedStream is a stream with findings in all states.
func driftedStream() api.DriftStatus {
	return api.DriftStatus{
		Model: "iris", Version: 2, Role: api.RoleCanary, State: "DETECTED", Windows: 7, Rows: 3000, Dropped: 40,
		Last: &api.DriftVerdict{
			Rows: 500, State: "DETECTED",
			Features: []api.DriftFinding{
				{Feature: "petal width", Kind: "input", Statistic: "g", Effect: 0.3, State: "SUSPECTED"},
				{Feature: "petal length", Kind: "input", Statistic: "g", Effect: 0.25, State: "DETECTED"},
				{Feature: "score", Kind: "output", Statistic: "g", Effect: 0.9, State: "OK"}, // no evidence: few rows
			},
			Quality: []api.DriftFinding{
				{Feature: "petal length", Kind: "input", Statistic: "missing", Effect: 0.1, State: "RECOVERING"},
				{Feature: "petal length", Kind: "input", Statistic: "range", Effect: 0.01, State: "OK"},
			},
		},
	}
}

// watched returns a registry with the series of drift.
func watched(streams ...api.DriftStatus) *prometheus.Registry {
	reg := prometheus.NewPedanticRegistry()
	metrics.New(reg).Watch(metrics.Sources{Drift: func() []api.DriftStatus { return streams }})
	return reg
}

// TestUnjudgedSeconds: all streams that are compared have the time since the last judged
// window.
func TestUnjudgedSeconds(t *testing.T) {
	reg := watched(
		api.DriftStatus{Model: "iris", Version: 1, State: "OK", UnjudgedSince: time.Now().Add(-time.Hour)},
		api.DriftStatus{Model: "wine", Version: 1, State: api.DriftOff},
	)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "sluice_drift_unjudged_seconds" {
			continue
		}
		const hour = 3600
		if m := f.GetMetric(); len(m) != 1 || m[0].GetGauge().GetValue() < hour || m[0].GetGauge().GetValue() > 2*hour {
			t.Errorf("%v", m)
		}
		return
	}
	t.Error("no series")
}

func TestDriftSeries(t *testing.T) {
	reg := watched(
		driftedStream(),
		driftedStream(), // while a watch is replaced
		api.DriftStatus{Model: "iris", Version: 1, Role: api.RoleStable, State: "OK", Windows: 3, Rows: 20},
		api.DriftStatus{Model: "wine", Version: 1, Role: api.RoleDefault, State: api.DriftOff, Reason: "it does not fit"},
		api.DriftStatus{Model: "wine", Version: 2, Role: api.RoleDefault, State: "?"},
		api.DriftStatus{Model: "wine", Version: 3, Role: api.RoleDefault, State: api.DriftUnjudged},
		api.DriftStatus{Model: "wine", Version: 3, Role: api.RoleDefault, Segment: "DE", State: api.DriftUnjudged, Rows: 7},
	)
	const canary, stable = `model="iris",role="canary",segment="",version="2"`, `model="iris",role="stable",segment="",version="1"`
	want := strings.NewReplacer("CANARY", canary, "STABLE", stable, "FINDING", `model="iris",role="canary",segment=""`).Replace(`
# HELP sluice_drift_dropped_rows_total Rows that were sampled and not counted: there was no room, or the tensors of a request had different numbers of rows.
# TYPE sluice_drift_dropped_rows_total counter
sluice_drift_dropped_rows_total{CANARY} 40
sluice_drift_dropped_rows_total{STABLE} 0
sluice_drift_dropped_rows_total{model="wine",role="default",segment="",version="2"} 0
sluice_drift_dropped_rows_total{model="wine",role="default",segment="",version="3"} 0
sluice_drift_dropped_rows_total{model="wine",role="default",segment="DE",version="3"} 0
# HELP sluice_drift_effect_max The largest divergence of a feature from the reference in that window, as PSI.
# TYPE sluice_drift_effect_max gauge
sluice_drift_effect_max{CANARY} 0.9
# HELP sluice_drift_finding_effect Of findings that are not OK: the divergence as PSI, or the share of rows beyond the reference's; the 50 gravest findings of a stream.
# TYPE sluice_drift_finding_effect gauge
sluice_drift_finding_effect{feature="petal length",kind="input",FINDING,statistic="g",version="2"} 0.25
sluice_drift_finding_effect{feature="petal length",kind="input",FINDING,statistic="missing",version="2"} 0.1
sluice_drift_finding_effect{feature="petal width",kind="input",FINDING,statistic="g",version="2"} 0.3
# HELP sluice_drift_finding_state State of these findings: 1 SUSPECTED, 2 RECOVERING, 3 DETECTED.
# TYPE sluice_drift_finding_state gauge
sluice_drift_finding_state{feature="petal length",kind="input",FINDING,statistic="g",version="2"} 3
sluice_drift_finding_state{feature="petal length",kind="input",FINDING,statistic="missing",version="2"} 2
sluice_drift_finding_state{feature="petal width",kind="input",FINDING,statistic="g",version="2"} 1
# HELP sluice_drift_last_window_rows Rows of the last window that had enough rows.
# TYPE sluice_drift_last_window_rows gauge
sluice_drift_last_window_rows{CANARY} 500
# HELP sluice_drift_rows_total Rows that were counted.
# TYPE sluice_drift_rows_total counter
sluice_drift_rows_total{CANARY} 3000
sluice_drift_rows_total{STABLE} 20
sluice_drift_rows_total{model="wine",role="default",segment="",version="2"} 0
sluice_drift_rows_total{model="wine",role="default",segment="",version="3"} 0
sluice_drift_rows_total{model="wine",role="default",segment="DE",version="3"} 7
# HELP sluice_drift_state State of a version in a role against its reference: 0 OK, 1 SUSPECTED, 2 RECOVERING, 3 DETECTED, -1 OFF, -2 UNJUDGED.
# TYPE sluice_drift_state gauge
sluice_drift_state{CANARY} 3
sluice_drift_state{STABLE} 0
sluice_drift_state{model="wine",role="default",segment="",version="1"} -1
sluice_drift_state{model="wine",role="default",segment="",version="2"} NaN
sluice_drift_state{model="wine",role="default",segment="",version="3"} -2
sluice_drift_state{model="wine",role="default",segment="DE",version="3"} -2
# HELP sluice_drift_windows_total Windows that were judged.
# TYPE sluice_drift_windows_total counter
sluice_drift_windows_total{CANARY} 7
sluice_drift_windows_total{STABLE} 3
sluice_drift_windows_total{model="wine",role="default",segment="",version="2"} 0
sluice_drift_windows_total{model="wine",role="default",segment="",version="3"} 0
sluice_drift_windows_total{model="wine",role="default",segment="DE",version="3"} 0
`)
	names := []string{"state", "windows_total", "rows_total", "dropped_rows_total", "last_window_rows", "effect_max", "finding_effect", "finding_state"}
	for i := range names {
		names[i] = "sluice_drift_" + names[i]
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

// TestOnlyTheGravestFindingsHaveSeries: some of each kind, however many the other has.
func TestOnlyTheGravestFindingsHaveSeries(t *testing.T) {
	f := func(bins, quality, wantBins, wantQuality int) {
		t.Helper()
		v := &api.DriftVerdict{Rows: 100}
		for i := range bins {
			state := "DETECTED"
			if i < 10 {
				state = "SUSPECTED" // with the strongest evidence, but less grave
			}
			v.Features = append(v.Features, api.DriftFinding{Feature: fmt.Sprintf("f%d", i), Kind: "input", Statistic: "g", State: state})
		}
		for i := range quality {
			v.Quality = append(v.Quality, api.DriftFinding{Feature: fmt.Sprintf("f%d", i), Kind: "input", Statistic: "inf", State: "DETECTED"})
		}
		families, err := watched(api.DriftStatus{Model: "iris", Version: 1, Role: "stable", State: "DETECTED", Last: v}).Gather()
		if err != nil {
			t.Fatal(err)
		}
		got, names := map[string]int{}, map[string]bool{}
		for _, family := range families {
			if family.GetName() != "sluice_drift_finding_state" {
				continue
			}
			for _, m := range family.GetMetric() {
				by := map[string]string{}
				for _, l := range m.GetLabel() {
					by[l.GetName()] = l.GetValue()
				}
				got[by["statistic"]]++
				names[by["statistic"]+by["feature"]] = true
			}
		}
		want := map[string]int{}
		if wantBins > 0 {
			want["g"] = wantBins
		}
		if wantQuality > 0 {
			want["inf"] = wantQuality
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d and %d findings (-want +got):\n%s", bins, quality, diff)
		}
		if bins > 100 && (names["gf0"] || !names["gf10"]) {
			t.Error("suspected findings displaced detected ones")
		}
		if quality > 0 && !names["inff0"] {
			t.Error("the strongest finding of quality is missing")
		}
	}
	f(0, 0, 0, 0)
	f(30, 20, 30, 20)
	f(200, 0, 50, 0)
	f(0, 200, 0, 50)
	f(200, 200, 25, 25)
	f(200, 10, 40, 10)
	f(10, 200, 10, 40)
}

func TestSignalSeries(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := metrics.New(reg)
	open, oldest := 0, time.Time{}
	m.Watch(metrics.Sources{Signals: func() (int, time.Time) { return open, oldest }})
	s := m.Signals()
	s.Recorded(api.TypeRetrainRequested, "iris")
	m.Signals().Recorded(api.TypeDataQualityViolated, "iris") // of another gateway
	s.Recorded("x", "iris")
	s.HeldBack("iris", api.HeldBackOpen)
	s.HeldBack("iris", api.HeldBackOpen)
	s.HeldBack("iris", api.HeldBackCoolDown)
	s.Attempted(api.TypeRetrainRequested, errors.New("connection refused"), 2*time.Second)
	s.Attempted(api.TypeRetrainRequested, nil, time.Second/4)
	s.Attempted(api.TypeRetrainRequested, nil, time.Second/4)
	want := `
# HELP sluice_signal_deliveries_total Attempts to deliver a signal, by their result: delivered or failed.
# TYPE sluice_signal_deliveries_total counter
sluice_signal_deliveries_total{result="delivered",type="retrain"} 2
sluice_signal_deliveries_total{result="failed",type="retrain"} 1
# HELP sluice_signals_held_back_total Windows whose retraining request was not made, since an earlier one for the model is open (open) or was closed lately (cool_down).
# TYPE sluice_signals_held_back_total counter
sluice_signals_held_back_total{model="iris",why="cool_down"} 1
sluice_signals_held_back_total{model="iris",why="open"} 2
# HELP sluice_signals_open Signals that are neither delivered nor closed.
# TYPE sluice_signals_open gauge
sluice_signals_open 0
# HELP sluice_signals_total Signals recorded in the journal: requests for retraining (retrain) and violations of data quality (dataquality).
# TYPE sluice_signals_total counter
sluice_signals_total{model="iris",type="dataquality"} 1
sluice_signals_total{model="iris",type="other"} 1
sluice_signals_total{model="iris",type="retrain"} 1
`
	const age = "sluice_signal_oldest_open_timestamp_seconds"
	names := []string{"sluice_signal_deliveries_total", "sluice_signals_held_back_total", "sluice_signals_open", "sluice_signals_total", age}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	open, oldest = 3, time.UnixMilli(1_700_000_000_250)
	want = `
# HELP sluice_signal_oldest_open_timestamp_seconds Time at which the oldest of these was recorded; absent if there is none.
# TYPE sluice_signal_oldest_open_timestamp_seconds gauge
sluice_signal_oldest_open_timestamp_seconds 1.70000000025e+09
# HELP sluice_signals_open Signals that are neither delivered nor closed.
# TYPE sluice_signals_open gauge
sluice_signals_open 3
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "sluice_signals_open", age); err != nil {
		t.Error(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "sluice_signal_delivery_duration_seconds" {
			if h := f.GetMetric()[0].GetHistogram(); h.GetSampleCount() != 3 || h.GetSampleSum() != 2.5 {
				t.Errorf("%d deliveries of %v s, want 3 of 2.5", h.GetSampleCount(), h.GetSampleSum())
			}
		}
	}
}
