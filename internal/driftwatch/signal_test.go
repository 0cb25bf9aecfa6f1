package driftwatch

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/registry"
)

// TestDriftsSince: drift has one beginning, even if other features join in and the first one
// recovers before them.
func TestDriftsSince(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 5, 4, 12, minute, 0, 0, time.UTC) }
	var told told
	f := func(want time.Time, findings ...drift.FindingStatus) {
		t.Helper()
		if told.look(found(drift.Snapshot{Findings: findings})); !told.drifting.Equal(want) {
			t.Errorf("%+v: since %v, want %v", findings, told.drifting, want)
		}
	}
	a, b := status("a", drift.StatisticG, drift.Detected, at(5)), status("b", drift.StatisticG, drift.Detected, at(3))
	f(time.Time{}, status("a", drift.StatisticG, drift.Suspected, at(5)))
	f(time.Time{}, status("a", drift.StatisticMissing, drift.Detected, at(5)))
	f(at(5), a)
	f(at(5), a, b)
	f(at(5), b)
	f(at(5), status("b", drift.StatisticG, drift.Recovering, at(3)))
	f(time.Time{})
	f(at(3), a, b)
}

// status is the status of one finding of an input.
func status(feature, statistic, state string, began time.Time) drift.FindingStatus {
	f := drift.FindingStatus{Feature: feature, Kind: drift.KindInput, Statistic: statistic}
	f.State, f.Began = state, began
	return f
}

// TestOneTroubleIsOneViolation: it is one violation for any number of features, whichever recovers
// first.
func TestOneTroubleIsOneViolation(t *testing.T) {
	var told told
	f := func(names ...string) []violation {
		t.Helper()
		findings := make([]drift.FindingStatus, len(names))
		for i, name := range names {
			feature, minute, _ := strings.Cut(name, "@")
			findings[i] = status(feature, drift.StatisticMissing, drift.Detected, time.Date(2026, 5, 4, 12, int(minute[0]-'0'), 0, 0, time.UTC))
		}
		told.look(findings)
		list := make([]violation, len(names))
		for i, name := range names {
			feature, _, _ := strings.Cut(name, "@")
			list[i] = told.violated["input "+feature+" missing"]
		}
		return list
	}
	first := f("a@5", "b@4")
	if first[0] != first[1] || first[0].cause != "input a missing" || first[0].began.Minute() != 4 {
		t.Errorf("%+v", first)
	}
	second := f("a@5", "b@4", "c@7")
	if second[0] != first[0] || second[1] != first[1] || second[2].cause != "input c missing" || second[2].began.Minute() != 7 {
		t.Errorf("%+v", second)
	}
	if last := f("b@4", "c@7"); last[0] != first[0] || last[1] != second[2] {
		t.Errorf("%+v", last)
	}
	if f(); len(told.violated) != 0 {
		t.Errorf("%+v", told)
	}
	if again := f("b@9"); again[0].cause != "input b missing" {
		t.Errorf("%+v", again)
	}
}

// TestSignals: bad data leads to no request for retraining until it is over.
func TestSignals(t *testing.T) {
	x := watch{Watch: Watch{Reference: &Reference{digest: "sha256:0"}, Leased: &registry.Leased{}}}
	f := func(quality, statistic, features string, want ...string) {
		t.Helper()
		c := drift.Closed{Verdict: drift.Verdict{
			Features: []drift.Finding{{Feature: "a", Statistic: drift.StatisticG, State: features}},
			Quality:  []drift.Finding{{Feature: "a", Statistic: statistic, State: quality}},
		}}
		list, held, _ := signalsOf(c, x, &told{drifting: time.Now()}, nil)
		drifts, bad := features == drift.Detected || features == drift.Recovering, slices.Contains(want, api.TypeDataQualityViolated)
		if (len(held) == 1) != (drifts && bad && statistic != drift.StatisticRange) {
			t.Errorf("quality %s %s, features %s: %d requests are held back", quality, statistic, features, len(held))
		}
		for i, s := range list {
			if i >= len(want) || s.Type != want[i] {
				t.Errorf("quality %s, features %s: signal %d is %s, want %v", quality, features, i, s.Type, want)
			}
		}
		if len(list) != len(want) {
			t.Errorf("quality %s, features %s: %d signals, want %v", quality, features, len(list), want)
		}
	}
	const violated, requested = api.TypeDataQualityViolated, api.TypeRetrainRequested
	f(drift.OK, drift.StatisticMissing, drift.OK)
	f(drift.Suspected, drift.StatisticMissing, drift.Suspected)
	f(drift.OK, drift.StatisticMissing, drift.Detected, requested)
	f(drift.OK, drift.StatisticMissing, drift.Recovering, requested)
	f(drift.Detected, drift.StatisticMissing, drift.Detected, violated)
	f(drift.Recovering, drift.StatisticMissing, drift.Detected, violated)
	f(drift.Detected, drift.StatisticRange, drift.Detected, violated, requested)
	f(drift.Recovering, drift.StatisticInf, drift.OK, violated)
}

// TestAPromiseIsRecorded: that a detection became promised is a change of its own.
func TestAPromiseIsRecorded(t *testing.T) {
	f := status("a", drift.StatisticG, drift.Detected, time.Now())
	f.Unpromised = true
	before := standing([]drift.FindingStatus{f})
	if f.Unpromised = false; standing([]drift.FindingStatus{f}) == before {
		t.Errorf("%q before and after", before)
	}
}

// TestUnpromisedDriftIsHeldBack: drift asks for retraining only if that of some feature is promised, or if
// the settings say so.
func TestUnpromisedDriftIsHeldBack(t *testing.T) {
	f := func(setting string, a, b, held bool) {
		t.Helper()
		x := watch{Watch: Watch{Reference: &Reference{digest: "sha256:0"}, Leased: &registry.Leased{}}}
		x.Settings.Calibration.Unpromised = setting
		c := drift.Closed{Verdict: drift.Verdict{Features: []drift.Finding{
			{Feature: "a", Statistic: drift.StatisticG, State: drift.Detected, Unpromised: a},
			{Feature: "b", Statistic: drift.StatisticG, State: drift.Detected, Unpromised: b},
		}}}
		list, back, why := signalsOf(c, x, &told{drifting: time.Now()}, nil)
		if (len(back) == 1) != held || (len(list) == 0) != held || held && why != api.HeldBackUnpromised {
			t.Errorf("%s, %v, %v: %d signals, %d held back (%s)", setting, a, b, len(list), len(back), why)
		}
	}
	f(config.UnpromisedHold, true, true, true)
	f(config.UnpromisedHold, true, false, false)
	f(config.UnpromisedHold, false, false, false)
	f(config.UnpromisedAsk, true, true, false)
}
