package drift

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// shifted returns the expected numbers of n normal values with a shifted mean in each of 32 bins at
// the quantiles of the normal distribution.
func shifted(n, by float64) []uint64 {
	counts := make([]uint64, MaxBins)
	below := 0.0
	for i := range counts {
		upTo := 1.0
		if i < MaxBins-1 {
			edge := math.Sqrt2 * math.Erfinv(2*float64(i+1)/MaxBins-1)
			upTo = math.Erfc((by-edge)/math.Sqrt2) / 2
		}
		counts[i] = uint64(math.Round(n * (upTo - below)))
		below = upTo
	}
	return counts
}

// The expected statistics are from scipy.stats.chi2_contingency(..., correction=False,
// lambda_="log-likelihood"), divided by Williams's correction.
func TestStatistic(t *testing.T) {
	f := func(window, ref []uint64, g, williams, df float64) {
		t.Helper()
		c := compare(window, ref, 0.02)
		if !near(c.g, g/williams) || c.df != df {
			t.Errorf("%v, %v: got %v with %v degrees of freedom, want %v with %v", window, ref, c.g, c.df, g/williams, df)
		}
		if tail := noncentralTail(c.g, df, 0.02*c.rows); c.logP != tail {
			t.Errorf("%v, %v: log p is %v, want %v", window, ref, c.logP, tail)
		}
	}
	f([]uint64{10, 20, 30}, []uint64{20, 20, 20}, 5.41153209098, 1.0175, 2)
	f([]uint64{100, 120, 90, 110}, []uint64{400, 450, 380, 500}, 1.8261033589, 1.00210191577, 3)
	f([]uint64{0, 40, 60}, []uint64{100, 110, 120}, 63.3004383182, 1.00763207005, 2)
	f([]uint64{12, 8, 9, 14, 30}, []uint64{200, 180, 190, 210, 205}, 15.2512722477, 1.0138605565, 4)
	f([]uint64{1000, 1}, []uint64{3000, 60}, 26.821651694, 1.01198106966, 1)
}

func TestGroups(t *testing.T) {
	f := func(window, ref []uint64, wantWindow, wantRef []float64) {
		t.Helper()
		g := groups(&Counts{Bins: window}, ref, &history{})
		var gotWindow, gotRef []float64
		for _, c := range g.all {
			gotWindow, gotRef = append(gotWindow, c.window), append(gotRef, c.ref)
		}
		if !slices.Equal(gotWindow, wantWindow) || !slices.Equal(gotRef, wantRef) {
			t.Errorf("%v, %v: got %v and %v, want %v and %v", window, ref, gotWindow, gotRef, wantWindow, wantRef)
		}
	}
	f([]uint64{10, 20, 30}, []uint64{20, 20, 20}, []float64{10, 20, 30}, []float64{20, 20, 20})
	f([]uint64{10, 20, 30}, []uint64{2, 28, 30}, []float64{30, 30}, []float64{30, 30}) // a small first
	f([]uint64{10, 20, 30}, []uint64{30, 28, 2}, []float64{10, 50}, []float64{30, 30}) // a small last
	f([]uint64{10, 0, 50}, []uint64{1, 58, 1}, []float64{0, 60}, []float64{58, 2})     // one against the others
	f([]uint64{0, 60, 0}, []uint64{0, 60, 0}, []float64{60, 0}, []float64{60, 0})      // a constant
	f([]uint64{60, 0, 0}, []uint64{0, 60, 0}, []float64{0, 60}, []float64{60, 0})      // that moved
	f([]uint64{2}, []uint64{60}, nil, nil)                                             // one bin
	f([]uint64{2, 3}, []uint64{0, 0}, nil, nil)                                        // no reference
	f([]uint64{0, 0}, []uint64{30, 30}, []float64{0, 0}, []float64{30, 30})            // no window
}

// However many rows there are, a mean that moves by a tenth of a standard deviation is not an
// alarm, and one that moves by half of it is.
func TestSizeGate(t *testing.T) {
	f := func(by, n, m float64, detected bool) {
		t.Helper()
		c := compare(shifted(n, by), shifted(m, 0), 0.02)
		if got := c.logP < math.Log(1e-6); got != detected {
			t.Errorf("shift %v, %v rows, reference %v: log p %v, effect %v", by, n, m, c.logP, c.effect)
		}
	}
	for _, n := range []float64{1e3, 1e4, 1e5, 1e6, 1e9} {
		for _, m := range []float64{500, 5e3, 1e5, 1e6, 1e9} {
			f(0, n, m, false)
			f(0.1, n, m, false)
			f(-0.1, n, m, false)
			f(0.13, n, m, false)
			f(2, n, m, true)
			if m >= 5e3 { // a small reference is too uncertain itself
				f(0.5, n, m, true)
				f(-0.5, n, m, true)
			}
		}
	}
	f(0.16, 1e9, 1e9, true)
}

