package rollout

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"sluice.io/sluice/api"
)

// The sizes of the simulation of a plan.
const (
	planRuns  = 200
	planLooks = 20 // of a step
)

// leastRate is the rate of bad requests that a plan assumes if there were fewer.
const leastRate = 0.001

// slowRate is the share of slow answers if the objective is a 95th percentile.
const slowRate = 0.05

// planRatios are the ratios of rates that a plan tells the power of.
var planRatios = [...]float64{1.5, 2, 3, 5}

// Plan returns what a rollout of a completed and checked spec would do with the present traffic. It starts nothing. Errors
// are those of Start.
func (c *Controller) Plan(ctx context.Context, spec api.RolloutSpec) (api.RolloutPlan, error) {
	if err := c.startable(spec.Route); err != nil {
		return api.RolloutPlan{}, err
	}
	if _, err := c.prepare(ctx, spec); err != nil {
		return api.RolloutPlan{}, err
	}
	counts, err := c.opts.Traffic.Counts(spec.Route, spec.Version, 0)
	if err != nil {
		return api.RolloutPlan{}, err
	}
	p := api.RolloutPlan{
		Spec: spec, Alpha: spec.Alpha, Steps: []api.PlanStep{}, Power: []api.PlanPower{}, Assumptions: []string{}, NotComputed: []string{}, Problems: []string{},
	}
	for _, v := range []Count{counts.Stable, counts.Canary, counts.Control} {
		if s := v.Window.Seconds(); s > 0 {
			p.Rate += float64(v.Recent.Requests) / s
		}
	}
	p.Errors = counts.Stable.Recent.Rate()
	for _, step := range spec.Steps {
		p.Duration += step.For
		p.Steps = append(p.Steps, api.PlanStep{RolloutStep: step, Control: Control(step.Weight), Requests: p.Rate * share(step.Weight) * time.Duration(step.For).Seconds()})
	}
	if p.Rate > 0 {
		if err := c.plan(&p, &counts); err != nil {
			return api.RolloutPlan{}, err
		}
	}
	for _, q := range spec.Queries {
		p.NotComputed = append(p.NotComputed, queryName(q.Name)+": the gateway does not know how the value of the query varies; a fixed limit has no false-alarm probability either")
	}
	p.Problems = problems(&p)
	return p, nil
}

// plan adds the power of each guardrail.
func (c *Controller) plan(p *api.RolloutPlan, counts *Counts) error {
	losses, err := c.opts.Traffic.Losses(p.Spec.Route, p.Spec.Version)
	if err != nil {
		return err
	}
	c.mu.Lock()
	answers := answersOf(c.fold.past(p.Spec.Route))
	c.mu.Unlock()
	d := planning{p, rand.New(rand.NewPCG(1, 1))} //nolint:gosec // a simulation, the same each time
	refused := api.RolloutRate{Requests: counts.Stable.Requests, Bad: counts.Stable.Refused}.Rate()
	d.rates(api.GuardrailErrors, p.Spec.Errors, max(p.Errors, leastRate), "errors")
	d.rates(api.GuardrailRefusals, p.Spec.Refusals, max(refused, leastRate), "refused values")
	d.rates(api.GuardrailLatency, p.Spec.Latency.Limit, slowRate, "slow answers")
	d.answersPower(&answers)
	p.Expected = api.Duration(d.expectedTime(&answers).Round(time.Second))
	d.lossPower(&losses.Stable)
	d.agreementPower()
	p.Assumptions = append([]string{ratesText(p, refused)}, p.Assumptions...)
	return nil
}

// ratesText says what the power of the guardrails about rates rests on.
func ratesText(p *api.RolloutPlan, refused float64) string {
	at := func(rate float64) string {
		if rate < leastRate {
			return percent(leastRate) + " (there are fewer)"
		}
		return percent(rate)
	}
	return fmt.Sprintf("rates: of the control's requests %s fail and %s have refused values, and %s of its answers are later than the objective",
		at(p.Errors), at(refused), percent(slowRate))
}

// rates adds the power of a guardrail about rates.
func (d *planning) rates(name string, limit api.Limit, rate float64, what string) {
	for _, ratio := range planRatios {
		w := power(d.rng, d.p, name, limit, rate, ratio)
		w.Change = fmt.Sprintf("%g × the %s", ratio, what)
		d.p.Power = append(d.p.Power, w)
	}
}

func share(points int) float64 { return float64(points) / api.TotalWeight }

