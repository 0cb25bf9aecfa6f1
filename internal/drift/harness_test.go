package drift_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sluice.io/sluice/internal/drift"
)

var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// newBuilder sets the required options that o does not have.
func newBuilder(features []drift.Feature, o drift.BuilderOptions) *drift.Builder {
	o.MaxSampleBytes, o.MaxSampleRows = cmp.Or(o.MaxSampleBytes, 64<<20), cmp.Or(o.MaxSampleRows, 100_000)
	return drift.NewBuilder(features, o)
}

// feature makes a profile's feature from a sample.
func feature(name string, sample []float64) drift.Feature {
	f := drift.Feature{Name: name, Kind: drift.KindInput, Tensor: "x"}
	var numbers []float64
	for _, x := range sample {
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			numbers = append(numbers, x)
		}
	}
	slices.Sort(numbers)
	if n := len(numbers); n > 0 {
		f.Min, f.Max = numbers[0], numbers[n-1]
		for _, x := range numbers {
			f.Mean += x / float64(n)
		}
		for _, x := range numbers {
			f.Variance += (x - f.Mean) * (x - f.Mean) / float64(max(1, n-1))
		}
		for i := 1; i < drift.MaxBins; i++ {
			f.Edges = append(f.Edges, numbers[i*n/drift.MaxBins])
		}
		f.Edges = slices.Compact(f.Edges)
		if last := len(f.Edges) - 1; f.Edges[last] == f.Max {
			f.Edges = f.Edges[:last]
		}
		if f.Min == f.Max {
			f.Edges = []float64{math.Nextafter(f.Min, math.Inf(-1)), f.Max}
		}
	}
	f.SetRare(numbers)
	f.Reference = f.NewCounts()
	for _, x := range sample {
		f.Reference.Add(&f, x)
	}
	return f
}

// source makes the values of one feature, row by row.
type source func() float64

func normal(rng *rand.Rand) source { return rng.NormFloat64 }

// dependent makes an AR(1) stream with the marginal distribution of normal.
func dependent(rng *rand.Rand, rho float64) source {
	x := rng.NormFloat64()
	return func() float64 {
		x = rho*x + math.Sqrt(1-rho*rho)*rng.NormFloat64()
		return x
	}
}

func take(n int, s source) []float64 {
	all := make([]float64, n)
	for i := range all {
		all[i] = s()
	}
	return all
}

// profile makes a profile with this many features, each from its own sample.
func profile(features, rows int, s source) *drift.Profile {
	p := &drift.Profile{Format: drift.Format, Model: "m", Rows: int64(rows), Sampled: int64(rows)}
	for i := range features {
		p.Features = append(p.Features, feature(string(rune('a'+i%26))+string(rune('a'+i/26)), take(rows, s)))
	}
	return p
}

// window makes a window of rows; each feature has a source.
func window(p *drift.Profile, number, rows int, of func(feature int) source) drift.Window {
	w := p.NewWindow(epoch.Add(time.Duration(number) * time.Hour))
	w.End = w.Start.Add(time.Hour)
	w.Rows = uint64(rows)
	split := drift.SplitterOf(number)
	split.Begin(w.Rows)
	halves := make([]drift.Halves, rows)
	for row := range halves {
		halves[row] = split.Next(0)
	}
	for i := range p.Features {
		s := of(i)
		for row := range rows {
			w.Counts[i].AddIn(&p.Features[i], s(), halves[row])
		}
	}
	return w
}

func detector(t testing.TB, p *drift.Profile, o drift.Options) *drift.Tumbling {
	t.Helper()
	d, err := drift.NewDetector(p, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