// draw fills counts with rows of a distribution with the given cumulative shares.
func draw(rng *rand.Rand, counts []uint64, rows int, upTo []float64) {
	clear(counts)
	for range rows {
		x := rng.Float64()
		i := 0
		for i < len(upTo)-1 && upTo[i] < x {
			i++
		}
		counts[i]++
	}
}

func cumulative(shares ...float64) []float64 {
	sum := 0.0
	for i, s := range shares {
		sum += s
		shares[i] = sum
	}
	return shares
}

// On unchanged data, the rate of p-values below a is close to a.
func TestLawOfStatistic(t *testing.T) {
	f := func(name string, rows, refRows int, upTo []float64) {
		t.Helper()
		rng := rand.New(rand.NewPCG(5, 5))
		window, ref := make([]uint64, len(upTo)), make([]uint64, len(upTo))
		const runs = 10_000
		levels := []float64{0.01, 0.001}
		below := make([]float64, len(levels))
		for range runs {
			draw(rng, window, rows, upTo)
			draw(rng, ref, refRows, upTo)
			c := compare(window, ref, 0)
			for i, a := range levels {
				if c.logP < math.Log(a) {
					below[i]++
				}
			}
		}
		for i, a := range levels {
			t.Logf("%s, %d rows, reference %d: p < %v in %v times as many runs", name, rows, refRows, a, below[i]/runs/a)
			if below[i] > 1.5*runs*a+3*math.Sqrt(runs*a) {
				t.Errorf("%v of %d", below[i], runs)
			}
		}
	}
	even := make([]float64, 16)
	for i := range even {
		even[i] = 1.0 / 16
	}
	f("16 bins", 80, 400, cumulative(slices.Clone(even)...))
	f("16 bins", 300, 100, cumulative(even...))
	f("rare values", 100, 300, cumulative(0.9, 0.05, 0.03, 0.02))
	f("a rare value", 60, 300, cumulative(0.97, 0.03))
}

// With two bins the rates can be computed, far into the tail.
func TestLawOfTwoBins(t *testing.T) {
	const rows, refRows = 200, 500
	log := func(n, k uint64, p float64) float64 { // of the binomial probability of k
		a, _ := math.Lgamma(float64(n) + 1)
		b, _ := math.Lgamma(float64(k) + 1)
		c, _ := math.Lgamma(float64(n-k) + 1)
		return a - b - c + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p)
	}
	levels := []float64{1e-2, 1e-3, 1e-4, 1e-5, 1e-6}
	for _, p := range []float64{0.003, 0.03, 0.1} {
		below := make([]float64, len(levels))
		for x := range uint64(rows + 1) {
			for y := range uint64(refRows / 4) { // more have no chance
				chance := math.Exp(log(rows, x, p) + log(refRows, y, p))
				if chance < 1e-12 {
					continue
				}
				c := compare([]uint64{rows - x, x}, []uint64{refRows - y, y}, 0)
				for i, a := range levels {
					if c.logP < math.Log(a) {
						below[i] += chance
					}
				}
			}
		}
		for i, a := range levels {
			if below[i] > 1.5*a {
				t.Errorf("a value in %v of the rows: p < %v with a probability of %.3g", p, a, below[i])
			}
		}
	}
}

func TestIntervalOfEffect(t *testing.T) {
	f := func(name string, rows, refRows int, p, r []float64) {
		t.Helper()
		psi := 0.0
		for i := range p {
			psi += (p[i] - r[i]) * math.Log(p[i]/r[i])
		}
		rng := rand.New(rand.NewPCG(6, 6))
		window, ref := make([]uint64, len(p)), make([]uint64, len(p))
		upP, upR := cumulative(slices.Clone(p)...), cumulative(slices.Clone(r)...)
		const runs = 1000
		inside, sum := 0.0, 0.0
		for range runs {
			draw(rng, window, rows, upP)
			draw(rng, ref, refRows, upR)
			c := compare(window, ref, 0.02)
			sum += c.effect
			if c.low <= psi && psi <= c.high {
				inside++
			}
		}
		t.Logf("%s, %d rows, reference %d: true %.4f, mean estimate %.4f, inside the interval %.1f %%", name, rows, refRows, psi, sum/runs, 100*inside/runs)
		if inside < 0.92*runs || math.Abs(sum/runs-psi) > 0.1*psi+0.02 {
			t.Error("the effect or its interval is off")
		}
	}
	normal := func(by float64) []float64 {
		shares := make([]float64, 0, MaxBins)
		for _, n := range shifted(1e9, by) {
			shares = append(shares, float64(n)/1e9)
		}
		return shares
	}
	f("no shift", 1000, 5000, normal(0), normal(0))
	f("shift 0.25", 1000, 5000, normal(0.25), normal(0))
	f("shift 0.5", 1000, 5000, normal(0.5), normal(0))
	f("shift 1", 1000, 2000, normal(1), normal(0))
	f("shift 0.5", 400, 500, normal(0.5), normal(0))
}
