package drift_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
)

var (
	nan = math.NaN()
	inf = math.Inf(1)
)

// missing marks missing values in the tests' columns.
const missing = -1234.5

func inputs(names ...string) []drift.Feature {
	features := make([]drift.Feature, len(names))
	for i, name := range names {
		features[i] = drift.Feature{Name: name, Kind: drift.KindInput, Tensor: name}
	}
	return features
}

// profileOf makes a profile of one column.
func profileOf(t *testing.T, datatype string, values ...float64) *drift.Profile {
	t.Helper()
	features := inputs("x")
	features[0].Datatype = datatype
	b := newBuilder(features, drift.BuilderOptions{})
	for _, x := range values {
		b.Add([]float64{x}, []bool{x == missing})
	}
	p := b.Profile(drift.Meta{Model: "m"})
	if err := p.Write(&bytes.Buffer{}); err != nil {
		t.Errorf("%v: %v", values[:min(len(values), 10)], err)
	}
	return p
}

func repeated(x float64, n int) []float64 { return slices.Repeat([]float64{x}, n) }

func TestEdges(t *testing.T) {
	f := func(datatype string, values, edges []float64, bins ...uint64) {
		t.Helper()
		x := &profileOf(t, datatype, values...).Features[0]
		if diff := cmp.Diff(edges, x.Edges); diff != "" {
			t.Errorf("%v: edges (-want +got)\n%s", values[:min(len(values), 10)], diff)
		}
		if diff := cmp.Diff(bins, x.Reference.Bins); diff != "" {
			t.Errorf("%v: bins (-want +got)\n%s", values[:min(len(values), 10)], diff)
		}
	}
	none := []float64{}
	const tiny, huge, ulp = math.SmallestNonzeroFloat64, math.MaxFloat64, 1.0 / (1 << 20)

	// Few distinct values have a bin each.
	f("FP64", []float64{1, 2, 2, 4}, []float64{1.5, 3}, 1, 2, 1)
	f("", []float64{1, 2, 2, 4}, []float64{1.5, 3}, 1, 2, 1)
	f("BOOL", []float64{0, 1, 1}, []float64{.5}, 1, 2)
	// A constant is between two edges.
	f("FP64", []float64{8, 8, 8}, []float64{8 - 8*ulp, 8 + 8*ulp}, 0, 3, 0)
	f("FP64", []float64{0, math.Copysign(0, -1)}, []float64{-tiny, tiny}, 0, 2, 0)
	f("FP64", []float64{huge}, []float64{huge - huge*ulp}, 0, 1)
	f("FP64", []float64{-huge}, []float64{-(huge - huge*ulp)}, 1, 0)
	// Without finite values there are no edges.
	f("", []float64{missing, missing}, none, 0)
	f("", []float64{inf, -inf, nan}, none, 0)
	f("FP32", []float64{1e300, -1e300}, none, 0)
	// The largest numbers.
	f("FP64", []float64{-huge, huge}, []float64{0}, 1, 1)
	f("FP64", []float64{-tiny, 0, tiny}, []float64{-tiny, 0}, 1, 1, 1)
	f("FP64", []float64{1, math.Nextafter(1, 2)}, []float64{1}, 1, 1)
	// Without a datatype, values that are equal in FP32 stay together, unless there are no others.
	f("FP32", []float64{1, 1 + 1e-12}, []float64{1 - ulp, 1 + ulp}, 0, 2, 0)
	f("", []float64{1e9, 1e9 + 1, 1e9 + 2}, []float64{1e9 + .5, 1e9 + 1.5}, 1, 1, 1)
	f("INT64", []float64{1e9, 1e9 + 1, 1e9 + 2}, []float64{1e9 + .5, 1e9 + 1.5}, 1, 1, 1)
}

func TestOddValues(t *testing.T) {
	p := profileOf(t, "", 1, missing, nan, inf, -inf, -inf, 3)
	x := p.Features[0]
	want := drift.Feature{
		Name: "x", Kind: drift.KindInput, Tensor: "x", Edges: []float64{2}, Values: []float64{1, 3}, Min: 1, Max: 3, Mean: 2, Variance: 2,
		Read:      drift.Odd{Missing: 2, PosInf: 1, NegInf: 2},
		Reference: drift.Counts{Bins: []uint64{1, 1}, Missing: 2, PosInf: 1, NegInf: 2, Squares: 2},
	}
	if diff := cmp.Diff(want, x); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if p.Rows != 7 || p.Sampled != 7 {
		t.Errorf("%d rows, %d sampled", p.Rows, p.Sampled)
	}
}

