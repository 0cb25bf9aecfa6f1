package rollout

import (
	"time"

	"sluice.io/sluice/api"
)

// expectedTime estimates how long the steps take if the version is as good as the control. It assumes that every count has its expected
// value. The result is 0 if the last step would end without a pass.
func (d *planning) expectedTime(a *answered) time.Duration {
	const looks = 200 // of a step
	needed := requestsToPass(d.p)
	var at time.Duration
	var n float64 // requests of each variant
	for i, step := range d.p.Steps {
		each, requests, passed := max(time.Duration(step.For)/looks, 1), 0.0, false
		for spent := time.Duration(0); spent < time.Duration(step.For) && !passed; spent += each {
			at += each
			requests += d.p.Rate * share(step.Weight) * each.Seconds()
			n += d.p.Rate * share(min(step.Weight, step.Control)) * each.Seconds()
			passed = requests >= float64(d.p.Spec.MinRequests) && n >= needed && d.answersPass(a, n, at)
		}
		last := i == len(d.p.Steps)-1
		if !passed && (last || requests < float64(d.p.Spec.MinRequests)) {
			return 0
		}
	}
	return at
}

// answersPass reports whether the guardrail answers passes after n requests of versions that answer alike.
func (d *planning) answersPass(a *answered, n float64, at time.Duration) bool {
	blocks := at.Seconds() / blockTime.Seconds()
	s := &d.p.Spec.Answers
	passes := func(kind string, one Mean, limit float64) bool {
		b := blocked{all: scale(one, n), terms: blocks, blocks: blocks}
		v := value{kind: kind, canary: stream{blocked: b}, control: stream{blocked: b}}
		low, high := v.difference(Share(d.p.Alpha) / float64(a.values*(a.values+1)))
		_, most := bounds(kind, low, high)
		return most <= limit
	}
	return (a.share == nil || passes(api.ValueShare, *a.share, s.Tolerance)) &&
		(a.score == nil || passes(api.ValueScore, *a.score, s.Tolerance)) &&
		(!a.numbers || passes(api.ValueNumber, meanOf(0, 1), s.Deviation))
}
