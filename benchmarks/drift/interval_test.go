package main

import (
	"math"
	"testing"
)

// As R's binom.test has them.
func TestInterval(t *testing.T) {
	f := func(n, total float64, wantLow, wantHigh float64) {
		t.Helper()
		low, high := interval(n, total)
		if math.Abs(low-wantLow) > 5e-5 || math.Abs(high-wantHigh) > 5e-5 {
			t.Errorf("of %g in %g the interval is %.4f to %.4f, want %.4f to %.4f", n, total, low, high, wantLow, wantHigh)
		}
	}
	f(0, 10, 0, 0.3085)
	f(1, 10, 0.0025, 0.4450)
	f(5, 10, 0.1871, 0.8129)
	f(10, 10, 0.6915, 1)
}