// TestHeavyValues: a value with more than a bin's share has its own bin, and the others share the
// rest evenly.
func TestHeavyValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	f := func(heavy ...float64) {
		t.Helper()
		var values []float64
		for range 20_000 {
			if k := rng.IntN(2 * len(heavy)); k < len(heavy) {
				values = append(values, heavy[k])
			} else {
				values = append(values, rng.NormFloat64())
			}
		}
		x := &profileOf(t, "FP64", values...).Features[0]
		if len(x.Edges) != drift.MaxBins-1 {
			t.Errorf("%v: %d edges", heavy, len(x.Edges))
		}
		for _, h := range heavy {
			at, _ := slices.BinarySearch(x.Edges, h)
			n := uint64(0)
			for _, v := range values {
				if v == h {
					n++
				}
			}
			if x.Reference.Bins[at] != n {
				t.Errorf("%v: the bin of %v holds %d rows, expected %d", heavy, h, x.Reference.Bins[at], n)
			}
		}
		for i, n := range x.Reference.Bins {
			single := i > 0 && i < len(x.Edges) && slices.ContainsFunc(heavy, func(h float64) bool { return x.Edges[i-1] < h && h <= x.Edges[i] })
			if !single && float64(n) > 20_000/2/float64(drift.MaxBins-len(heavy))*2 {
				t.Errorf("%v: bin %d holds %d rows", heavy, i, n)
			}
		}
	}
	f(0)
	f(0, 1)
	f(-.5, 0, .5, .75)

	// More heavy values and stretches than bins: as many bins as possible, and the heaviest values
	// are separate.
	var values []float64
	for i := range 25 {
		values = append(values, repeated(float64(i), 100)...)
		values = append(values, float64(i)+.5, float64(i)+.6)
	}
	x := &profileOf(t, "FP64", values...).Features[0]
	if len(x.Reference.Bins) != drift.MaxBins || slices.Max(x.Reference.Bins) > 104 {
		t.Errorf("bins %v", x.Reference.Bins)
	}
}

