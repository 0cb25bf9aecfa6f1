package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A process has the law of independent rows, whatever its past: mean 0, variance 1, and
// neighbours correlated by rho.
func TestProcess(t *testing.T) {
	f := func(rho float64) {
		t.Helper()
		const n = 200_000
		p := newProcess(rand.New(rand.NewPCG(1, 1)), rho)
		var sum, squares, products float64
		before := 0.0
		for range n {
			z := p.next()
			sum += z
			squares += z * z
			products += z * before
			before = z
		}
		for _, c := range []struct {
			name      string
			got, want float64
		}{
			{"mean", sum / n, 0}, {"variance", squares / n, 1}, {"correlation", products / n, rho},
		} {
			if math.Abs(c.got-c.want) > 0.03 {
				t.Errorf("ρ = %v: %s %.3f, want %v", rho, c.name, c.got, c.want)
			}
		}
	}
	f(0)
	f(0.6)
	f(0.9)
}

func TestDiscrete(t *testing.T) {
	const n = 100_000
	laws := marginals()
	rng := rand.New(rand.NewPCG(1, 2))
	var seen [6]float64
	for range n {
		seen[int(laws[len(laws)-1].of(rng.NormFloat64()))]++
	}
	for value, want := range [6]float64{0.5, 0.25, 0.12, 0.08, 0.04, 0.01} {
		if got := seen[value] / n; math.Abs(got-want) > 0.005 {
			t.Errorf("value %d in %.3f of the rows, want %v", value, got, want)
		}
	}
}
