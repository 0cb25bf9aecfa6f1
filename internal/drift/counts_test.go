package drift_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/drift"
)

// plain counts a value according to the comments of Feature and Counts, without a search.
func plain(c *drift.Counts, f *drift.Feature, x float64) {
	switch {
	case math.IsNaN(x):
		c.Missing++
		return
	case math.IsInf(x, 1):
		c.PosInf++
		return
	case math.IsInf(x, -1):
		c.NegInf++
		return
	}
	bin := 0
	for _, edge := range f.Edges {
		if edge < x {
			bin++
		}
	}
	c.Bins[bin]++
	if len(f.Edges) > 0 && x < f.Min {
		c.Below++
	}
	if len(f.Edges) > 0 && x > f.Max {
		c.Above++
	}
	if len(f.Values) > 0 && float32(x) != float32(f.Values[bin]) { // no datatype
		c.New++
	}
	if len(f.Tails) > 0 && x <= f.Tails[0] {
		c.Low++
	}
	if len(f.Tails) > 0 && x > f.Tails[1] {
		c.High++
	}
	c.Sum += x - f.Mean
	c.Squares += (x - f.Mean) * (x - f.Mean)
}

func TestAddCountsEachValueOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	f := func(sample []float64) {
		t.Helper()
		feature := feature("x", sample)
		values := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1e9, -1e9, 5e-324, feature.Min, feature.Max}
		for _, edge := range feature.Edges {
			values = append(values, edge, math.Nextafter(edge, math.Inf(1)), math.Nextafter(edge, math.Inf(-1)))
		}
		for range 100 {
			values = append(values, 2*rng.NormFloat64())
		}
		got, want := feature.NewCounts(), feature.NewCounts()
		for i, x := range values {
			got.Add(&feature, x)
			plain(&want, &feature, x)
			if n := got.N(); n != uint64(i+1) {
				t.Fatalf("%d edges: %d rows counted after %d, the last of which is %v", len(feature.Edges), n, i+1, x)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d edges (-want +got):\n%s", len(feature.Edges), diff)
		}
	}
	for n := range drift.MaxBins + 2 { // every number of edges
		sample := make([]float64, n)
		for i := range sample {
			sample[i] = float64(i)
		}
		f(sample)
	}
	f(take(1000, normal(rng)))
	f([]float64{3, 3, 3})
	f([]float64{math.NaN(), math.Inf(1)})
}

func TestSumsStayFinite(t *testing.T) {
	for _, mean := range []float64{-1e308, 0, 1e308} { // of a sample with a huge value, or without one
		for _, sign := range []float64{-1, 1} {
			f := feature("x", []float64{-1, 0, 1, 2})
			f.Mean = mean
			c := f.NewCounts()
			for range 3 {
				c.Add(&f, sign*math.MaxFloat64)
				c.Add(&f, sign*1e300)
			}
			if _, err := json.Marshal(c); err != nil {
				t.Errorf("mean %v: %v", mean, err)
			}
			o := f.NewCounts()
			o.Add(&f, sign*math.MaxFloat64)
			c.Merge(o)
			if c.N() != 7 || c.Finite() != 7 || c.Above+c.Below != 7 || math.IsInf(c.Sum, 0) || math.IsInf(c.Squares, 0) {
				t.Errorf("mean %v: got %+v", mean, c)
			}
			if m, variance := c.Moments(&f); math.IsNaN(m+variance) || math.IsInf(m+variance, 0) {
				t.Errorf("mean %v: got mean %v, variance %v", mean, m, variance)
			}
		}
	}
}

func TestMergedCountsAreThoseOfAllRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	f := feature("x", take(500, normal(rng)))
	all, a, b := f.NewCounts(), f.NewCounts(), f.NewCounts()
	for i := range 1000 {
		x := math.Round(8*rng.NormFloat64()) / 4 // sums are exact, in any order
		f.Mean = 0.25
		part := [2]*drift.Counts{&a, &b}[i%2]
		if i%10 == 0 {
			all.AddMissing()
			part.AddMissing()
			continue
		}
		all.Add(&f, x)
		part.Add(&f, x)
	}
	a.Merge(b)
	data, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var again drift.Counts
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all, again); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if a.Finite() != 900 || a.N() != 1000 {
		t.Errorf("%d finite of %d, want 900 of 1000", a.Finite(), a.N())
	}
}

func TestMergeOfOtherBinsIsABug(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	c := drift.Counts{Bins: make([]uint64, 3)}
	c.Merge(drift.Counts{Bins: make([]uint64, 4)})
}
