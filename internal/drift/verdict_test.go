package drift_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice.io/sluice/internal/drift"
)

// laws are distributions of all kinds: smooth, with lumps, of codes, with gaps.
func laws() map[string]func(rng *rand.Rand) float64 {
	return map[string]func(rng *rand.Rand) float64{
		"normal":      func(rng *rand.Rand) float64 { return rng.NormFloat64() },
		"lognormal":   func(rng *rand.Rand) float64 { return math.Exp(rng.NormFloat64()) },
		"heavy tails": func(rng *rand.Rand) float64 { return math.Tan(math.Pi * (rng.Float64() - .5)) },
		"integers":    func(rng *rand.Rand) float64 { return float64(rng.IntN(100)) },
		"codes":       func(rng *rand.Rand) float64 { return 10 * math.Floor(6*rng.Float64()*rng.Float64()) },
		"rare":        func(rng *rand.Rand) float64 { return math.Floor(rng.Float64() + .01) },
		"constant":    func(*rand.Rand) float64 { return 7 },
		"half zeros":  func(rng *rand.Rand) float64 { return max(0, rng.NormFloat64()) },
		"lumps": func(rng *rand.Rand) float64 { // three values with 4 % each, and others
			if k := rng.IntN(100); k < 12 {
				return float64(k / 4)
			}
			return 3 * rng.Float64()
		},
		"gaps": func(rng *rand.Rand) float64 {
			if rng.IntN(10) == 0 {
				return math.NaN()
			}
			return rng.ExpFloat64()
		},
	}
}

func lawProfile(t *testing.T, seed uint64, n int, law func(rng *rand.Rand) float64) *drift.Profile {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 61))
	values := make([]float64, n)
	for i := range values {
		values[i] = law(rng)
	}
	return profileOf(t, "FP64", values...)
}

// TestCompareOfTheSameData: samples of the same data are the same, although each has its own bins:
// one in 1,000 may differ.
func TestCompareOfTheSameData(t *testing.T) {
	pairs, differ := 0, 0
	for name, law := range laws() {
		for _, n := range [][2]int{{300, 300}, {500, 5000}, {5000, 500}, {5000, 20_000}} {
			for seed := range uint64(15) {
				c := compared(t, lawProfile(t, 2*seed+1, n[0], law), lawProfile(t, 2*seed+2, n[1], law))
				if pairs++; c.Verdict != drift.Same {
					differ++
					t.Logf("%s, %v rows: %+v", name, n, c.Features[0])
				}
			}
		}
	}
	expected := float64(pairs) * compareOptions().FalseAlarm
	t.Logf("%d of %d pairs differ, at most %.1f are expected", differ, pairs, expected)
	if float64(differ) > expected+4*math.Sqrt(expected) {
		t.Errorf("%d pairs of the same data differ", differ)
	}
}

// TestCompareFindsWhatDiffers: differences are found and described.
func TestCompareFindsWhatDiffers(t *testing.T) {
	all := laws()
	f := func(law string, change func(x float64, rng *rand.Rand) float64, want string) {
		t.Helper()
		a := lawProfile(t, 3, 5000, all[law])
		b := lawProfile(t, 4, 5000, func(rng *rand.Rand) float64 { return change(all[law](rng), rng) })
		c := compared(t, a, b)
		d := c.Features[0]
		if c.Verdict != drift.Differs || d.Verdict != drift.Differs || d.P > 1e-4 || !strings.Contains(d.Change, want) {
			t.Errorf("%s: %s, %+v; want %q", law, c.Verdict, d, want)
		}
	}
	f("normal", func(x float64, _ *rand.Rand) float64 { return x + .4 }, "mean higher by 0.39 s.d.")
	f("normal", func(x float64, _ *rand.Rand) float64 { return 1.5 * x }, "s.d. 1.5 times")
	f("integers", func(x float64, _ *rand.Rand) float64 { return x / 2 }, "mean lower by 0.8")
	f("codes", func(x float64, rng *rand.Rand) float64 { return x + 10*math.Floor(rng.Float64()+.5) }, "% of the values are in (5, 15], 23.1 % in the reference")
	f("constant", func(x float64, _ *rand.Rand) float64 { return x + 1 }, "range: 100 % of the values, 0 % in A")
	f("half zeros", func(x float64, rng *rand.Rand) float64 { return x * math.Floor(rng.Float64()+.6) }, "")
	f("normal", func(x float64, rng *rand.Rand) float64 { return x + 20*math.Floor(rng.Float64()+.1) }, "")
	gap := func(share float64) func(x float64, rng *rand.Rand) float64 {
		return func(x float64, rng *rand.Rand) float64 {
			if rng.Float64() < share {
				return math.NaN()
			}
			return x
		}
	}
	f("gaps", gap(.05), "missing: 14.")
	f("gaps", func(x float64, rng *rand.Rand) float64 { // fewer gaps than before
		if x != x && rng.IntN(2) == 0 {
			return rng.ExpFloat64()
		}
		return x
	}, "missing: 5")
	f("normal", func(x float64, rng *rand.Rand) float64 { return x / math.Floor(rng.Float64()+.95) }, "inf: 5")
}

