package pipeline_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/pipeline"
	"sluice.io/sluice/internal/signals"
)

// past are events of the journal about the model m, by their hour.
type past struct {
	t      *testing.T
	events []api.Event
}

var begin = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func hour(n float64) time.Time { return begin.Add(time.Duration(n * float64(time.Hour))) }

func (p *past) add(at float64, kind, subject string, after any) {
	p.t.Helper()
	text, err := json.Marshal(after)
	if err != nil {
		p.t.Fatal(err)
	}
	p.events = append(p.events, api.Event{Seq: int64(len(p.events)) + 1, Time: hour(at), Type: kind, Subject: subject, After: text})
}

// drift has a verdict on a window of one hour: what drifts, and whether values are missing. A feature with a question mark is not promised.
func (p *past) drift(at float64, version int64, role string, missing bool, features ...string) {
	p.t.Helper()
	began := hour(at - 1)
	v := api.DriftVerdict{Window: api.Span{Start: began, End: hour(at)}, State: "OK"}
	for _, f := range features {
		name, unpromised := strings.CutSuffix(f, "?")
		v.Features = append(v.Features, api.DriftFinding{Feature: name, Kind: "input", State: "DETECTED", Began: &began, Unpromised: unpromised})
	}
	v.Features = append(v.Features, api.DriftFinding{Feature: "quiet", State: "OK"})
	if missing {
		v.Quality = append(v.Quality, api.DriftFinding{Feature: "x", Statistic: "missing", State: "DETECTED"})
	}
	p.add(at, api.EventDriftState, fmt.Sprintf("drift/m/%d/%s", version, role), api.DriftEvidence{Model: "m", Version: version, Role: role, Verdict: v})
}

func (p *past) requested(at float64, id, cause string) {
	p.t.Helper()
	p.requestedFor(at, id, cause, "")
}

func (p *past) requestedFor(at float64, id, cause, role string) {
	p.t.Helper()
	s := api.Signal{SignalData: api.SignalData{ID: id, Type: api.TypeRetrainRequested, Model: "m", Version: 1, Role: role, Cause: cause, CreatedAt: hour(at)}}
	p.add(at, api.EventRetrainRequested, "retrain/"+id, s)
}

func (p *past) closed(at float64, id string) {
	p.t.Helper()
	p.add(at, api.EventRetrainClosed, "retrain/"+id, api.SignalProgress{State: api.SignalClosed})
}

// run simulates a policy from an hour on, and returns the steps as texts.
func (p *past) run(since float64, policy api.RetrainPolicy) (string, api.RetrainSimulation) {
	p.t.Helper()
	h := pipeline.NewHappened("m")
	for _, e := range p.events {
		if err := h.Apply(e); err != nil {
			p.t.Fatal(err)
		}
	}
	s := pipeline.Simulation{
		Since: hour(since), Until: hour(1000), Policy: policy, Expire: time.Hour, Every: time.Hour, Holds: signals.NewStore(),
		Labels: func(_, until time.Time) int64 { return int64(until.Sub(begin).Hours()) },
	}
	if s.Policy.Training == 0 {
		s.Policy.Training = api.Duration(2 * time.Hour)
	}
	out, err := s.Run(h)
	if err != nil {
		p.t.Fatal(err)
	}
	var list []string
	for _, x := range out.Steps {
		text := fmt.Sprintf("%g %s", x.At.Sub(begin).Hours(), x.Cause)
		if x.HeldBack != "" {
			text += " " + x.HeldBack
			if !x.Retry.IsZero() {
				text += fmt.Sprintf(" until %g", x.Retry.Sub(begin).Hours())
			}
		}
		list = append(list, text)
	}
	return strings.Join(list, "; "), out
}

func hours(n int) api.Duration { return api.Duration(time.Duration(n) * time.Hour) }

// One detection is one request, however long it lasts. What is held back is tried again with the windows.
func TestSimulate(t *testing.T) {
	p := &past{t: t}
	p.drift(10, 1, "stable", false, "a", "b")
	p.drift(11, 1, "canary", false, "a")
	p.add(12, api.EventDriftState, "drift/other/1/stable", api.DriftEvidence{Model: "other"})
	p.drift(20, 1, "stable", false)
	p.drift(30, 1, "stable", false, "a")
	p.drift(40, 1, "stable", false)
	f := func(want string, policy api.RetrainPolicy) api.RetrainSimulation {
		t.Helper()
		got, out := p.run(0, policy)
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		return out
	}
	out := f("10 drift; 11 drift open until 12; 12 drift; 30 drift", api.RetrainPolicy{})
	if x := out.Steps[0]; out.Requests != 3 || x.Version != 1 || x.Role != "stable" || strings.Join(x.Features, " ") != "input a input b" || !x.Began.Equal(hour(9)) || !x.Closed.Equal(hour(12)) {
		t.Errorf("%+v", out)
	}
	// The cool-down begins when the retraining has ended. The second reason is a step of its own.
	f("10 drift; 11 drift open until 12; 12 drift cool_down until 22; 22 drift; 30 drift cool_down until 34; 34 drift", api.RetrainPolicy{CoolDown: hours(10)})
	f("10 drift; 11 drift open until 12; 12 drift cool_down until 37; 30 drift cool_down until 37; 37 drift; 37 drift open until 39; 39 drift cool_down", api.RetrainPolicy{CoolDown: hours(25), Training: hours(2)})
	f("10 drift; 11 drift open until 12; 12 drift budget until 178; 30 drift budget; 178 drift", api.RetrainPolicy{Budget: 1})
	f("10 drift labels until 11; 11 drift labels until 12; 15 drift; 15 drift open until 17; 17 drift; 30 drift", api.RetrainPolicy{MinLabels: 15, Lookback: hours(100)})
}

