package main

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"sluice.io/sluice/internal/drift"
)

// script is a detector that says what it is told.
type script struct{ verdicts []drift.Verdict }

func (s *script) Judge(drift.Window) drift.Verdict {
	v := s.verdicts[0]
	s.verdicts = s.verdicts[1:]
	return v
}

// An alarm that lasts, or comes back before all was well, is one alarm.
func TestTally(t *testing.T) {
	verdict := func(state, a, b string) drift.Verdict {
		return drift.Verdict{State: state, Features: []drift.Finding{
			{Feature: "a", Statistic: drift.StatisticG, State: a}, {Feature: "b", Statistic: drift.StatisticG, State: b},
		}}
	}
	all := []drift.Verdict{
		verdict(drift.OK, drift.OK, drift.OK),
		verdict(drift.Suspected, drift.Suspected, drift.OK),
		verdict(drift.Detected, drift.Detected, drift.OK),
		verdict(drift.Detected, drift.Detected, drift.Detected),
		verdict(drift.Recovering, drift.Recovering, drift.OK),
		verdict(drift.Detected, drift.Detected, drift.OK),
		verdict(drift.OK, drift.OK, drift.OK),
		verdict(drift.Detected, drift.Detected, drift.OK),
	}
	w := &watched{detector: &script{all}, tally: tally{Findings: map[string]int{}}, state: drift.OK}
	for range len(all) {
		w.judge(drift.Window{}, func(string) string { return "normal" })
	}
	want := tally{Alarms: 2, AtRisk: 4, Findings: map[string]int{"normal g": 3}, Suspicions: 3, Alarmed: 1}
	if !reflect.DeepEqual(w.tally, want) {
		t.Errorf("counted %+v, want %+v", w.tally, want)
	}
}

// As R's binom.test has them.
func TestInterval(t *testing.T) {
	for _, c := range [][4]float64{{0, 10, 0, 0.3085}, {1, 10, 0.0025, 0.4450}, {5, 10, 0.1871, 0.8129}, {10, 10, 0.6915, 1}} {
		if low, high := interval(c[0], c[1]); math.Abs(low-c[2]) > 5e-5 || math.Abs(high-c[3]) > 5e-5 {
			t.Errorf("%v: %.4f to %.4f", c, low, high)
		}
	}
}

func TestPSI(t *testing.T) {
	even := [deciles]float64{.1, .1, .1, .1, .1, .1, .1, .1, .1, .1}
	other := [deciles]float64{.2, 0, .1, .1, .1, .1, .1, .1, .1, .1}
	if want, got := .1*math.Log(2)+.0999*math.Log(1000), psi(&even, &other); psi(&even, &even) != 0 || math.Abs(got-want) > 1e-12 {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A process has the law of independent rows, whatever its past: mean 0, variance 1, and
// neighbours correlated by rho.
func TestProcess(t *testing.T) {
	for _, rho := range []float64{0, 0.6, 0.9} {
		const n = 200_000
		p := newProcess(rand.New(rand.NewPCG(1, 1)), rho)
		var sum, squares, products, before float64
		for range n {
			z := p.next()
			sum, squares, products, before = sum+z, squares+z*z, products+z*before, z
		}
		if math.Abs(sum/n) > 0.03 || math.Abs(squares/n-1) > 0.03 || math.Abs(products/n-rho) > 0.03 {
			t.Errorf("ρ = %v: mean %.3f, variance %.3f, correlation %.3f", rho, sum/n, squares/n, products/n)
		}
	}
}
