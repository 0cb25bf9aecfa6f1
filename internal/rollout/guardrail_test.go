package rollout_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/rollout"
)

const alpha = 0.05

// draw returns a look at n requests of which a share is bad.
func draw(rng *rand.Rand, n int64, share float64) api.RolloutRate {
	return api.RolloutRate{Requests: n, Bad: int64(distuv.Binomial{N: float64(n), P: share, Src: rng}.Rand())}
}

// regressed returns the share of rollouts in which a guardrail regresses at any of 300 looks. The canary's weight is doubled
// twice. rates returns the rates of control and canary at a look.
func regressed(limit api.Limit, runs int, rates func(rng *rand.Rand, look int) (control, canary float64)) float64 {
	rng := rand.New(rand.NewPCG(3, 4))
	found := 0
	for range runs {
		g := rollout.NewGuardrail("errors", limit, alpha)
		for look := range 300 {
			n := int64(20) << (look / 100)
			control, canary := rates(rng, look)
			g.Look(draw(rng, n, canary), draw(rng, 2*n, control), 10*time.Second) // unequal arms
			if g.Regresses() {
				found++
				break
			}
		}
	}
	return float64(found) / float64(runs)
}

// A version that is not worse is called so with a probability of at most alpha, however its rate and its weight
// change. A worse one is found.
func TestGuardrail(t *testing.T) {
	const runs = 300
	same := func(rate func(rng *rand.Rand, look int) float64) func(*rand.Rand, int) (float64, float64) {
		return func(rng *rand.Rand, look int) (float64, float64) {
			r := rate(rng, look)
			return r, r
		}
	}
	calm := func(*rand.Rand, int) float64 { return 0.01 }
	bursts := func(_ *rand.Rand, look int) float64 {
		if look%50 < 5 {
			return 0.4
		}
		return 0.002
	}
	worse := func(_ *rand.Rand, look int) float64 { return 0.005 + 0.001*float64(look) }
	strict := api.Limit{Ratio: 1, Tolerance: 0.01}
	for name, rate := range map[string]func(*rand.Rand, int) float64{"calm": calm, "bursts": bursts, "both degrade": worse} {
		// 300 sequences of a fair test exceed 8.5% with a probability below 0.5%.
		if got := regressed(strict, runs, same(rate)); got > 0.085 {
			t.Errorf("%s: %.3f of the equal versions regress, alpha is %v", name, got, alpha)
		}
	}
	within := func(*rand.Rand, int) (float64, float64) { return 0.01, 0.0149 }
	if got := regressed(api.Limit{Ratio: 1.5, Tolerance: 0.01}, runs, within); got > 0.085 {
		t.Errorf("%.3f of the versions within the ratio regress", got)
	}
	for ratio, least := range map[float64]float64{2: 0.95, 3: 0.99} {
		if got := regressed(strict, runs, func(*rand.Rand, int) (float64, float64) { return 0.01, 0.01 * ratio }); got < least {
			t.Errorf("%.3f of the versions with %v times the errors regress, want %v", got, ratio, least)
		}
	}
}

// Requests that fail in groups in one variant are discounted.
func TestGroups(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	const runs = 300
	found := 0
	for range runs {
		g := rollout.NewGuardrail("errors", api.Limit{Ratio: 1, Tolerance: 0.01}, alpha)
		for range 300 {
			var looks [2]api.RolloutRate
			for i := range looks {
				looks[i] = draw(rng, 200, 0.001)
				looks[i].Bad *= 4
			}
			if g.Look(looks[0], looks[1], 10*time.Second); g.Regresses() {
				found++
				break
			}
		}
	}
	if got := float64(found) / runs; got > 0.12 { // 0.45 without
		t.Errorf("%.3f of the equal versions regress", got)
	}
}

func TestGuardrailPasses(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	g := rollout.NewGuardrail("errors", api.Limit{Ratio: 1, Tolerance: 0.01}, alpha)
	if e := g.Evidence(); e.Verdict != api.VerdictInconclusive || e.Why != "errors: no requests to compare" {
		t.Errorf("%+v", e)
	}
	g.Look(draw(rng, 200, 0.002), draw(rng, 200, 0.002), 10*time.Second)
	if e := g.Evidence(); e.Verdict != api.VerdictInconclusive {
		t.Errorf("200 requests: %+v", e)
	}
	g.Look(draw(rng, 10000, 0.002), draw(rng, 10000, 0.002), 10*time.Second)
	e := g.Evidence()
	if e.Verdict != api.VerdictPass || e.Excess > 0.01 {
		t.Errorf("10,000 requests: %+v", e)
	}
	again := rollout.NewGuardrail("errors", api.Limit{Ratio: 1, Tolerance: 0.01}, alpha)
	again.Resume(e)
	if r := again.Evidence(); r.EValue != e.EValue || r.Why != e.Why || r.Looks != e.Looks {
		t.Errorf("%+v, resumed as %+v", e, r)
	}
}

// A split that is as configured is rarely doubted, also if the weights change; one that is not is found.
func TestSplit(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	doubted := func(factor float64) (n int) {
		for range 200 {
			s := rollout.NewSplit(0.001)
			for look := range 200 {
				share := 0.5
				if look > 100 {
					share = 0.3
				}
				canary := int64(distuv.Binomial{N: 100, P: share * factor, Src: rng}.Rand())
				s.Look(canary, 100-canary, share)
			}
			if s.Evidence().Verdict == api.VerdictRegress {
				n++
			}
		}
		return n
	}
	if n := doubted(1); n > 2 {
		t.Errorf("%d of 200 right splits are doubted", n)
	}
	if n := doubted(0.9); n < 195 {
		t.Errorf("only %d of 200 wrong splits are found", n)
	}
}