// Drift that is not promised is held back until it is, unless the policy says otherwise.
func TestSimulateUnpromised(t *testing.T) {
	p := &past{t: t}
	p.drift(10, 1, "stable", false, "a?")
	p.drift(11, 1, "canary", true, "a?") // bad data of the stream comes first
	p.drift(13, 1, "canary", false)
	p.drift(14.5, 1, "stable", false, "a?", "b") // one feature is enough
	p.drift(20, 1, "stable", false)
	p.drift(30, 1, "stable", false, "a?")
	p.drift(40, 1, "stable", false)
	p.drift(50, 1, "stable", false, "a?")
	p.requestedFor(52, "early", api.CauseDrift, "stable") // by a release that did not write that it became promised
	p.drift(60, 1, "stable", false)
	for _, policy := range []string{"", api.UnpromisedHold} {
		got, _ := p.run(0, api.RetrainPolicy{Unpromised: policy})
		if want := "10 drift unpromised until 15; 11 drift data_quality; 15 drift; 30 drift unpromised; 50 drift unpromised until 52; 52 drift"; got != want {
			t.Errorf("%q\ngot  %s\nwant %s", policy, got, want)
		}
	}
	got, _ := p.run(0, api.RetrainPolicy{Unpromised: api.UnpromisedAsk})
	if want := "10 drift; 11 drift open until 12; 12 drift data_quality; 30 drift; 50 drift"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Bad data, rollouts, and what people ask for.
func TestSimulateHoldsBack(t *testing.T) {
	p := &past{t: t}
	p.requested(2, "early", api.CauseDrift)
	p.drift(10, 1, "stable", true, "a")
	p.drift(13, 1, "stable", false, "a")
	rollout := api.Rollout{ID: "m-1", Model: "m", State: api.RolloutCanary}
	p.add(12.5, api.EventRolloutStarted, "rollouts/m", rollout)
	p.requested(14.5, "asked", api.CauseManual)
	rollout.State = api.RolloutCompleted
	p.closed(5, "early")
	p.add(16.5, api.EventRolloutCompleted, "rollouts/m", rollout)
	p.drift(20, 1, "stable", false)
	got, out := p.run(1, api.RetrainPolicy{})
	if want := "10 drift data_quality until 13; 13 drift rollout until 17; 14.5 manual; 17 drift"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(out.Made) != 2 || out.Made[1].ID != "asked" {
		t.Errorf("%+v", out.Made)
	}
	// An earlier request counts until it is closed.
	got, _ = p.run(3, api.RetrainPolicy{CoolDown: hours(9), Budget: 1})
	if want := "10 drift cool_down until 14; 14 drift rollout until 17; 14.5 manual; 17 drift cool_down"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A version that does not serve any more has no drift.
func TestSimulateGone(t *testing.T) {
	p := &past{t: t}
	p.drift(10, 1, "stable", true, "a")
	p.add(15, api.EventVersionRetired, "models/m/1", api.VersionChange{Model: "m", Version: 1, Role: "serving"})
	p.drift(16, 2, "stable", false, "a")
	if got, _ := p.run(0, api.RetrainPolicy{}); got != "10 drift data_quality; 16 drift" {
		t.Error(got)
	}
}

func TestSimulateSchedule(t *testing.T) {
	p := &past{t: t}
	p.requested(2, "early", api.CauseDrift)
	p.closed(3, "early")
	p.drift(150, 1, "stable", false, "a")
	p.drift(160, 1, "stable", false)
	got, _ := p.run(10, api.RetrainPolicy{Schedule: hours(300), CoolDown: hours(310)})
	// It counts from the last request, whatever caused that.
	if want := "150 drift cool_down; 302 schedule cool_down until 313; 313 schedule; 613 schedule cool_down until 625; 625 schedule; 925 schedule cool_down until 937; 937 schedule"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, _ := p.run(10, api.RetrainPolicy{Schedule: hours(300)}); got != "150 drift; 450 schedule; 750 schedule" {
		t.Error(got)
	}
	if _, out := p.run(10, api.RetrainPolicy{Schedule: api.Duration(time.Second), Training: api.Duration(time.Second)}); len(out.Steps) != api.MaxRetrainSteps || len(out.Notes) != 1 {
		t.Errorf("%d steps, %v", len(out.Steps), out.Notes)
	}
}
