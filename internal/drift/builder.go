package drift

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"sluice.io/sluice/internal/infer"
)

// BuilderOptions bound the memory of a Builder.
type BuilderOptions struct {
	Seed           uint64 // for the sample; the same rows and seed give the same profile
	MaxSampleBytes int    // at least 1; the sample has a row even if that is larger
	MaxSampleRows  int    // at least 1
}

// Builder makes a profile of rows that it reads once. Range, mean, variance and the counts of
// unusual values cover all rows. The bins come from a uniform sample: each row so far is in it with
// the same probability. It belongs to one goroutine.
type Builder struct {
	features []Feature
	moments  []moments
	rows     uint64
	rng      *rand.Rand
	capacity uint64 // max rows of the sample
	sampled  uint64
	blocks   [][]float64 // the sample, blockRows rows each, row by row
}

// blockRows is the number of rows by which the sample grows.
const blockRows = 256

// moments are the statistics of all values of a feature.
type moments struct {
	round         func(float64) float64 // to the datatype; nil: not known
	n             uint64                // finite values
	min, max      float64
	mean, squares float64 // Welford's: squares of the differences from the mean
	odd           Odd
}

// NewBuilder needs name, kind, tensor, element and datatype of the features. The rest comes from
// the rows.
func NewBuilder(features []Feature, o BuilderOptions) *Builder {
	if o.MaxSampleBytes < 1 || o.MaxSampleRows < 1 {
		panic("BUG: drift.NewBuilder needs MaxSampleBytes and MaxSampleRows")
	}
	rowBytes := 8 * max(1, len(features))
	b := &Builder{
		features: slices.Clone(features), moments: make([]moments, len(features)),
		rng:      rand.New(rand.NewPCG(o.Seed, 0)),
		capacity: uint64(max(1, min(o.MaxSampleRows, o.MaxSampleBytes/rowBytes))), //nolint:gosec // positive
	}
	for i := range b.moments {
		b.moments[i].round = rounding(b.features[i].Datatype)
	}
	return b
}

// rounding returns the function that rounds a value to a datatype. It does not change values for
// integer datatypes: integers are kept, and other values must not occur there.
func rounding(datatype string) func(float64) float64 {
	switch d, _ := infer.ParseDType(datatype); d {
	case infer.InvalidDType:
		return nil
	case infer.FP32:
		return func(x float64) float64 { return float64(float32(x)) }
	case infer.FP16:
		return func(x float64) float64 { return float64(infer.FP16ToFloat32(infer.Float32ToFP16(float32(x)))) }
	case infer.BF16:
		return func(x float64) float64 { return float64(infer.BF16ToFloat32(infer.Float32ToBF16(float32(x)))) }
	default:
		return func(x float64) float64 { return x }
	}
}

// Add adds a row: a value for each feature, and marks for missing ones.
func (b *Builder) Add(values []float64, missing []bool) {
	b.rows++
	row := b.place()
	for i := range b.features {
		m := &b.moments[i]
		x := values[i]
		if missing[i] {
			x = math.NaN()
		}
		x = m.add(x)
		if row != nil {
			row[i] = x
		}
	}
}

// place returns the place of the new row in the sample, nil for none: when the sample is full, row
// t replaces one of its k rows with probability k/t.
func (b *Builder) place() []float64 {
	at := b.sampled
	if at < b.capacity {
		b.sampled++
	} else if at = b.rng.Uint64N(b.rows); at >= b.capacity {
		return nil
	}
	if at/blockRows == uint64(len(b.blocks)) {
		size := min(blockRows, b.capacity-at)
		b.blocks = append(b.blocks, make([]float64, size*uint64(len(b.features))))
	}
	return b.row(at)
}

func (b *Builder) row(at uint64) []float64 {
	width := uint64(len(b.features))
	from := at % blockRows * width
	return b.blocks[at/blockRows][from : from+width]
}

// add adds a value and returns it as it is in the tensor.
func (m *moments) add(x float64) float64 {
	if m.round != nil {
		x = m.round(x)
	}
	switch {
	case math.IsNaN(x):
		m.odd.Missing++
		return x
	case x > math.MaxFloat64:
		m.odd.PosInf++
		return x
	case x < -math.MaxFloat64:
		m.odd.NegInf++
		return x
	}
	if x == 0 {
		x = 0 // replace -0
	}
	low, high := x, x
	if m.round == nil {
		low, high = around(x)
	}
	if m.n == 0 {
		m.min, m.max = low, high
	}
	m.min, m.max = min(m.min, low), max(m.max, high)
	m.n++
	n := float64(m.n)
	before := x - m.mean
	if before-before == 0 {
		m.mean += before / n
	} else { // the difference is out of range
		m.mean += x/n - m.mean/n
	}
	m.squares += before * (x - m.mean)
	return x
}

// around returns a value and its rounding to FP32, the smaller one first. A profile without a model
// must be valid for both, since most numbers of a file reach the model rounded.
func around(x float64) (low, high float64) {
	rounded := float64(float32(x))
	if math.IsInf(rounded, 0) {
		return x, x
	}
	return min(x, rounded), max(x, rounded)
}

// Meta is the origin of a profile.
type Meta struct {
	Model     string
	Version   int64
	OutputsOf int64
	Created   time.Time
	Source    string
}

// Profile returns the profile of the rows so far.
func (b *Builder) Profile(meta Meta) *Profile {
	p := &Profile{
		Format: Format, Model: meta.Model, Version: meta.Version, OutputsOf: meta.OutputsOf, Created: meta.Created.UTC(), Source: meta.Source,
		Rows: int64(b.rows), Sampled: int64(b.sampled), //nolint:gosec // never 2^63 rows
		Features: slices.Clone(b.features),
	}
	finite := make([]float64, 0, b.sampled)
	for i := range p.Features {
		f := &p.Features[i]
		b.moments[i].describe(f)
		finite = finite[:0]
		for at := range b.sampled {
			if x := b.row(at)[i]; x-x == 0 {
				finite = append(finite, x)
			}
		}
		slices.Sort(finite)
		f.Edges = edges(finite, f.Datatype == "")
		f.Values, f.Tails = valuesOf(finite, f), tailsOf(finite, f)
		f.Reference = f.NewCounts()
		for at := range b.sampled {
			f.Reference.Add(f, b.row(at)[i])
		}
	}
	return p
}

// describe sets the statistics of all values. They must be finite for JSON: a variance that is too
// large for a float64 becomes the largest float64.
func (m *moments) describe(f *Feature) {
	f.Min, f.Max, f.Read = m.min, m.max, m.odd
	f.Mean = max(m.min, min(m.mean, m.max))
	f.Variance = 0
	if m.n > 1 {
		f.Variance = finite(m.squares / float64(m.n-1))
	}
}
