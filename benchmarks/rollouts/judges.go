package main

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/rollout"
)

// draw returns about n requests, of which a share is bad, in groups of a mean size.
func draw(rng *rand.Rand, n, share, together float64) api.RolloutRate {
	r := api.RolloutRate{Requests: int64(distuv.Poisson{Lambda: n, Src: rng}.Rand())}
	groups := int64(distuv.Binomial{N: float64(r.Requests), P: share / together, Src: rng}.Rand())
	for range groups {
		r.Bad++
		for together > 1 && rng.Float64() > 1/together {
			r.Bad++
		}
	}
	r.Bad = min(r.Bad, r.Requests)
	return r
}

// judge decides after a look whether to roll back.
type judge func(canary, control api.RolloutRate) bool

// ours is the gateway's own rule.
func ours(spec *api.RolloutSpec, t *traffic) judge {
	name, limit := api.GuardrailErrors, spec.Errors
	if t.slow {
		name, limit = api.GuardrailLatency, spec.Latency.Limit
	}
	g := rollout.NewGuardrail(name, limit, rollout.Share(spec.Alpha))
	return func(canary, control api.RolloutRate) bool {
		g.Look(canary, control, lookEvery)
		return g.Regresses()
	}
}

// threshold is the rule of most rollout engines: a minute in which less than a share of the canary's requests
// is good counts as a failure, and more than a number of failures roll back.
type threshold struct {
	good           float64
	most           int
	minute, failed int
	n              api.RolloutRate
}

func (r *threshold) look(canary, _ api.RolloutRate) bool {
	r.n.Requests += canary.Requests
	r.n.Bad += canary.Bad
	if r.minute++; r.minute%6 != 0 {
		return false
	}
	if r.n.Requests > 0 && 1-r.n.Rate() < r.good {
		r.failed++
	}
	r.n = api.RolloutRate{}
	return r.failed > r.most
}

// argo is an Argo Rollouts analysis with the defaults: failureLimit 0.
func argo(*api.RolloutSpec, *traffic) judge { return (&threshold{good: 0.99}).look }

// flagger is a Flagger canary as in its documentation: request-success-rate at least 99, threshold 5.
func flagger(*api.RolloutSpec, *traffic) judge { return (&threshold{good: 0.99, most: 4}).look }

// peeked is a one-sided z-test of two shares at 5% that is looked at each time.
type peeked struct{ canary, control api.RolloutRate }

func (p *peeked) look(canary, control api.RolloutRate) bool {
	p.canary.Requests, p.canary.Bad = p.canary.Requests+canary.Requests, p.canary.Bad+canary.Bad
	p.control.Requests, p.control.Bad = p.control.Requests+control.Requests, p.control.Bad+control.Bad
	if p.canary.Requests == 0 || p.control.Requests == 0 {
		return false
	}
	n, m := float64(p.canary.Requests), float64(p.control.Requests)
	share := float64(p.canary.Bad+p.control.Bad) / (n + m)
	deviation := math.Sqrt(share * (1 - share) * (1/n + 1/m))
	const quantile = 1.6449 // of the normal distribution at 95%
	return deviation > 0 && (p.canary.Rate()-p.control.Rate())/deviation > quantile
}

func zTest(*api.RolloutSpec, *traffic) judge { return new(peeked).look }
