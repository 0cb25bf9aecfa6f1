package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestPSI(t *testing.T) {
	f := func(p, q [deciles]float64, want float64) {
		t.Helper()
		if got := psi(&p, &q); math.Abs(got-want) > 1e-12 {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	even := [deciles]float64{.1, .1, .1, .1, .1, .1, .1, .1, .1, .1}
	f(even, even, 0)
	f(even, [deciles]float64{.2, 0, .1, .1, .1, .1, .1, .1, .1, .1}, .1*math.Log(2)+.0999*math.Log(1000))
}

// Two samples of one law are apart by (1/n + 1/m)(bins - 1) on average.
func TestFixedPSI(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	columns := func(n int, shift float64) [][]float64 {
		all := make([][]float64, features)
		for i := range all {
			for range n {
				all[i] = append(all[i], rng.NormFloat64())
			}
		}
		for k := range all[0] {
			all[0][k] += shift
		}
		return all
	}
	j := fixedPSI(columns(5000, 0), 0.2)()
	if got := j(columns(1000, 0)); got != [features]bool{} {
		t.Errorf("clean columns alarm: %v", got)
	}
	if got := j(columns(1000, 1)); got != [features]bool{true} {
		t.Errorf("the first column has moved by a standard deviation, and these alarm: %v", got)
	}
}
