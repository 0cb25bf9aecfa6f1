package main

import (
	"math"
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/rollout"
)

// answers says how the answers of the canary differ from the control's: a class with 30% of them, a best score of
// 0.8, and a number with the standard deviation 1.
type answers struct {
	name    string
	share   float64 // more of the class
	score   float64
	number  float64
	mix     bool // the share of the class changes with time, for both
	repeats int  // each request is sent that often
}

func fairAnswers() []answers {
	return []answers{
		{name: "the same", repeats: 1},
		{name: "the mix of requests changes, for both", mix: true, repeats: 1},
		{name: "each request four times", repeats: 4},
	}
}

func otherAnswers() []answers {
	return []answers{
		{name: "a class 15 points more often", share: 0.15, repeats: 1},
		{name: "a class 30 points more often", share: 0.3, repeats: 1},
		{name: "best score 0.15 lower", score: -0.15, repeats: 1},
		{name: "best score 0.3 lower", score: -0.3, repeats: 1},
		{name: "best score 0.15 higher", score: 0.15, repeats: 1},
		{name: "a mean 0.4 standard deviations higher", number: 0.4, repeats: 1},
		{name: "a mean 1 standard deviation higher", number: 1, repeats: 1},
	}
}

// side is the sums of a variant's answers.
type side struct{ share, score, number rollout.Mean }

func (s *side) values() []rollout.Value {
	return []rollout.Value{
		{Name: "scores: best score", Kind: api.ValueScore, Mean: s.score},
		{Name: "scores: a", Kind: api.ValueShare, Mean: s.share},
		{Name: "y", Kind: api.ValueNumber, Mean: s.number},
	}
}

// add adds the answers of about n requests.
func (s *side) add(rng *rand.Rand, n float64, a *answers, look int, canary bool) {
	share, score, number := 0.3, 0.8, 3.0
	if a.mix {
		const period, swing = 90, 0.2
		share += swing * math.Sin(2*math.Pi*float64(look)/period)
	}
	if canary {
		share, score, number = share+a.share, score+a.score, number+a.number
	}
	r := float64(a.repeats)
	requests := distuv.Poisson{Lambda: n / r, Src: rng}.Rand() // different ones
	k := r * distuv.Binomial{N: requests, P: share, Src: rng}.Rand()
	s.share = s.share.Plus(rollout.Mean{N: r * requests, Sum: k, Squares: k})
	normal := func(mean, deviation float64) rollout.Mean {
		sum := r * (requests*mean + math.Sqrt(requests)*deviation*rng.NormFloat64())
		return rollout.Mean{N: r * requests, Sum: sum, Squares: r * requests * (mean*mean + deviation*deviation)}
	}
	const deviation = 0.1 // of scores
	s.score, s.number = s.score.Plus(normal(score, deviation)), s.number.Plus(normal(number, 1))
}

// simulateAnswers rolls out many times, judged by the guardrail of answers.
func simulateAnswers(runs int, rate int64, spec *api.RolloutSpec, a *answers) result {
	const seed = 43
	return repeat(runs, seed, func(rng *rand.Rand) result { return onceAnswers(rng, rate, spec, a) })
}

func onceAnswers(rng *rand.Rand, rate int64, spec *api.RolloutSpec, a *answers) result {
	g := rollout.NewAnswers(api.GuardrailAnswers, map[string]float64{
		api.ValueShare: spec.Answers.Tolerance, api.ValueScore: spec.Answers.Tolerance, api.ValueNumber: spec.Answers.Deviation,
	}, rollout.Share(spec.Alpha))
	var canary, control side
	var at time.Duration
	look := 0
	for _, step := range spec.Steps {
		for end := at + time.Duration(step.For); at < end; look++ {
			at += lookEvery
			n := float64(rate) * lookEvery.Seconds() / api.TotalWeight
			canary.add(rng, n*float64(step.Weight), a, look, true)
			control.add(rng, n*float64(rollout.Control(step.Weight)), a, look, false)
			g.Look(canary.values(), control.values(), lookEvery)
			const each = 3 // intervals take time
			if look%each == 0 && g.Evidence().Verdict == api.VerdictRegress {
				return result{back: 1, times: []time.Duration{at}}
			}
		}
	}
	return result{missed: 1}
}