func TestEvenBins(t *testing.T) {
	f := func(name string, draw func() float64) {
		t.Helper()
		var values []float64
		for range 32_000 {
			values = append(values, draw())
		}
		x := &profileOf(t, "FP32", values...).Features[0]
		for i, n := range x.Reference.Bins {
			if len(x.Reference.Bins) != drift.MaxBins || n < 980 || n > 1020 {
				t.Errorf("%s: bin %d of %d holds %d rows", name, i, len(x.Reference.Bins), n)
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	f("normal", rng.NormFloat64)
	f("uniform", rng.Float64)
	f("heavy tail", func() float64 { return math.Exp(20 * rng.NormFloat64()) })
	f("far off", func() float64 { return 1e6 + rng.NormFloat64()*50 })
}

// TestRounding: a number and its rounding to FP32 are in the same bin and in range, also if the
// datatype was not known.
func TestRounding(t *testing.T) {
	f := func(name, datatype string, draw func() float64) {
		t.Helper()
		var values []float64
		for range 5000 {
			values = append(values, draw())
		}
		x := &profileOf(t, datatype, values...).Features[0]
		exact, rounded := x.NewCounts(), x.NewCounts()
		for _, v := range values {
			if datatype == "" {
				exact.Add(x, v)
			}
			rounded.Add(x, float64(float32(v)))
		}
		if datatype == "" {
			if diff := cmp.Diff(x.Reference.Bins, exact.Bins); diff != "" || exact.Below+exact.Above > 0 {
				t.Errorf("%s: %d below, %d above, bins (-want +got)\n%s", name, exact.Below, exact.Above, diff)
			}
		}
		if diff := cmp.Diff(x.Reference.Bins, rounded.Bins); diff != "" || rounded.Below+rounded.Above > 0 {
			t.Errorf("%s, rounded: %d below, %d above, bins (-want +got)\n%s", name, rounded.Below, rounded.Above, diff)
		}
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for _, datatype := range []string{"", "FP32"} {
		f("constant", datatype, func() float64 { return .1 })
		f("tenths", datatype, func() float64 { return float64(rng.IntN(80)) / 10 })
		f("normal", datatype, rng.NormFloat64)
		f("large", datatype, func() float64 { return 1e6 + rng.NormFloat64() })
		f("small", datatype, func() float64 { return 1e-40 * rng.NormFloat64() })
	}
}

// TestSample: every row has the same chance to be in the sample.
func TestSample(t *testing.T) {
	const rows, size, runs = 1000, 100, 400
	var hits [rows / size]float64 // by tenths of the rows
	for seed := range runs {
		b := newBuilder(inputs("x"), drift.BuilderOptions{Seed: uint64(seed), MaxSampleRows: size})
		for i := range rows {
			b.Add([]float64{float64(i / size)}, []bool{false})
		}
		p := b.Profile(drift.Meta{})
		if p.Rows != rows || p.Sampled != size {
			t.Fatalf("%d rows, %d sampled", p.Rows, p.Sampled)
		}
		x := &p.Features[0]
		if math.Abs(x.Mean-4.5) > 1e-12 || x.Min != 0 || x.Max != 9 {
			t.Fatalf("mean %v of %v to %v; expected those of all rows", x.Mean, x.Min, x.Max)
		}
		for i, n := range x.Reference.Bins {
			hits[i] += float64(n)
		}
	}
	chi := 0.0
	for _, n := range hits {
		chi += (n - size*runs/10) * (n - size*runs/10) / (size * runs / 10)
	}
	if chi > 50 { // 9 degrees of freedom: p < 1e-7; sampling without replacement makes it smaller
		t.Errorf("hits by tenths %v: chi-square %v", hits, chi)
	}
}

func TestMoments(t *testing.T) {
	f := func(values []float64, mean, variance float64) {
		t.Helper()
		x := &profileOf(t, "FP64", values...).Features[0]
		if math.Abs(x.Mean-mean) > 1e-12*math.Abs(mean) || math.Abs(x.Variance-variance) > 1e-9*variance {
			t.Errorf("%v: mean %v, variance %v; want %v, %v", values, x.Mean, x.Variance, mean, variance)
		}
	}
	f([]float64{5}, 5, 0)
	f([]float64{1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16}, 1e9+10, 30)
	f(repeated(.1, 1000), .1, 0)
	f([]float64{math.MaxFloat64, -math.MaxFloat64}, 0, math.MaxFloat64)
	f(repeated(math.MaxFloat64, 3), math.MaxFloat64, 0)
}

// TestMemory: a builder's memory is bounded, whatever the rows are.
func TestMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const width = 200
	names := make([]string, width)
	for i := range names {
		names[i] = "x" + string(rune('a'+i/26)) + string(rune('a'+i%26))
	}
	b := newBuilder(inputs(names...), drift.BuilderOptions{MaxSampleBytes: 4 << 20})
	values, gone := make([]float64, width), make([]bool, width)
	for i := range 20_000 {
		values[i%width] = float64(i)
		b.Add(values, gone)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 5<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if p := b.Profile(drift.Meta{}); p.Sampled != 4<<20/8/width {
		t.Errorf("%d rows sampled", p.Sampled)
	}
	if n := testing.AllocsPerRun(100, func() { b.Add(values, gone) }); n != 0 {
		t.Errorf("a row costs %v allocations", n)
	}
}

func TestSameSeedSameProfile(t *testing.T) {
	f := func(seed uint64) []byte {
		rng := rand.New(rand.NewPCG(9, 9))
		b := newBuilder(inputs("x", "y"), drift.BuilderOptions{Seed: seed, MaxSampleRows: 500})
		for range 20_000 {
			b.Add([]float64{rng.NormFloat64(), rng.ExpFloat64()}, []bool{rng.IntN(10) == 0, false})
		}
		var text bytes.Buffer
		if err := b.Profile(drift.Meta{Model: "m", Created: time.Unix(1e9, 0)}).Write(&text); err != nil {
			t.Fatal(err)
		}
		return text.Bytes()
	}
	if !bytes.Equal(f(1), f(1)) {
		t.Error("the same rows and seed give different profiles")
	}
	if bytes.Equal(f(1), f(2)) {
		t.Error("another seed gives the same profile")
	}
}

func TestDatatypes(t *testing.T) {
	f := func(datatype string, x, want float64) {
		t.Helper()
		if got := profileOf(t, datatype, x).Features[0].Max; got != want {
			t.Errorf("%s of %v: %v, want %v", datatype, x, got, want)
		}
	}
	for d := infer.Bool; d < infer.Bytes; d++ {
		f(d.String(), 1, 1)
	}
	f("FP64", .1, .1)
	f("FP32", .1, float64(float32(.1)))
	f("FP16", .1, float64(infer.FP16ToFloat32(infer.Float32ToFP16(.1))))
	f("BF16", .1, float64(infer.BF16ToFloat32(infer.Float32ToBF16(.1))))
	f("INT64", 1<<40+1, 1<<40+1)
}

func BenchmarkBuilder(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	const width = 16
	builder := newBuilder(make([]drift.Feature, width), drift.BuilderOptions{})
	values, gone := make([]float64, width), make([]bool, width)
	for i := range values {
		values[i] = rng.NormFloat64()
	}
	b.ReportAllocs()
	for b.Loop() {
		builder.Add(values, gone)
	}
}
