package routes_test

import (
	"strconv"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/slot"
)

// alpha is the probability that a test of this file fails if nothing is wrong. The keys are
// fixed, so each test passes always or never.
const alpha = 1e-6

const keys = 1_000_000

// slotsOf hashes a million keys.
func slotsOf(seed string) []uint16 {
	all := make([]uint16, keys)
	for i := range all {
		all[i] = uint16(slot.Slot(seed, "user-"+strconv.Itoa(i)))
	}
	return all
}

// plausible reports whether hits of keys is in the exact binomial interval: the probability
// of so few or so many is at least alpha / 2. It uses the share of the weight, since the
// sizes of the slots differ by less than 1 in 400,000.
func plausible(hits, weight int) bool {
	b := distuv.Binomial{N: keys, P: float64(weight) / api.TotalWeight}
	return b.CDF(float64(hits)) > alpha/2 && 1-b.CDF(float64(hits-1)) > alpha/2
}

func TestSharesAreTheWeights(t *testing.T) {
	by := slotsOf("iris")
	f := func(s api.RouteState) {
		t.Helper()
		var holder [api.TotalWeight]int
		for i := range s.Variants {
			for _, n := range slots(s.Slots[i]) {
				holder[n] = i
			}
		}
		hits := make([]int, len(s.Variants))
		for _, n := range by {
			hits[holder[n]]++
		}
		for i, v := range s.Variants {
			if v.Weight == 0 || v.Weight == api.TotalWeight {
				if hits[i] != v.Weight/api.TotalWeight*keys {
					t.Errorf("weight %d: %d keys", v.Weight, hits[i])
				}
				continue
			}
			if !plausible(hits[i], v.Weight) {
				t.Errorf("weight %d: %d of %d keys", v.Weight, hits[i], keys)
			}
			if plausible(hits[i]+hits[i]/50+200, v.Weight) {
				t.Errorf("weight %d: the check would not detect 2%% more", v.Weight)
			}
		}
	}
	l := newLog(t)
	for _, variants := range [][]api.Variant{
		{stable(1, 9500), canary(2, 500)},
		{stable(1, 8000), canary(2, 2000)},
		{stable(1, 7000), canary(2, 1500), control(1, 1500)},
		{stable(1, 9998), canary(2, 1), control(1, 1)},
		{stable(1, 3333), stable(2, 3333), stable(3, 3334), canary(4, 0)},
		{stable(1, 10000)},
	} {
		s, _ := l.put(api.OriginAPI, route(variants...))
		f(s)
	}
}

// uniform fails if the probability of so large or so small a chi-square is below alpha.
func uniform(chi2, freedom float64) bool {
	d := distuv.ChiSquared{K: freedom}
	return d.Survival(chi2) > alpha/2 && d.CDF(chi2) > alpha/2
}

func TestSlotsAreUniform(t *testing.T) {
	f := func(seed string) {
		t.Helper()
		var counts [api.TotalWeight]float64
		for _, n := range slotsOf(seed) {
			counts[n]++
		}
		const expected = float64(keys) / api.TotalWeight
		chi2 := 0.0
		for _, n := range counts {
			chi2 += (n - expected) * (n - expected) / expected
		}
		if !uniform(chi2, api.TotalWeight-1) {
			t.Errorf("seed %q: chi-square of %.0f with %d degrees of freedom", seed, chi2, api.TotalWeight-1)
		}
	}
	f("iris")
	f("spring campaign")
	if uniform(0, api.TotalWeight-1) || uniform(12_000, api.TotalWeight-1) {
		t.Error("the check detects nothing")
	}
}

// TestSeedsAreIndependent: a key in the canary of one route is not more or less likely to
// be in the canary of another.
func TestSeedsAreIndependent(t *testing.T) {
	a, b := slotsOf("iris"), slotsOf("iris-2")
	// chi2 is the chi-square of a table with the part of the slots of each key by each seed.
	chi2 := func(x, y []uint16, bounds ...uint16) float64 {
		part := func(n uint16) int {
			i := 0
			for i < len(bounds) && n >= bounds[i] {
				i++
			}
			return i
		}
		table := make([][]float64, len(bounds)+1)
		rows, columns := make([]float64, len(table)), make([]float64, len(table))
		for i := range table {
			table[i] = make([]float64, len(table))
		}
		for i := range x {
			r, c := part(x[i]), part(y[i])
			table[r][c]++
			rows[r]++
			columns[c]++
		}
		sum := 0.0
		for r := range table {
			for c, n := range table[r] {
				expected := rows[r] * columns[c] / keys
				sum += (n - expected) * (n - expected) / expected
			}
		}
		return sum
	}
	f := func(bounds ...uint16) {
		t.Helper()
		freedom := float64(len(bounds) * len(bounds))
		if got := chi2(a, b, bounds...); !uniform(got, freedom) {
			t.Errorf("bounds %v: chi-square of %.1f with %.0f degrees of freedom", bounds, got, freedom)
		}
		if got := chi2(a, a, bounds...); uniform(got, freedom) {
			t.Errorf("bounds %v: the check says that a seed is independent of itself", bounds)
		}
	}
	f(9500)
	f(5000)
	f(1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000)
}
