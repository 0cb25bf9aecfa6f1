package drift_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"sluice.io/sluice/internal/drift"
)

// share is 1 in this share of the rows, otherwise 0.
func share(p float64) func(*rand.Rand) source {
	return func(rng *rand.Rand) source {
		return func() float64 {
			if rng.Float64() < p {
				return 1
			}
			return 0
		}
	}
}

// tailed is a normal variable; a share of the rows is drawn from beyond the quantile of 99 %.
func tailed(p float64) func(*rand.Rand) source {
	return func(rng *rand.Rand) source {
		return func() float64 {
			u := rng.Float64()
			if u < p {
				u = 0.99 + 0.01*rng.Float64()
			} else {
				u = 0.99 * rng.Float64()
			}
			return math.Sqrt2 * math.Erfinv(2*u-1)
		}
	}
}

// codes are even numbers from 0 to 38; a share of the rows has an odd one.
func codes(odd float64) func(*rand.Rand) source {
	return func(rng *rand.Rand) source {
		return func() float64 {
			x := 2 * float64(rng.IntN(20))
			if rng.Float64() < odd {
				return 7
			}
			return x
		}
	}
}

// faulty is a normal variable, times 1,000 in a share of the rows.
func faulty(p float64) func(*rand.Rand) source {
	return func(rng *rand.Rand) source {
		return func() float64 {
			if rng.Float64() < p {
				return 1000 * rng.NormFloat64()
			}
			return rng.NormFloat64()
		}
	}
}

func shifted(by float64) func(*rand.Rand) source {
	return func(rng *rand.Rand) source { return plus(normal(rng), by) }
}

// TestGatesFindWhatMatters: the changes of rare things that the shape alone never shows are found, by
// their gate. Only the first of ten features changes.
func TestGatesFindWhatMatters(t *testing.T) {
	f := func(name string, rows, most int, by string, before, after func(*rand.Rand) source) {
		t.Helper()
		const runs, reference, clean = 2, 50_000, 10
		for run := range runs {
			rng := rand.New(rand.NewPCG(21, uint64(run)))
			p := profile(9, reference, normal(rng))
			p.Features = append(p.Features, feature("changes", take(reference, before(rng))))
			d := detector(t, p, drift.CompleteOptions())
			judge := func(k int, changing source) drift.Verdict {
				return d.Judge(window(p, k, rows, func(i int) source {
					if i < 9 {
						return normal(rng)
					}
					return changing
				}))
			}
			for k := range clean {
				if v := judge(k, before(rng)); v.State == drift.Detected {
					t.Errorf("%s: clean window %d is %s", name, k, v.State)
				}
			}
			found := most + 1
			for k := range most {
				v := judge(clean+k, after(rng))
				if v.State != drift.Detected {
					continue
				}
				found = k + 1
				for _, finding := range slices.Concat(v.Features[:1], v.Quality) {
					if finding.State == drift.Detected && finding.Feature == "changes" {
						t.Logf("%s: %d rows: %s %s, %s", name, found*rows, finding.Statistic, finding.Gate, finding.Change)
						if by != finding.Gate && by != finding.Statistic {
							t.Errorf("%s: passed gate %s of %s; want %s", name, finding.Gate, finding.Statistic, by)
						}
						break
					}
				}
				break
			}
			if found > most {
				t.Errorf("%s: not found in %d windows of %d rows", name, most, rows)
			}
		}
	}
	f("1 to 2 %", 10_000, 20, drift.GateShare, share(0.01), share(0.02))
	f("1 to 3 %", 1000, 20, drift.GateShare, share(0.01), share(0.03))
	f("0.01 to 0.5 %", 10_000, 8, drift.GateShare, share(0.0001), share(0.005))
	f("10 to 14.5 %", 10_000, 40, drift.GateShare, share(0.1), share(0.145))
	f("tail 1 to 3 %", 1000, 12, drift.GateTail, tailed(0.01), tailed(0.03))
	f("2 % of a new code", 1000, 2, drift.StatisticNew, codes(0), codes(0.02))
	f("5 % times 1,000", 1000, 2, drift.StatisticRange, normal, faulty(0.05))
	f("2 % times 1,000", 1000, 6, drift.StatisticRange, normal, faulty(0.02))
	f("mean +0.15", 10_000, 12, drift.GateMean, normal, shifted(0.15))
	f("mean -0.3", 1000, 8, drift.GateMean, normal, shifted(-0.3))
}

// TestIntervalOfTheMean: the interval in words covers the true shift as often as it says, also for large
// shifts in small windows and small references.
func TestIntervalOfTheMean(t *testing.T) {
	f := func(reference, rows int, shift float64) {
		t.Helper()
		const runs = 100
		said, covered := 0, 0
		for run := range runs {
			rng := rand.New(rand.NewPCG(22, uint64(run)))
			p := profile(1, reference, normal(rng))
			d := detector(t, p, drift.CompleteOptions())
			v := d.Judge(window(p, 0, rows, func(int) source { return plus(normal(rng), shift) }))
			var size, low, high float64
			if n, _ := fmt.Sscanf(v.Features[0].Change, "mean higher by %f s.d. (%f to %f)", &size, &low, &high); n != 3 {
				continue
			}
			said++
			if low <= shift && shift <= high {
				covered++
			}
		}
		t.Logf("reference %d, windows of %d, +%v s.d.: %d of %d intervals cover it", reference, rows, shift, covered, said)
		if said < runs/2 || float64(covered) < 0.9*float64(said) {
			t.Errorf("reference %d, windows of %d, +%v s.d.: %d of %d intervals cover it, of %d windows", reference, rows, shift, covered, said, runs)
		}
	}
	f(5000, 1000, 0.5)
	f(5000, 200, 1)
	f(5000, 200, 2)
	f(5000, 1000, 3)
	f(500, 200, 1)
	f(500, 1000, 2)
}
