package rollout

import (
	"time"

	"sluice.io/sluice/api"
)

// Count is what was counted of a variant, since the gateway first routed to it.
type Count struct {
	Requests, Errors, Refused int64
	Answered, Slow            int64           // answers, and those that took longer than the objective
	Random                    int64           // requests without a sticky key
	Recent                    api.RolloutRate // errors of the last minute or two
	Window                    time.Duration   // that time
	P95                       api.Duration    // of the answers
	Open                      bool            // its breaker is
	Values                    []Value         // of its answers
}

// Counts are those of the variants of a route.
type Counts struct {
	Stable, Canary, Control Count

	Shadow Mean   // the disagreement of the version, as a shadow
	Digest string // of the canary's version as it is loaded, "" if it is not
}

// Losses are what the labels of a canary and of its control say, and what is known of those of the stable version.
type Losses struct {
	Canary, Control []Value
	Stable          Labelled
}

// since returns what came after an earlier count. A count that is less than before has begun again.
func (c Count) since(before Count) Count {
	if c.Requests < before.Requests {
		before = Count{}
	}
	less := func(a, b int64) int64 { return max(0, a-b) }
	c.Requests, c.Errors, c.Refused = less(c.Requests, before.Requests), less(c.Errors, before.Errors), less(c.Refused, before.Refused)
	c.Answered, c.Slow, c.Random = less(c.Answered, before.Answered), less(c.Slow, before.Slow), less(c.Random, before.Random)
	return c
}

// judge are the guardrails of a rollout.
type judge struct {
	errors, refusals, latency *Guardrail
	split                     *Split
	answers, loss             *Answers
	agreement                 *Agreement
	queries                   []*query
	last                      Counts
	fresh                     bool // last is not known yet
	labelled                  bool // the labels have been looked at
}

// splitAlpha is the probability that a rollout is held for a split that is as configured.
const splitAlpha = 0.001

// compared is the number of guardrails that share alpha: errors, refusals, latency, answers, loss and agreement.
const compared = 6

// Share returns the part of a rollout's alpha that each guardrail has.
func Share(alpha float64) float64 { return alpha / compared }

func newJudge(r *api.Rollout) *judge {
	alpha := Share(r.Spec.Alpha)
	j := &judge{
		errors:   NewGuardrail(api.GuardrailErrors, r.Spec.Errors, alpha),
		refusals: NewGuardrail(api.GuardrailRefusals, r.Spec.Refusals, alpha),
		latency:  NewGuardrail(api.GuardrailLatency, r.Spec.Latency.Limit, alpha),
		split:    NewSplit(splitAlpha), fresh: true,

		agreement: NewAgreement(r.Spec.Answers.Disagreement, alpha),
		answers: NewAnswers(api.GuardrailAnswers, map[string]float64{
			api.ValueShare: r.Spec.Answers.Tolerance, api.ValueScore: r.Spec.Answers.Tolerance, api.ValueNumber: r.Spec.Answers.Deviation,
		}, alpha),
		queries: newQueries(r),
		loss:    NewAnswers(api.GuardrailLoss, map[string]float64{api.ValueError: r.Spec.Answers.Loss, api.ValueLoss: r.Spec.Answers.Loss}, alpha),
	}
	for _, e := range r.Evidence {
		for _, g := range []*Guardrail{j.errors, j.refusals, j.latency} {
			if g.name == e.Guardrail {
				g.Resume(e)
			}
		}
		switch e.Guardrail {
		case api.GuardrailAgreement:
			j.agreement.Resume(e)
		case api.GuardrailAnswers:
			j.answers.Resume(e)
		case api.GuardrailLoss:
			j.loss.Resume(e)
		}
	}
	return j
}

// look takes the counts, over after the last look, and returns the canary's requests since the last look.
func (j *judge) look(c Counts, weight int, over time.Duration) (requests int64) {
	if j.fresh {
		j.last, j.fresh = c, false
		j.answers.Begin(c.Canary.Values, c.Control.Values)
		return 0
	}
	canary, control := c.Canary.since(j.last.Canary), c.Control.since(j.last.Control)
	j.last = c
	rates := func(g *Guardrail, requests, bad func(Count) int64) {
		g.Look(api.RolloutRate{Requests: requests(canary), Bad: bad(canary)}, api.RolloutRate{Requests: requests(control), Bad: bad(control)}, over)
	}
	all := func(c Count) int64 { return c.Requests }
	rates(j.errors, all, func(c Count) int64 { return c.Errors })
	rates(j.refusals, all, func(c Count) int64 { return c.Refused })
	rates(j.latency, func(c Count) int64 { return c.Answered }, func(c Count) int64 { return c.Slow })
	j.split.Look(canary.Random, control.Random, float64(weight)/float64(weight+Control(weight)))
	j.answers.Look(c.Canary.Values, c.Control.Values, over)
	return canary.Requests
}

// lookLosses takes what the labels say, over after the last look. Labels of predictions from before the first look do not
// count.
func (j *judge) lookLosses(l *Losses, over time.Duration) {
	if !j.labelled {
		j.loss.Begin(l.Canary, l.Control)
		j.labelled = true
		return
	}
	if len(l.Canary)+len(l.Control) > 0 {
		j.loss.Look(l.Canary, l.Control, over)
	}
}

// evidence returns that of the guardrails that have seen something, or should have.
func (j *judge) evidence() []api.RolloutEvidence {
	list := []api.RolloutEvidence{j.errors.Evidence(), j.refusals.Evidence(), j.latency.Evidence(), j.answers.Evidence()}
	for _, q := range j.queries {
		list = append(list, q.evidence())
	}
	if j.loss.looks > 0 {
		list = append(list, j.loss.Evidence())
	}
	list = append(list, j.split.Evidence())
	if j.agreement.looks > 0 {
		list = append(list, j.agreement.Evidence())
	}
	return list
}
