package drift

import (
	"math"
	"math/rand/v2"
	"testing"
)

func logOf(x float64) float64 { return math.Log(x) }

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6*(1+math.Abs(b)) }

// Without a tolerance the expected values are from scipy.stats.hypergeom.logsf(bad-1, rows+refRows,
// bad+refBad, rows). With a tolerance they are from mpmath's quad at 30 digits over the beta
// density times the binomial tail.
func TestExcessTail(t *testing.T) {
	f := func(bad, rows, refBad, refRows, tolerance, want float64) {
		t.Helper()
		got := excessTail(fraction{bad, rows}, fraction{refBad, refRows}, allowance{gain: tolerance})
		if !near(got, want) {
			t.Errorf("%v of %v where the reference has %v of %v, tolerance %v: got %.10g, want %.10g", bad, rows, refBad, refRows, tolerance, got, want)
		}
	}
	f(3, 1000, 0, 5000, 0, -5.37778084123)
	f(30, 1000, 10, 5000, 0, -35.2718906714)
	f(5, 50, 1, 500, 0, -10.4570560867)
	f(200, 1000, 3, 569, 0, -86.6862818721)
	f(40, 200, 100, 5000, 0, -56.2970569141)
	f(1000, 1000, 0, 5000, 0, -2699.08551169)
	f(60, 1000, 50, 5000, 0, -44.2835830595)
	f(30, 1000, 0, 5000, 0.01, -14.8932598755)
	f(200, 1000, 3, 569, 0.01, -80.4584182133)
	f(60, 1000, 10, 5000, 0.02, -24.3293575854)
	f(15, 50, 1, 500, 0.05, -16.8792587116)
}

// With a true share at the limit of the tolerance, p-values below a must not be more frequent than
// a.
func TestExcessTailIsNotTooSmall(t *testing.T) {
	f := func(share, tolerance float64, rows, refRows int) {
		t.Helper()
		rng := rand.New(rand.NewPCG(3, 3))
		binomial := func(n int, p float64) (k float64) {
			for range n {
				if rng.Float64() < p {
					k++
				}
			}
			return k
		}
		const runs = 2000
		for _, a := range []float64{0.1, 0.02} {
			below := 0.0
			for range runs {
				window := fraction{binomial(rows, share+tolerance), float64(rows)}
				ref := fraction{binomial(refRows, share), float64(refRows)}
				if excessTail(window, ref, allowance{gain: tolerance}) < math.Log(a) {
					below++
				}
			}
			if below > runs*a+3*math.Sqrt(runs*a) {
				t.Errorf("share %v, tolerance %v, %d rows, reference %d: %v of %d p-values below %v", share, tolerance, rows, refRows, below, runs, a)
			}
		}
	}
	f(0.001, 0, 100, 500)
	f(0.05, 0, 100, 500)
	f(0.001, 0.01, 200, 500)
	f(0.1, 0.01, 200, 500)
}

func TestExcessTailIsNeverNaN(t *testing.T) {
	for _, rows := range []float64{1, 2, 50, 1e6, 1e12} {
		for _, refRows := range []float64{0, 1, 2, 500, 1e9} {
			for _, bad := range []float64{0, 1, rows / 2, rows - 1, rows} {
				for _, refBad := range []float64{0, 1, math.Floor(refRows / 2), refRows} {
					if refBad > refRows {
						continue
					}
					window, ref := fraction{math.Floor(bad), rows}, fraction{refBad, refRows}
					p := excessTail(window, ref, allowance{gain: 0.01})
					effect, low, high := excess(window, ref)
					if math.IsNaN(p) || p > 0 || math.IsNaN(effect+low+high) || low > effect || high < effect {
						t.Errorf("%v against %v: log p %v, effect %v in [%v, %v]", window, ref, p, effect, low, high)
					}
				}
			}
		}
	}
}
