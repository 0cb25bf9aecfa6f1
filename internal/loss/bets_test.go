package loss

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestWealth: no bet gains on average if the mean is at most the one that it is against.
func TestWealth(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, mean := range []float64{0.02, 0.1, 0.5} {
		for name, draw := range map[string]func() float64{
			"binary": func() float64 {
				if rng.Float64() < mean {
					return 1
				}
				return 0
			},
			"uniform": func() float64 { return 2 * mean * rng.Float64() },
		} {
			var total, squares [bets]float64
			const runs = 20000
			for range runs {
				var m Moments
				for range 20 {
					m.add(draw())
				}
				for j, log := range logWealth(&m, mean, 1) {
					x := math.Exp(log)
					total[j] += x
					squares[j] += x * x
				}
			}
			for j := range total {
				average := total[j] / runs
				if sd := math.Sqrt(squares[j]/runs-average*average) / math.Sqrt(runs); average > 1+4*sd {
					t.Errorf("%s with the mean %v: bet %d makes %.4f ± %.4f of 1", name, mean, j, average, sd)
				}
			}
		}
	}
}

// TestUpper: the bound is below the true mean of a sample as rarely as it says.
func TestUpper(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	for _, mean := range []float64{0.001, 0.05, 0.3, 0.99} {
		below := 0
		const runs = 4000
		for range runs {
			var m Moments
			for range 300 {
				x := 0.0
				if rng.Float64() < mean {
					x = 1
				}
				m.add(x)
			}
			if upper(&m, 1) < mean {
				below++
			}
		}
		if most := runs*underestimated + 4*math.Sqrt(runs*underestimated); float64(below) > most {
			t.Errorf("mean %v: below in %d of %d samples, at most %.0f are expected", mean, below, runs, most)
		}
	}
	for _, m := range []Moments{{Rows: 100}, {Rows: 100, Sum: 100, Squares: 100}, {Rows: 100, Sum: 25, Squares: 6.25}} {
		if u := upper(&m, 3); !(u >= m.mean() && u <= 1) {
			t.Errorf("%+v: %v", m, u)
		}
	}
}
