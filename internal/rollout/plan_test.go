package rollout_test

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/rollout"
)

// steady is a route with 100 requests a second, of which 1% fail.
type steady struct{ rollout.Traffic }

// Route implements rollout.Traffic.
func (steady) Route(string) (api.Route, error) { return newWorld().route, nil }

// Counts implements rollout.Traffic.
func (steady) Counts(string, int64, time.Duration) (rollout.Counts, error) {
	return rollout.Counts{Stable: rollout.Count{Recent: api.RolloutRate{Requests: 6000, Bad: 60}, Window: time.Minute}}, nil
}

// What a plan says of answers is what rollouts do: half of those that differ are found by the median time, and at the end no
// fewer than the plan says.
func TestPlanOfAnswers(t *testing.T) {
	spec := api.RolloutSpec{Route: "iris", Version: 2}
	spec.Complete()
	p, err := rollout.New(rollout.Options{Traffic: steady{}, Logger: zap.NewNop()}).Plan(spec)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, w := range p.Power {
		if w.Guardrail != api.GuardrailAnswers {
			continue
		}
		rows++
		if w.Power > 0.5 && (w.Median <= 0 || w.Median > p.Duration || w.Lost <= 0) {
			t.Errorf("%+v", w)
		}
		byMedian, byEnd := found(&p, w.Shift, time.Duration(w.Median)), found(&p, w.Shift, time.Duration(p.Duration))
		if w.Median > 0 && (byMedian < 0.2 || byMedian > 0.8) {
			t.Errorf("shift %v: %v are found by the median time, %v", w.Shift, byMedian, time.Duration(w.Median))
		}
		if byEnd < w.Power-0.2 {
			t.Errorf("shift %v: %v are found at the end, the plan says %v", w.Shift, byEnd, w.Power)
		}
	}
	if rows == 0 {
		t.Error("the plan says nothing of answers")
	}
}

// found returns how often the guardrail answers regresses with a look after a time. The last of ten values differs.
func found(p *api.RolloutPlan, shift float64, after time.Duration) float64 {
	const runs, half = 30, 0.5
	regress := 0
	for run := range runs {
		rng := rand.New(rand.NewPCG(3, uint64(run)))
		guard := rollout.NewAnswers(api.GuardrailAnswers, map[string]float64{api.ValueShare: p.Spec.Answers.Tolerance}, rollout.Share(p.Alpha))
		var sums [2]rollout.Mean
		values := func(m rollout.Mean) (list []rollout.Value) {
			for i := range 9 {
				list = append(list, rollout.Value{Name: strconv.Itoa(i), Kind: api.ValueShare, Mean: rollout.Mean{N: m.N}})
			}
			return append(list, rollout.Value{Name: "last", Kind: api.ValueShare, Mean: m})
		}
		left := after
		for _, step := range p.Steps {
			for spent := time.Duration(0); spent < time.Duration(step.For) && left > 0; spent += 10 * time.Second {
				n := p.Rate * 10 * float64(step.Weight) / api.TotalWeight
				for i, share := range []float64{half + shift, half} {
					k := math.Round(n*share + math.Sqrt(n*share*(1-share))*rng.NormFloat64())
					sums[i] = sums[i].Plus(rollout.Mean{N: n, Sum: k, Squares: k})
				}
				guard.Look(values(sums[0]), values(sums[1]), 10*time.Second)
				left -= 10 * time.Second
			}
		}
		if guard.Evidence().Verdict == api.VerdictRegress {
			regress++
		}
	}
	return float64(regress) / runs
}
