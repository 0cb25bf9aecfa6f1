// Command rollouts simulates rollouts of versions that are not worse, and of worse ones, with the guardrails of the gateway. It
// prints how many are rolled back and when, beside rules of other systems on the same traffic.
//
//	cd benchmarks && go run ./rollouts -runs 10000 -out results/rollouts.md
package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/rollout"
)

func main() {
	runs := flag.Int("runs", 10_000, "rollouts of each case")
	rate := flag.Int64("rate", 100, "requests a second of the route")
	out := flag.String("out", "", "the page to write; empty: standard output")
	flag.Parse()
	var b page
	b.write(*runs, *rate)
	var err error
	if *out == "" {
		_, err = io.WriteString(os.Stdout, b.String())
	} else {
		err = os.WriteFile(*out, []byte(b.String()), 0o644) //nolint:gosec // a page for everybody
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "rollouts:", err)
		os.Exit(1)
	}
}

// lookEvery is the time between two looks of the simulation.
const lookEvery = 10 * time.Second

// traffic says how many requests of a look are bad.
type traffic struct {
	name string
	// rates returns the shares of bad requests of the control and the canary.
	rates func(look int) (control, canary float64)
	// together is the mean number of requests that fail one after another in the same variant: one client that tries again.
	together float64
	slow     bool // the bad requests are slow ones, not failed ones
}

// equal is traffic of two versions with the same rates.
func equal(name string, rate func(look int) float64) traffic {
	return traffic{name: name, together: 1, rates: func(look int) (float64, float64) { r := rate(look); return r, r }}
}

const base = 0.005

// fair is traffic of versions that are not worse. In the last one errors come in groups in one variant, which is covered by
// the estimate of the dispersion, not by the theory.
func fair() []traffic {
	return []traffic{
		equal("calm, 0.5% errors", func(int) float64 { return base }),
		equal("bursts: 30% errors for 50 s, every ten minutes", func(look int) float64 {
			if look%60 < 5 {
				return 0.3
			}
			return base
		}),
		equal("both versions degrade, from 0.5% to 30%", func(look int) float64 { return min(0.3, base+0.002*float64(look)) }),
		{name: "errors in groups of 3 in one variant", together: 3, rates: func(int) (float64, float64) { return base, base }},
	}
}

func worse(ratio float64) traffic {
	return traffic{name: fmt.Sprintf("%g × errors", ratio), together: 1, rates: func(int) (float64, float64) { return base, base * ratio }}
}

func slower(ratio float64) traffic {
	return traffic{name: fmt.Sprintf("%g × slow answers", ratio), together: 1, slow: true, rates: func(int) (float64, float64) { return 0.05, 0.05 * ratio }}
}

// result is what became of some rollouts.
type result struct {
	back   int // rolled back
	times  []time.Duration
	bad    []int64 // requests of the canary
	missed int     // rollouts without a rollback
}

func (r *result) share() float64 { return float64(r.back) / float64(r.back+r.missed) }

func (r *result) add(o result) {
	r.back, r.missed = r.back+o.back, r.missed+o.missed
	r.times, r.bad = append(r.times, o.times...), append(r.bad, o.bad...)
}

// simulate rolls out many times, judged by a rule.
func simulate(runs int, rate int64, spec *api.RolloutSpec, t *traffic, rule func(*api.RolloutSpec, *traffic) judge) result {
	const seed = 42
	return repeat(runs, seed, func(rng *rand.Rand) result { return once(rng, rate, spec, t, rule(spec, t)) })
}

// repeat simulates rollouts.
func repeat(runs int, seed uint64, once func(*rand.Rand) result) (all result) {
	const workers = 2
	var wg sync.WaitGroup
	results := make([]result, workers)
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), seed)) //nolint:gosec // a simulation, the same each time
			for range runs / workers {
				results[w].add(once(rng))
			}
		})
	}
	wg.Wait()
	for _, r := range results {
		all.add(r)
	}
	slices.Sort(all.times)
	slices.Sort(all.bad)
	return all
}

// once is one rollout.
func once(rng *rand.Rand, rate int64, spec *api.RolloutSpec, t *traffic, j judge) result {
	var at time.Duration
	var bad int64
	look := 0
	for _, step := range spec.Steps {
		for end := at + time.Duration(step.For); at < end; look++ {
			at += lookEvery
			n := float64(rate) * lookEvery.Seconds() / api.TotalWeight
			control, canary := t.rates(look)
			c := draw(rng, n*float64(step.Weight), canary, t.together)
			k := draw(rng, n*float64(rollout.Control(step.Weight)), control, t.together)
			bad += c.Bad
			if j(c, k) {
				return result{back: 1, times: []time.Duration{at}, bad: []int64{bad}}
			}
		}
	}
	return result{missed: 1}
}
