package rollout_test

import (
	"context"
	"flag"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/rollout"
)

// planned is how many rollouts TestPlanIsWhatRolloutsDo draws of each worse version. The default keeps it short.
var planned = flag.Int("planned", 60, "rollouts of each worse version in TestPlanIsWhatRolloutsDo")

// steady is a route with so many requests a second, of which 1% fail.
type steady struct {
	rollout.Traffic

	rate     int64
	labelled rollout.Labelled
}

// Route implements rollout.Traffic.
func (steady) Route(string) (api.Route, error) { return newWorld().route, nil }

// Digest implements rollout.Traffic.
func (steady) Digest(_ context.Context, _ string, version int64) (string, error) {
	if version != 2 {
		return "", infer.Errorf(infer.NotFound, "model 'iris' has no version %d", version)
	}
	return "sha256:2", nil
}

// Counts implements rollout.Traffic.
func (s steady) Counts(string, int64, time.Duration) (rollout.Counts, error) {
	n := 60 * s.rate
	return rollout.Counts{Stable: rollout.Count{Requests: n, Recent: api.RolloutRate{Requests: n, Bad: n / 100}, Window: time.Minute}}, nil
}

// Losses implements rollout.Traffic.
func (s steady) Losses(string, int64) (rollout.Losses, error) {
	return rollout.Losses{Stable: s.labelled}, nil
}