// TestCompareVerdict: with several features, the strongest evidence comes first, and there is no
// verdict on too few rows.
func TestCompareVerdict(t *testing.T) {
	of := func(n int, shifts ...float64) *drift.Profile {
		t.Helper()
		names := []string{"a", "b", "c"}[:len(shifts)]
		b := newBuilder(inputs(names...), drift.BuilderOptions{})
		rng := rand.New(rand.NewPCG(uint64(n), 62))
		for range n {
			row := make([]float64, len(shifts))
			for i := range row {
				row[i] = rng.NormFloat64() + shifts[i]
			}
			b.Add(row, make([]bool, len(shifts)))
		}
		return b.Profile(drift.Meta{})
	}
	f := func(a, b *drift.Profile, verdict, features string) {
		t.Helper()
		c := compared(t, a, b)
		var got []string
		for _, d := range c.Features {
			got = append(got, d.Name+" "+d.Verdict)
			if (d.Change == "") != (d.Verdict != drift.Differs) {
				t.Errorf("%s is %s: %q", d.Name, d.Verdict, d.Change)
			}
		}
		if text := strings.Join(got, ", "); c.Verdict != verdict || !strings.HasPrefix(text, features) {
			t.Errorf("%s: %s, want %s: %s", c.Verdict, text, verdict, features)
		}
	}
	f(of(3000, 0, 0, 0), of(3001, .4, 0, .8), drift.Differs, "c differs, a differs, b same")
	f(of(3000, 0, 0, 0), of(3001, .05, 0, 0), drift.Same, "")
	f(of(3000, 0, 0), of(3001, 0, 0, 0), drift.Differs, "")
	f(of(30, 0, 0), of(3001, 0, 0), drift.Undecided, "")
	f(of(30, 0, 0), of(31, 9, 9), drift.Undecided, "")

	bad := compareOptions()
	bad.FalseAlarm = 1
	if _, err := drift.Compare(of(100, 0), of(100, 0), bad); err == nil || !strings.Contains(err.Error(), "false alarms is 1") {
		t.Errorf("%v", err)
	}
	bad = compareOptions()
	bad.Tolerance = 0
	if _, err := drift.Compare(of(100, 0), of(100, 0), bad); err == nil || !strings.Contains(err.Error(), "the tolerance is 0") {
		t.Errorf("%v", err)
	}
}

// TestWellIsNotAnotherDistribution: a feature that recovers is not called different.
func TestWellIsNotAnotherDistribution(t *testing.T) {
	rng := rand.New(rand.NewPCG(63, 1))
	p := profile(1, 5000, normal(rng))
	d := detector(t, p, drift.CompleteOptions())
	for k := range 3 {
		by := []float64{0, 1, 0}[k]
		v := d.Judge(window(p, k, 1000, func(int) source { return plus(normal(rng), by) }))
		f := v.Features[0]
		switch {
		case k == 1 && (f.State != drift.Detected || !strings.HasPrefix(f.Change, "mean higher")):
			t.Errorf("%+v", f)
		case k == 2 && (f.State != drift.Recovering || f.Change != "as in the reference"):
			t.Errorf("%+v", f)
		}
	}
}