// power simulates rollouts of a version whose rate is ratio times that of the control.
func power(rng *rand.Rand, p *api.RolloutPlan, name string, limit api.Limit, rate, ratio float64) api.PlanPower {
	result := api.PlanPower{Guardrail: name, Ratio: ratio}
	var times, lost []float64
	for range planRuns {
		if at, bad, found := simulate(rng, p, NewGuardrail(name, limit, Share(p.Alpha)), rate, min(rate*ratio, 1)); found {
			times, lost = append(times, at.Seconds()), append(lost, float64(bad))
		}
	}
	result.Power = float64(len(times)) / planRuns
	if len(times) > 0 {
		slices.Sort(times)
		slices.Sort(lost)
		result.Median, result.Lost = api.Duration(times[len(times)/2]*float64(time.Second)), lost[len(lost)/2]
	}
	return result
}

// simulate returns when a guardrail regresses, and how many requests of the canary were bad until then.
func simulate(rng *rand.Rand, p *api.RolloutPlan, g *Guardrail, control, canary float64) (at time.Duration, bad int64, found bool) {
	draw := func(mean float64) int64 {
		if mean <= 0 {
			return 0
		}
		return int64(distuv.Poisson{Lambda: mean, Src: rng}.Rand())
	}
	for _, step := range p.Steps {
		look := time.Duration(step.For) / planLooks
		mine, its := p.Rate*share(step.Weight)*look.Seconds(), p.Rate*share(step.Control)*look.Seconds()
		for range planLooks {
			at += look
			c := api.RolloutRate{Requests: draw(mine)}
			k := api.RolloutRate{Requests: draw(its)}
			c.Bad, k.Bad = min(draw(float64(c.Requests)*canary), c.Requests), min(draw(float64(k.Requests)*control), k.Requests)
			bad += c.Bad
			g.Look(c, k, look)
			if g.Regresses() {
				return at, bad, true
			}
		}
	}
	return at, bad, false
}

// enoughPower is the power below which a plan warns, for enoughTimes the rate, or a difference of enoughTimes the limit.
const (
	enoughPower = 0.8
	enoughTimes = 2
)

// limitOf returns the limit of a shift, 0 for a guardrail that a rollout does not wait for.
func limitOf(p *api.RolloutPlan, w *api.PlanPower) float64 {
	switch {
	case w.Guardrail != api.GuardrailAnswers:
		return 0
	case w.Kind == api.ValueNumber:
		return p.Spec.Answers.Deviation
	}
	return p.Spec.Answers.Tolerance
}

func problems(p *api.RolloutPlan) []string {
	list := []string{}
	if p.Rate == 0 {
		return append(list, "the route has had no requests in the last minute, so nothing can be said about time and power; without requests each step ends inconclusive")
	}
	for i, s := range p.Steps {
		if s.Requests < float64(p.Spec.MinRequests) {
			list = append(list, fmt.Sprintf("step %d gets about %.0f requests in its %v, fewer than min_requests (%d): give it %v, or a larger weight",
				i+1, s.Requests, time.Duration(s.For), p.Spec.MinRequests, longer(p, &s)))
		}
	}
	for _, w := range p.Power {
		if w.Power < enoughPower && (w.Ratio == enoughTimes || w.Shift > 0 && w.Shift == enoughTimes*limitOf(p, &w)) {
			list = append(list, fmt.Sprintf("%s: a version with %s is rolled back in %.0f%% of the cases; more time or weight finds more", w.Guardrail, w.Change, 100*w.Power))
		}
	}
	last := p.Steps[len(p.Steps)-1]
	needed := requestsToPass(p)
	if all := total(p); all < needed {
		list = append(list, fmt.Sprintf("the canary gets about %.0f requests, and a pass needs about %.0f: the last step would end with %s; give it %v",
			all, needed, p.Spec.Inconclusive, time.Duration(float64(last.For)*needed/max(all, 1)).Round(time.Minute)))
	}
	return list
}

func total(p *api.RolloutPlan) (n float64) {
	for _, s := range p.Steps {
		n += s.Requests
	}
	return n
}

// longer returns the time in which a step gets the requests that it needs.
func longer(p *api.RolloutPlan, s *api.PlanStep) time.Duration {
	return time.Duration(float64(p.Spec.MinRequests) / (p.Rate * share(s.Weight)) * float64(time.Second)).Round(time.Second)
}

// requestsToPass returns about how many requests canary and control need each for all guardrails to pass, if the
// versions are equal.
func requestsToPass(p *api.RolloutPlan) (most float64) {
	alpha := Share(p.Alpha)
	for _, g := range []struct {
		limit api.Limit
		rate  float64
	}{{p.Spec.Errors, p.Errors}, {p.Spec.Refusals, 0}, {p.Spec.Latency.Limit, slowRate}} {
		n := 10.0
		for n < 1e9 {
			r := api.RolloutRate{Requests: int64(n), Bad: int64(n * g.rate)}
			varies := n * g.rate / 2 // as much as the bad requests of both do if they are independent
			if i := rate(r, alpha/2, (priorVariance*priorDispersion+varies)/(priorVariance+varies)); i.High-i.Low <= g.limit.Tolerance {
				break
			}
			n *= 1.1
		}
		most = max(most, n)
	}
	return most
}
