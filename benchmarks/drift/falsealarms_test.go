package main

import (
	"reflect"
	"testing"

	"sluice.io/sluice/internal/drift"
)

// script is a detector that says what it is told.
type script struct{ verdicts []drift.Verdict }

func (s *script) Judge(drift.Window) drift.Verdict {
	v := s.verdicts[0]
	s.verdicts = s.verdicts[1:]
	return v
}

// An alarm that lasts, or comes back before all was well, is one alarm.
func TestTally(t *testing.T) {
	verdict := func(state string, features ...drift.Finding) drift.Verdict {
		return drift.Verdict{State: state, Features: features}
	}
	g := func(feature, state string) drift.Finding {
		return drift.Finding{Feature: feature, Statistic: drift.StatisticG, State: state}
	}
	all := []drift.Verdict{
		verdict(drift.OK, g("a", drift.OK), g("b", drift.OK)),
		verdict(drift.Suspected, g("a", drift.Suspected), g("b", drift.OK)),
		verdict(drift.Detected, g("a", drift.Detected), g("b", drift.OK)),
		verdict(drift.Detected, g("a", drift.Detected), g("b", drift.Detected)),
		verdict(drift.Recovering, g("a", drift.Recovering), g("b", drift.OK)),
		verdict(drift.Detected, g("a", drift.Detected), g("b", drift.OK)),
		verdict(drift.OK, g("a", drift.OK), g("b", drift.OK)),
		verdict(drift.Detected, g("a", drift.Detected), g("b", drift.OK)),
	}
	w := &watched{detector: &script{all}, tally: tally{Findings: map[string]int{}}, state: drift.OK}
	for range len(all) {
		w.judge(drift.Window{}, func(string) string { return "normal" })
	}
	want := tally{Alarms: 2, AtRisk: 4, Findings: map[string]int{"normal g": 3}, Suspicions: 3, Alarmed: 1}
	if !reflect.DeepEqual(w.tally, want) {
		t.Errorf("counted %+v, want %+v", w.tally, want)
	}
}
