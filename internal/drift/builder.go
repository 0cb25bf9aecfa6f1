package drift

import (
	"cmp"
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
	// TextBytes is how many bytes of a text are looked at; 0 means DefaultTextBytes. The profile notes it, so
	// that texts of requests are read in the same way.
	TextBytes int
	// TextNames writes the most frequent texts of categories into the profile. Without them it has only
	// their hashes.
	TextNames bool
}

// Builder makes a profile of rows that it reads once. Range, mean, variance and the counts of
// unusual values cover all rows. The bins come from a uniform sample: each row so far is in it with
// the same probability. It belongs to one goroutine.
type Builder struct {
	o        BuilderOptions
	features []Feature // one for each column
	columns  []builderColumn
	moments  []moments // by part of a row
	rows     uint64
	rng      *rand.Rand
	capacity uint64 // max rows of the sample
	sampled  uint64
	blocks   [][]float64 // the sample, blockRows rows each, row by row
	counted  *counted    // nil: the bins come from the sample
	vectors  []*vectorColumns
	week     builderWeek
	segments builderSegments
}

// builderColumn is the place of a column in a row of the sample: one part for a number, several for a
// text.
type builderColumn struct {
	part   int
	text   *textColumn // nil: numbers
	vector bool        // it is an element of one of the vectors, which have their own parts
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

// NewBuilder needs name, kind, tensor, element and datatype of the features, one for each column. A column
// of texts has the datatype BYTES or the measure MeasureText. The rest comes from the rows.
func NewBuilder(features []Feature, o BuilderOptions) *Builder {
	if o.MaxSampleBytes < 1 || o.MaxSampleRows < 1 || o.TextBytes < 0 || o.TextBytes > MaxTextBytes {
		panic("BUG: drift.NewBuilder needs MaxSampleBytes and MaxSampleRows, and TextBytes up to MaxTextBytes")
	}
	o.TextBytes = cmp.Or(o.TextBytes, DefaultTextBytes)
	b := &Builder{o: o, features: slices.Clone(features), columns: make([]builderColumn, len(features)), rng: rand.New(rand.NewPCG(o.Seed, 0))}
	for i := range b.features {
		f, c := &b.features[i], &b.columns[i]
		c.part = len(b.moments)
		if c.vector = f.Measure == MeasureVector; c.vector {
			continue
		}
		if !f.IsText() {
			b.moments = append(b.moments, moments{round: rounding(f.Datatype)})
			continue
		}
		c.text = newTextColumn()
		for range textParts {
			b.moments = append(b.moments, moments{round: asItIs})
		}
	}
	b.vectors = vectorsOf(b.features, o.Seed)
	for _, v := range b.vectors {
		v.parts = len(b.moments)
		b.moments = append(b.moments, moments{round: asItIs}, moments{round: asItIs})
	}
	rowBytes := 8 * max(1, len(b.moments))
	b.capacity = uint64(max(1, min(o.MaxSampleRows, o.MaxSampleBytes/rowBytes))) //nolint:gosec // positive
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
		return asItIs
	}
}

func asItIs(x float64) float64 { return x }

// Add adds a row of numbers: a value for each feature, and marks for missing ones.
func (b *Builder) Add(values []float64, missing []bool) { b.AddRow(values, nil, missing) }

// AddRow adds a row: a number or a text for each feature, and marks for missing ones. An empty text is
// missing too. texts may be nil if there is no column of texts.
func (b *Builder) AddRow(values []float64, texts []string, missing []bool) {
	b.rows++
	b.segments.row(b, values, texts, missing)
	if b.counted != nil {
		b.counted.addRow(b, values, texts, missing)
		return
	}
	row, full := b.place()
	b.week.sampled(row)
	for i := range b.columns {
		c := &b.columns[i]
		if c.vector {
			continue
		}
		if c.text != nil {
			b.addText(i, texts[i], missing[i], row, full)
			continue
		}
		x := values[i]
		if missing[i] {
			x = math.NaN()
		}
		x = b.moments[c.part].add(x)
		if row != nil {
			row[c.part] = x
		}
	}
	for _, v := range b.vectors {
		norm, mean := v.add(values, missing)
		norm, mean = b.moments[v.parts].add(norm), b.moments[v.parts+1].add(mean)
		if row != nil {
			row[v.parts], row[v.parts+1] = norm, mean
		}
	}
}

// place returns the place of the new row in the sample, nil for none: when the sample is full, row
// t replaces one of its k rows with probability k/t. full reports whether it replaces one.
func (b *Builder) place() (row []float64, full bool) {
	at := b.sampled
	if at < b.capacity {
		b.sampled++
	} else if at = b.rng.Uint64N(b.rows); at >= b.capacity {
		return nil, false
	} else {
		full = true
	}
	if at/blockRows == uint64(len(b.blocks)) {
		size := min(blockRows, b.capacity-at)
		b.blocks = append(b.blocks, make([]float64, size*uint64(len(b.moments))))
	}
	b.segments.sampled(at)
	return b.row(at), full
}

func (b *Builder) row(at uint64) []float64 {
	width := uint64(len(b.moments))
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
		Features: make([]Feature, 0, len(b.features)),
	}
	p.Week = b.week.of()
	if b.counted != nil {
		p.Sampled, p.Features = p.Rows, b.counted.described(b)
		for _, v := range b.vectors {
			p.Vectors = append(p.Vectors, v.vector())
		}
		if slices.ContainsFunc(p.Features, func(f Feature) bool { return f.OfText() }) {
			p.TextBytes = b.o.TextBytes
		}
		b.segments.describe(b, p)
		return p
	}
	parts := make([]int, 0, len(b.features)) // of a row, by feature of numbers
	for i := range b.columns {
		c := &b.columns[i]
		if c.vector {
			continue
		}
		if c.text == nil {
			p.Features = append(p.Features, b.feature(b.features[i], c.part))
			parts = append(parts, c.part)
			continue
		}
		p.Features = append(p.Features, b.textFeatures(i)...)
		p.TextBytes = b.o.TextBytes
	}
	for _, v := range b.vectors {
		norm, mean := v.features()
		p.Features = append(p.Features, b.feature(norm, v.parts), b.feature(mean, v.parts+1))
		p.Vectors = append(p.Vectors, v.vector())
	}
	p.Pairs = pairsOf(p.Features, parts, b.sampled, b.row)
	b.segments.describe(b, p)
	return p
}

// feature completes a feature of numbers from a part of the rows.
func (b *Builder) feature(f Feature, part int) Feature {
	b.moments[part].describe(&f)
	finite := make([]float64, 0, b.sampled)
	for at := range b.sampled {
		if x := b.row(at)[part]; x-x == 0 {
			finite = append(finite, x)
		}
	}
	slices.Sort(finite)
	f.Edges = edges(finite, f.Datatype == "")
	if f.Measure == "" { // a length is not a code, even if few lengths occur
		f.Values = valuesOf(finite, &f)
	}
	f.Tails = tailsOf(finite, &f)
	f.Reference = f.NewCounts()
	for at := range b.sampled {
		f.Reference.Add(&f, b.row(at)[part])
	}
	b.byHour(&f, part)
	return f
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
