package drift_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/drift"
)

// normals makes a profile of normal values, with edges from its own rows.
func normals(t *testing.T, seed uint64, n int, mean, sd float64) *drift.Profile {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	values := make([]float64, n)
	for i := range values {
		values[i] = mean + sd*rng.NormFloat64()
	}
	return profileOf(t, "FP64", values...)
}

// compareOptions are those of gateway profile compare.
func compareOptions() drift.CompareOptions {
	return drift.CompareOptions{Tolerance: .02, QualityTolerance: .01, RangeTolerance: .05, MinRows: 50, FalseAlarm: .001}
}

func compared(t *testing.T, a, b *drift.Profile) *drift.Comparison {
	t.Helper()
	c, err := drift.Compare(a, b, compareOptions())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// exact returns b with its rows counted over a's edges.
func exact(a, b *drift.Profile, rows []float64) *drift.Profile {
	c := *b
	c.Features = []drift.Feature{b.Features[0]}
	f := &c.Features[0]
	f.Edges = a.Features[0].Edges
	f.Reference = f.NewCounts()
	for _, x := range rows {
		f.Reference.Add(f, x)
	}
	return &c
}

func TestCompareSame(t *testing.T) {
	a := normals(t, 1, 5000, 0, 1)
	d := compared(t, a, a).Features[0]
	if d.PSI != 0 || d.PSILow != 0 || d.PSIHigh != 0 || d.JS != 0 || d.Moved != 0 || d.KSLow != 0 || d.Shift != 0 || d.Spread != 1 || d.Outside != 0 {
		t.Errorf("%+v", d)
	}
	if d.KSHigh > 1.1/drift.MaxBins {
		t.Errorf("KS is at most %v", d.KSHigh)
	}
}

// TestCompareBounds compares with the rows themselves. A profile has only its bins.
func TestCompareBounds(t *testing.T) {
	f := func(mean, sd float64) {
		t.Helper()
		rng := rand.New(rand.NewPCG(11, 12))
		rows := make([]float64, 8000)
		for i := range rows {
			rows[i] = mean + sd*rng.NormFloat64()
		}
		a, b := normals(t, 1, 5000, 0, 1), profileOf(t, "FP64", rows...)
		d := compared(t, a, b).Features[0]
		want := compared(t, a, exact(a, b, rows)).Features[0]
		if want.PSILow != want.PSI || want.PSIHigh != want.PSI {
			t.Errorf("the same edges: PSI %v within %v and %v", want.PSI, want.PSILow, want.PSIHigh)
		}
		if d.PSILow > want.PSI || d.PSIHigh < want.PSI {
			t.Errorf("mean %v, sd %v: PSI %v is not within %v and %v", mean, sd, want.PSI, d.PSILow, d.PSIHigh)
		}
		if off := math.Abs(d.PSI - want.PSI); off > .02+.25*want.PSI {
			t.Errorf("mean %v, sd %v: PSI %v, of the rows %v", mean, sd, d.PSI, want.PSI)
		}
		if ks := .5 * math.Erfc(-mean/2/math.Sqrt2); sd == 1 && (d.KSLow > 2*ks-1+.03 || d.KSHigh < 2*ks-1-.03 || d.KSLow < 2*ks-1-.08) {
			t.Errorf("mean %v: KS within %v and %v, expected %v", mean, d.KSLow, d.KSHigh, 2*ks-1)
		}
		if math.Abs(d.Shift-mean) > .05+.01*mean || math.Abs(d.Spread-sd) > .05 {
			t.Errorf("mean %v, sd %v: shift %v, spread %v", mean, sd, d.Shift, d.Spread)
		}
		if mean == 0 && sd == 1 && d.PSI > 5*d.Noise {
			t.Errorf("two samples of the same: PSI %v, of which %v are noise", d.PSI, d.Noise)
		}
	}
	f(0, 1)
	f(.25, 1)
	f(.5, 1)
	f(2, 1)
	f(0, 1.5)
	f(0, .5)
	f(50, 1)
}

func TestCompareOdd(t *testing.T) {
	a := profileOf(t, "", 1, 2, 3, missing)
	b := profileOf(t, "", 5, nan, inf, -inf)
	d := compared(t, a, b).Features[0]
	if d.Missing != 0 || d.Inf != .5 || d.Outside != 1 || d.Moved < .6 {
		t.Errorf("%+v", d)
	}
	// Any result can be written.
	profiles := []*drift.Profile{
		a, b, profileOf(t, "", missing), profileOf(t, "", 7, 7), profileOf(t, "", 0), profileOf(t, "", inf),
		profileOf(t, "FP64", -math.MaxFloat64, math.MaxFloat64), profileOf(t, "FP64", math.SmallestNonzeroFloat64, 0),
	}
	for i, x := range profiles {
		for j, y := range profiles {
			c := compared(t, x, y)
			if _, err := json.Marshal(c); err != nil {
				t.Errorf("%d and %d: %v", i, j, err)
			}
			if d := c.Features[0]; d.PSILow > d.PSI || d.PSI > d.PSIHigh || d.KSLow > d.KSHigh || d.Moved < 0 || d.Moved > 1+1e-9 {
				t.Errorf("%d and %d: %+v", i, j, d)
			}
		}
	}
}

func TestCompareMatches(t *testing.T) {
	of := func(features ...drift.Feature) *drift.Profile {
		b := newBuilder(features, drift.BuilderOptions{})
		for i := range 100 {
			values := make([]float64, len(features))
			for j := range values {
				values[j] = float64(i * (j + 1))
			}
			b.Add(values, make([]bool, len(features)))
		}
		return b.Profile(drift.Meta{})
	}
	x := inputs("a", "b", "c")
	y := inputs("z", "c", "b")
	y[1].Name = "renamed"
	c := compared(t, of(x...), of(y...))
	names := []string{}
	for _, d := range c.Features {
		names = append(names, d.Name)
	}
	if diff := cmp.Diff([][]string{{"b", "c"}, {"a"}, {"z"}}, [][]string{names, c.OnlyA, c.OnlyB}); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