// planOf returns the plan of a preset. change may change the spec.
func planOf(t *testing.T, s steady, preset string, change func(*api.RolloutSpec)) api.RolloutPlan {
	t.Helper()
	spec := api.RolloutSpec{Route: "iris", Version: 2, Preset: preset}
	spec.Complete()
	if change != nil {
		change(&spec)
	}
	p, err := rollout.New(rollout.Options{
		Traffic: s, Logger: zap.NewNop(), Policy: func(string) rollout.Policy { return rollout.Policy{} },
		Query: func(context.Context, string) (float64, error) { return 0, nil },
	}).Plan(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wrongs are labels of which half come within so long, and all within twice that.
func wrongs(half time.Duration) rollout.Labelled {
	return rollout.Labelled{
		Values: []rollout.Value{{Name: "label: wrong", Kind: api.ValueError, Mean: rollout.Mean{N: 1000, Sum: 100, Squares: 100}}},
		Sample: 0.5, Share: 0.8, Delay: &api.LabelDelay{Median: api.Duration(half), P90: api.Duration(half * 9 / 5), Max: api.Duration(2 * half)},
	}
}

// errorsOf are absolute errors with a mean of 2 and a standard deviation of 1.
func errorsOf() rollout.Labelled {
	return rollout.Labelled{
		Values: []rollout.Value{{Name: "y: absolute error", Kind: api.ValueLoss, Mean: rollout.Mean{N: 1000, Sum: 2000, Squares: 5000}}}, Sample: 1, Share: 1,
	}
}

// What a plan says of a worse version is what rollouts do: as many regress as it says, to 0.15, and of these half within the median time, to 0.25.
// With 60 rollouts, three standard errors of a share are up to 0.19, so that the seed is fixed; with -planned 1000 they are 0.05.
func TestPlanIsWhatRolloutsDo(t *testing.T) {
	between, kinds := 0, map[string]bool{}
	for _, s := range []steady{{rate: 5, labelled: wrongs(30 * time.Second)}, {rate: 20, labelled: errorsOf()}, {rate: 100, labelled: wrongs(30 * time.Second)}} {
		p := planOf(t, s, "fast", func(s *api.RolloutSpec) { s.Shadow = api.RolloutShadow{Sample: 500, For: api.Duration(time.Minute)} })
		for i := range p.Power {
			w := &p.Power[i]
			if w.Shift == 0 {
				continue
			}
			kinds[w.Guardrail+" "+w.Kind] = true
			found, early := foundOf(&p, w, s.labelled)
			t.Logf("%d requests/s, %s: %.2f are found, the plan says %.2f; %.2f of these within its median time, %v", s.rate, w.Change, found, w.Power, early, time.Duration(w.Median))
			if math.Abs(found-w.Power) > 0.15 {
				t.Errorf("%d requests/s, %s: %.2f are found, the plan says %.2f", s.rate, w.Change, found, w.Power)
			}
			if w.Power > 0.1 && w.Power < 0.9 {
				between++
			}
			if found > 0.3 && (early < 0.25 || w.Median <= 0) {
				t.Errorf("%d requests/s, %s: %.2f of those that are found are by the median time, %v", s.rate, w.Change, early, time.Duration(w.Median))
			}
		}
	}
	if len(kinds) != 6 || between < 4 {
		t.Errorf("the plans are about %v, and %d versions are neither found nor missed", kinds, between)
	}
}

// foundOf returns how often the guardrail of a row of a plan regresses, and which part of these by its median time.
func foundOf(p *api.RolloutPlan, w *api.PlanPower, labelled rollout.Labelled) (found, early float64) {
	regress, soon := 0, 0
	for run := range *planned {
		rng := rand.New(rand.NewPCG(3, uint64(run)))
		at, regressed := regressionOf(rng, p, w, labelled)
		if !regressed {
			continue
		}
		if regress++; at <= time.Duration(w.Median) {
			soon++
		}
	}
	return float64(regress) / float64(*planned), float64(soon) / float64(max(1, regress))
}

const block = 10 * time.Second

// regressionOf runs a guardrail on the traffic of a plan, and returns when it regresses.
func regressionOf(rng *rand.Rand, p *api.RolloutPlan, w *api.PlanPower, labelled rollout.Labelled) (at time.Duration, regresses bool) {
	if w.Guardrail == api.GuardrailAgreement {
		guard, sum := rollout.NewAgreement(p.Spec.Answers.Disagreement, rollout.Share(p.Alpha)), rollout.Mean{}
		for at = block; at <= time.Duration(p.Spec.Shadow.For); at += block {
			sum = sum.Plus(shares(rng, p.Rate*block.Seconds()*float64(p.Spec.Shadow.Sample)/api.TotalWeight, w.Shift))
			guard.Look(sum, block)
			if guard.Evidence().Verdict == api.VerdictRegress {
				return at, true
			}
		}
		return 0, false
	}
	limits := map[string]float64{
		api.ValueShare: p.Spec.Answers.Tolerance, api.ValueScore: p.Spec.Answers.Tolerance, api.ValueNumber: p.Spec.Answers.Deviation,
		api.ValueError: p.Spec.Answers.Loss, api.ValueLoss: p.Spec.Answers.Loss,
	}
	guard := rollout.NewAnswers(w.Guardrail, limits, rollout.Share(p.Alpha))
	before := 9 // values, as the plan assumes ten
	if w.Guardrail == api.GuardrailLoss {
		before = 0
	}
	values := func(m rollout.Mean) (list []rollout.Value) {
		for i := range before {
			list = append(list, rollout.Value{Name: strconv.Itoa(i), Kind: w.Kind})
		}
		return append(list, rollout.Value{Name: "last", Kind: w.Kind, Mean: m})
	}
	guard.Begin(values(rollout.Mean{}), values(rollout.Mean{}))
	var canary, control rollout.Mean
	var sent []float64 // requests of each block
	for _, step := range p.Steps {
		for spent := time.Duration(0); spent < time.Duration(step.For); spent += block {
			at += block
			sent = append(sent, p.Rate*block.Seconds()*float64(step.Weight)/api.TotalWeight)
			n := sent[len(sent)-1]
			if w.Guardrail == api.GuardrailLoss {
				n = labelsOf(rng, sent, &labelled)
			}
			a, b := worse(rng, w, n)
			canary, control = canary.Plus(a), control.Plus(b)
			guard.Look(values(canary), values(control), block)
			if guard.Evidence().Verdict == api.VerdictRegress {
				return at, true
			}
		}
	}
	return 0, false
}

// labelsOf returns how many labels come in the last block. Delays are even up to the largest.
func labelsOf(rng *rand.Rand, sent []float64, l *rollout.Labelled) (n float64) {
	for i, requests := range sent {
		kept := requests * l.Sample * l.Share
		if l.Delay == nil {
			if i == len(sent)-1 {
				n += kept
			}
			continue
		}
		const draws = 200
		for range draws {
			came := rng.Float64()*block.Seconds() + rng.Float64()*time.Duration(l.Delay.Max).Seconds()
			if blocks := int(came / block.Seconds()); i+blocks == len(sent)-1 {
				n += kept / draws
			}
		}
	}
	return n
}

// worse returns the sums of n values of a canary that is worse, and of its control.
func worse(rng *rand.Rand, w *api.PlanPower, n float64) (canary, control rollout.Mean) {
	switch w.Kind {
	case api.ValueShare:
		return shares(rng, n, 0.5+w.Shift), shares(rng, n, 0.5)
	case api.ValueError:
		return shares(rng, n, 0.1+w.Shift), shares(rng, n, 0.1)
	case api.ValueScore:
		return numbers(rng, n, 0.8-w.Shift, 0.2), numbers(rng, n, 0.8, 0.2)
	case api.ValueNumber:
		return numbers(rng, n, 3+w.Shift, 1), numbers(rng, n, 3, 1)
	default:
		return numbers(rng, n, 2*(1+w.Shift), 1+w.Shift), numbers(rng, n, 2, 1)
	}
}

func shares(rng *rand.Rand, n, share float64) rollout.Mean {
	k := min(n, max(0, n*share+math.Sqrt(n*share*(1-share))*rng.NormFloat64()))
	return rollout.Mean{N: n, Sum: k, Squares: k}
}

// numbers returns the sums of n normal values.
func numbers(rng *rand.Rand, n, mean, deviation float64) rollout.Mean {
	off := deviation * math.Sqrt(n) * rng.NormFloat64()
	return rollout.Mean{N: n, Sum: n*mean + off, Squares: n*(mean*mean+deviation*deviation) + 2*mean*off}
}

// Of each guardrail a plan has the power, or says why not.
func TestPlanNamesEachGuardrail(t *testing.T) {
	asked := func(s *api.RolloutSpec) {
		limit := 0.1
		s.Queries = []api.RolloutQuery{{Name: "refunds", Query: "refunds", Max: &limit, Failures: 3}}
	}
	f := func(s steady, preset string, none ...string) {
		t.Helper()
		p := planOf(t, s, preset, asked)
		known := map[string]bool{}
		for _, w := range p.Power {
			known[w.Guardrail] = true
			if w.Change == "" || w.Power < 0 || w.Power > 1 || w.Power > 0.5 && (w.Median <= 0 || w.Lost <= 0 && w.Guardrail != api.GuardrailAgreement) {
				t.Errorf("%+v", w)
			}
		}
		for _, text := range p.NotComputed {
			name, why, _ := strings.Cut(text, ": ")
			if known[name] || why == "" {
				t.Errorf("not computed: %s", text)
			}
			known["no "+name] = true
		}
		for _, name := range []string{api.GuardrailErrors, api.GuardrailRefusals, api.GuardrailLatency, api.GuardrailAnswers} {
			if !known[name] {
				t.Errorf("%s: nothing about %s", preset, name)
			}
		}
		for _, name := range none {
			if !known["no "+name] {
				t.Errorf("%s: %s is not among %q", preset, name, p.NotComputed)
			}
		}
	}
	f(steady{rate: 100}, "standard", "loss", "agreement", "query:refunds")
	f(steady{rate: 100, labelled: wrongs(time.Minute)}, "careful", "query:refunds")
	few := wrongs(time.Minute)
	few.Values[0].N = 10
	f(steady{rate: 100, labelled: few}, "careful", "loss")
}

// Labels that come after the last step find nothing, and the plan says so.
func TestPlanOfLateLabels(t *testing.T) {
	p := planOf(t, steady{rate: 100, labelled: wrongs(240 * time.Hour)}, "fast", nil)
	for _, w := range p.Power {
		if w.Guardrail == api.GuardrailLoss && (w.Power != 0 || w.Median != 0) {
			t.Errorf("%+v", w)
		}
	}
	if text := strings.Join(p.Assumptions, "\n"); !strings.Contains(text, "half of them within 240h0m0s and 90% within 432h0m0s; none comes before the last step ends") {
		t.Error(text)
	}
}

// A plan of what cannot be started is refused, as the start is.
func TestPlanRefuses(t *testing.T) {
	c := rollout.New(rollout.Options{Traffic: steady{rate: 100}, Logger: zap.NewNop(), Policy: func(string) rollout.Policy { return rollout.Policy{} }})
	f := func(code infer.Code, change func(*api.RolloutSpec)) {
		t.Helper()
		spec := api.RolloutSpec{Route: "iris", Version: 2}
		spec.Complete()
		change(&spec)
		_, err := c.Plan(t.Context(), spec)
		wantCode(t, err, code)
	}
	f(infer.NotFound, func(s *api.RolloutSpec) { s.Version = 3 })
	f(infer.Conflict, func(s *api.RolloutSpec) { s.Version = 1 })
	f(infer.Conflict, func(s *api.RolloutSpec) { s.Queries = []api.RolloutQuery{{Name: "a"}} })
}

// A version that is as good takes as long as the plan says, to a third and ten seconds.
func TestPlanOfTime(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.world.mu.Lock()
		g.world.classes = map[int64]float64{1: 0.3, 2: 0.3}
		g.world.rate = 20 // of 100 ms
		g.world.mu.Unlock()
		spec := api.RolloutSpec{Route: "iris", Version: 2}
		spec.Complete()
		time.Sleep(time.Minute)
		p, err := g.Plan(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		g.begin(t, nil)
		g.until(t, api.RolloutCanary, time.Minute)
		began := time.Now()
		g.until(t, api.RolloutBaking, time.Hour)
		took, expected := time.Since(began), time.Duration(p.Expected)
		t.Logf("%v, the plan says %v", took, expected)
		if most := expected*4/3 + block; took > most || took < expected*2/3-block || expected >= time.Duration(p.Duration) {
			t.Errorf("%v, the plan says %v", took, expected)
		}
	})
	if p := planOf(t, steady{rate: 1}, "fast", nil); p.Expected != 0 {
		t.Errorf("one request a second decides in %v", time.Duration(p.Expected))
	}
}

// A plan knows the answers of the model from the last rollout that has compared some.
func TestPlanKnowsTheModel(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.world.classes = map[int64]float64{1: 0.1, 2: 0.1}
		g.begin(t, nil)
		g.until(t, api.RolloutCompleted, 2*time.Hour)
		spec := api.RolloutSpec{Route: "iris", Version: 1}
		spec.Complete()
		time.Sleep(time.Minute)
		p, err := g.Plan(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(p.Assumptions, "\n"); p.Rate == 0 || !strings.Contains(text, "answers: as rollout 'iris-1' has seen those of its control: 1 values, a class with ") {
			t.Error(p.Rate, text)
		}
		for _, w := range p.Power {
			if w.Guardrail == api.GuardrailAnswers && w.Kind != api.ValueShare {
				t.Errorf("the model answers only classes: %+v", w)
			}
		}
	})
}
