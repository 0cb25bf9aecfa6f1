package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/api"
)

func printRollouts(b *strings.Builder, list []api.Rollout) {
	fmt.Fprintln(b, "ROLLOUT\tMODEL\tVERSION\tSTATE\tSHARE\tSINCE\tWHY")
	for i := range list {
		r := &list[i]
		fmt.Fprintf(b, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", oneLine(r.ID), oneLine(r.Model), r.Spec.Version, rolloutState(r), api.Percent(r.Weight),
			timeText(&r.SinceAt), oneLine(r.Why))
	}
}

func rolloutState(r *api.Rollout) string {
	state := r.State
	if r.State == api.RolloutCanary {
		state = fmt.Sprintf("%s %d/%d", state, r.Step+1, len(r.Spec.Steps))
	}
	if r.Frozen {
		state += ", frozen"
	}
	if r.Halted {
		state += ", halted"
	}
	if !r.Durable {
		state += ", not written yet"
	}
	return state
}

// rolloutChanged describes an event of a rollout: its state, and the evidence of an observation.
func rolloutChanged(e *api.Event) string {
	var r api.Rollout
	if err := json.Unmarshal(e.After, &r); err != nil {
		return unknownForm
	}
	list := []string{fmt.Sprintf("%s version %d: %s, %s", r.ID, r.Spec.Version, rolloutState(&r), api.Percent(r.Weight))}
	switch e.Type {
	case api.EventRolloutObserved:
		for i := range r.Evidence {
			list = append(list, r.Evidence[i].Why)
		}
	case api.EventRolloutStarted, api.EventRolloutApproved:
	default:
		list = append(list, r.Why)
	}
	return oneLine(strings.Join(list, "; "))
}

func printChanged(b *strings.Builder, r api.Rollout) {
	fmt.Fprintf(b, "Rollout %s is %s: %s\n", oneLine(r.ID), rolloutState(&r), oneLine(r.Why))
}

func printRollout(b *strings.Builder, r *api.Rollout) {
	line(b, "Rollout", oneLine(r.ID))
	line(b, "Model", oneLine(fmt.Sprintf("%s, version %d (%s)", r.Model, r.Spec.Version, r.Digest)))
	line(b, "State", fmt.Sprintf("%s since %s", rolloutState(r), timeText(&r.SinceAt)))
	line(b, "Why", oneLine(r.Why))
	line(b, "Share", api.Percent(r.Weight))
	line(b, "Started", oneLine(fmt.Sprintf("%s by %s", timeText(&r.StartedAt), r.StartedBy.Actor)))
	line(b, "Reason", oneLine(r.StartedBy.Reason))
	if r.Needed > 0 {
		names := make([]string, len(r.Approvals))
		for i, a := range r.Approvals {
			names[i] = oneLine(a.Actor.Actor)
		}
		line(b, "Approvals", strings.TrimSpace(fmt.Sprintf("%d of %d %s", len(names), r.Needed, strings.Join(names, ", "))))
	}
	if !r.EndedAt.IsZero() {
		line(b, "Ended", timeText(&r.EndedAt))
	}
	fmt.Fprintln(b, "\nSTEP\tSHARE\tFOR\t")
	for i, step := range r.Spec.Steps {
		mark := ""
		if i == r.Step && (r.State == api.RolloutCanary || r.Paused == api.RolloutCanary) {
			mark = fmt.Sprintf("now, %d requests", r.Answered)
		}
		fmt.Fprintf(b, "%d\t%s\t%v\t%s\n", i+1, api.Percent(step.Weight), time.Duration(step.For), mark)
	}
	if len(r.Evidence) == 0 {
		return
	}
	fmt.Fprintln(b, "\nGUARDRAIL\tVERDICT\tCANARY\tCONTROL\tE-VALUE\tTHRESHOLD")
	for i := range r.Evidence {
		e := &r.Evidence[i]
		if len(e.Values) > 0 || e.Threshold == 0 {
			fmt.Fprintf(b, "%s\t%s\t%d\t%d\t-\t-\n", e.Guardrail, e.Verdict, e.Canary.Requests, e.Control.Requests)
			continue
		}
		fmt.Fprintf(b, "%s\t%s\t%s\t%s\t%.3g\t%.3g\n", e.Guardrail, e.Verdict, rateText(e, e.Canary), rateText(e, e.Control), e.EValue, e.Threshold)
	}
	printValues(b, r)
}

// printValues prints what the guardrails about answers compare.
func printValues(b *strings.Builder, r *api.Rollout) {
	titled := false
	for i := range r.Evidence {
		for _, v := range r.Evidence[i].Values {
			if !titled {
				fmt.Fprintln(b, "\nCOMPARED\tCANARY\tCONTROL\tDIFFERENCE\tLIMIT")
				titled = true
			}
			fmt.Fprintf(b, "%s: %s\t%s\t%s\t%s to %s\t%.3g\n", r.Evidence[i].Guardrail, oneLine(v.Name), meanText(v.Canary), meanText(v.Control), shortNumber(v.Low), shortNumber(v.High), v.Limit)
		}
	}
}

func meanText(m api.RolloutMean) string {
	if m.N == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3g", m.Sum/m.N)
}

func rateText(e *api.RolloutEvidence, r api.RolloutRate) string {
	if e.Guardrail == api.GuardrailSplit {
		return strconv.FormatInt(r.Requests, 10)
	}
	return fmt.Sprintf("%d of %d (%.3g%%)", r.Bad, r.Requests, 100*r.Rate())
}

func printPlan(b *strings.Builder, p api.RolloutPlan) {
	line(b, "Traffic", fmt.Sprintf("%.4g requests/s, %.3g%% errors", p.Rate, 100*p.Errors))
	expected := "no pass is expected in that time"
	if p.Expected > 0 {
		expected = fmt.Sprintf("about %v if the version is as good", time.Duration(p.Expected))
	}
	line(b, "Time", fmt.Sprintf("at most %v, %s; then %v of baking", time.Duration(p.Duration), expected, time.Duration(p.Spec.Bake)))
	line(b, "False rollback", fmt.Sprintf("at most %.3g%% of the rollouts of a version that is not worse", 100*p.Alpha))
	fmt.Fprintln(b, "\nSTEP\tCANARY\tCONTROL\tFOR\tREQUESTS")
	for i, s := range p.Steps {
		fmt.Fprintf(b, "%d\t%s\t%s\t%v\t%.0f\n", i+1, api.Percent(s.Weight), api.Percent(s.Control), time.Duration(s.For), s.Requests)
	}
	if len(p.Power) > 0 {
		fmt.Fprintln(b, "\nIF THE VERSION HAS\tROLLED BACK\tMEDIAN TIME\tBAD REQUESTS UNTIL THEN")
	}
	for _, w := range p.Power {
		took := "-"
		if w.Median > 0 {
			took = time.Duration(w.Median).Round(time.Second).String()
		}
		fmt.Fprintf(b, "%s\t%.0f%%\t%s\t%.0f\n", oneLine(w.Change), 100*w.Power, took, w.Lost)
	}
	if list := slices.Concat(p.Assumptions, p.NotComputed); len(list) > 0 {
		fmt.Fprintln(b)
	}
	for _, a := range p.Assumptions {
		fmt.Fprintf(b, "assumed: %s\n", oneLine(a))
	}
	for _, n := range p.NotComputed {
		fmt.Fprintf(b, "not computed: %s\n", oneLine(n))
	}
	for _, problem := range p.Problems {
		fmt.Fprintf(b, "\nwarning: %s\n", oneLine(problem))
	}
}
