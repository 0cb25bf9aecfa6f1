package rollout

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"sluice.io/sluice/api"
)

// The size of the simulation of a difference of means.
const walks = 1000

// seenSoFar is what a guardrail has seen after some time.
type seenSoFar struct {
	at       time.Duration
	requests float64 // of the canary, all of them
	n        float64 // the values of each variant that are compared
	terms    float64 // of the dispersion, as expected of independent values
	blocks   float64
}

// take adds values that come in blocks of the same size. A block deviates less from the mean of all that it is itself a part of.
func (s *seenSoFar) take(n, blocks float64) {
	whole := max(1, math.Round(blocks))
	each := n / whole
	for range int(whole) {
		if each > 0 {
			s.n += each
			s.terms += 1 - each/s.n
			s.blocks++
		}
	}
}

// fewest is the number of values below which no difference is expected to be found: means of so few are not normal.
const fewest = 20

// shifted is a version whose values have another mean than the control's.
type shifted struct {
	canary, control Mean // one request each: sums of its mean and of its square
	noise           float64
	// margin returns by how much the evidence exceeds the limit if the sums of n values, in so many blocks, are what is expected of them.
	margin func(canary, control blocked) float64
}

// walk returns how likely a guardrail regresses at some look, and the median of what it has seen by then. The difference of the means
// between looks is a random walk with normal steps. Its expected margin is that of the guardrail's own intervals, which move with the observed
// difference: the guardrail regresses if the margin and the deviation of the difference from what is expected are above 0 together.
func (s *shifted) walk(rng *rand.Rand, looks []seenSoFar) (found float64, median seenSoFar) {
	margins := make([]float64, len(looks))
	for i, l := range looks {
		of := func(m Mean) blocked { return blocked{all: scale(m, l.n), terms: l.terms, blocks: l.blocks} }
		if margins[i] = math.Inf(-1); l.n >= fewest {
			margins[i] = s.margin(of(s.canary), of(s.control))
		}
	}
	var when []int
	for range walks {
		sum, n := 0.0, 0.0
		for i, l := range looks {
			sum += rng.NormFloat64() * math.Sqrt(max(0, l.n-n)) * s.noise
			if n = l.n; n > 0 && margins[i]+sum/n > 0 {
				when = append(when, i)
				break
			}
		}
	}
	if len(when) == 0 {
		return 0, seenSoFar{}
	}
	slices.Sort(when)
	return float64(len(when)) / walks, looks[when[len(when)/2]]
}

// meanOf returns the sums of one value of that mean and standard deviation.
func meanOf(mean, deviation float64) Mean {
	return Mean{N: 1, Sum: mean, Squares: mean*mean + deviation*deviation}
}

// looksOf returns when the steps of a plan are looked at, and what the variants have answered by then. arrived is the part of the values of a
// request that are known after a time: 1 at once for answers, for labels less.
func looksOf(p *api.RolloutPlan, arrived func(age time.Duration) float64) (list []seenSoFar) {
	type part struct {
		at    time.Duration // in the middle of it
		pairs float64
	}
	var parts []part
	var now seenSoFar
	for _, step := range p.Steps {
		each := max(time.Duration(step.For)/planLooks, min(blockTime, time.Duration(step.For)))
		for left := time.Duration(step.For); left > 0; left -= each {
			long := min(each, left)
			now.requests += p.Rate * share(step.Weight) * long.Seconds()
			pairs := p.Rate * share(min(step.Weight, step.Control)) * long.Seconds()
			parts = append(parts, part{now.at + long/2, pairs})
			now.at += long
			if arrived != nil {
				pairs = -now.n
				for _, q := range parts {
					pairs += q.pairs * arrived(now.at-q.at)
				}
			}
			now.take(pairs, long.Seconds()/blockTime.Seconds())
			list = append(list, now)
		}
	}
	return list
}
