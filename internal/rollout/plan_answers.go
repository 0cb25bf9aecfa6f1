package rollout

import (
	"math"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/confseq"
)

// planShifts are the differences of a class's share that a plan tells the power of, in tolerances of the guardrail answers.
var planShifts = [...]float64{1.5, 2, 3}

// usualShare is the share of the class in the control's answers, and usualValues the number of values of an answer, that a plan assumes.
// A share of a half varies most, and of 10 values the last has the smallest part of alpha.
const (
	usualShare  = 0.5
	usualValues = 10
)

// answersPower returns the probability that the guardrail answers rolls back a version whose share of a class is shift away from
// the control's. It is that of the last look; earlier looks find some that the last one does not. The observed difference is nearly normal,
// with the variance (p (1-p) + q (1-q)) / n, and it is found if the confidence sequences about the shares are further apart than the
// tolerance.
func answersPower(p *api.RolloutPlan, shift float64) api.PlanPower {
	result := api.PlanPower{Guardrail: api.GuardrailAnswers, Shift: shift}
	mine, alpha := usualShare+shift, Share(p.Alpha)/(usualValues*(usualValues+1))/2
	margin := func(s *seenSoFar) float64 {
		n := s.worth()
		canary, control := confseq.MeanBounded(n, n*mine, n*mine, alpha), confseq.MeanBounded(n, n*usualShare, n*usualShare, alpha)
		return canary.Low - control.High - p.Spec.Answers.Tolerance
	}
	end := soFar(p, p.Duration)
	deviation := math.Sqrt((mine*(1-mine) + usualShare*(1-usualShare)) / max(1, end.worth()))
	result.Power = distuv.UnitNormal.CDF(margin(&end) / deviation)
	low, high := time.Duration(0), time.Duration(p.Duration)
	if margin(&end) <= 0 {
		return result // most are not found
	}
	for high-low > time.Second { // the margin grows with time
		if at := soFar(p, api.Duration((low+high)/2)); margin(&at) > 0 {
			high = (low + high) / 2
		} else {
			low = (low + high) / 2
		}
	}
	found := soFar(p, api.Duration(high))
	result.Median, result.Lost = api.Duration(high.Round(time.Second)), found.canary*shift
	return result
}

// seenSoFar is what canary and control have answered after some time.
type seenSoFar struct {
	canary, pairs float64 // requests of the canary, and the number that both have
	blocks        float64
}

// soFar returns what the variants have answered after a time, at the present rate.
func soFar(p *api.RolloutPlan, after api.Duration) (s seenSoFar) {
	s.blocks = time.Duration(after).Seconds() / blockTime.Seconds()
	for _, step := range p.Steps {
		seconds := time.Duration(min(step.For, after)).Seconds()
		s.canary += p.Rate * share(step.Weight) * seconds
		s.pairs += p.Rate * share(min(step.Weight, step.Control)) * seconds
		after -= min(step.For, after)
	}
	return s
}

// worth returns as how many requests the pairs count, if requests do not depend on each other.
func (s *seenSoFar) worth() float64 {
	return s.pairs * (priorBlocks + s.blocks) / (priorBlocks*priorDispersion + s.blocks)
}
