package drift

import (
	"math"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// Merge returns the profile of the rows of two profiles. It is that of all rows together if the two have
// the same features with the same bins, as a profile that was built with the bins of another one has.
// The counts are exact; means and variances differ by rounding. Errors are Invalid. The caller merges
// Performance, which is nil in the result. Pairs are left out.
func Merge(a, b *Profile) (*Profile, error) {
	if err := mergeable(a, b); err != nil {
		return nil, err
	}
	m := *a
	m.Performance, m.Pairs, m.Rows, m.Sampled = nil, nil, a.Rows+b.Rows, a.Sampled+b.Sampled
	if b.Created.After(a.Created) {
		m.Created = b.Created
	}
	if m.Source != b.Source {
		m.Source += ", " + b.Source
	}
	m.Features = make([]Feature, len(a.Features))
	for i := range a.Features {
		f := &a.Features[i]
		at := slices.IndexFunc(b.Features, func(o Feature) bool { return o.position() == f.position() })
		if at < 0 {
			return nil, infer.Errorf(infer.Invalid, "feature '%.60s' is in only one of the profiles", f.Name)
		}
		var err error
		if m.Features[i], err = f.merged(a.Rows, &b.Features[at], b.Rows); err != nil {
			return nil, err
		}
	}
	return &m, m.check()
}

func mergeable(a, b *Profile) error {
	switch {
	case a.Model != b.Model || a.Version != b.Version:
		return infer.Errorf(infer.Invalid, "the profiles are for '%.60s' version %d, and for '%.60s' version %d", a.Model, a.Version, b.Model, b.Version)
	case a.OutputsOf != b.OutputsOf:
		return infer.Errorf(infer.Invalid, "the outputs are those of version %d, and of version %d", a.OutputsOf, b.OutputsOf)
	case len(a.Features) != len(b.Features):
		return infer.Errorf(infer.Invalid, "the profiles have %d and %d features", len(a.Features), len(b.Features))
	case a.Sampled != a.Rows || b.Sampled != b.Rows:
		return infer.Errorf(infer.Invalid, "only a sample of the rows is in the bins of a profile; build it again with the bins of another one, which counts all")
	case a.Rows > maxRows-b.Rows:
		return infer.Errorf(infer.Invalid, "the profiles have more than 2^53 rows")
	}
	return nil
}

func errMergeText(f *Feature) error {
	return infer.Errorf(infer.Invalid, "feature '%.60s' is one of texts, whose profiles cannot be merged", f.Name)
}

// merged returns a feature with the rows of another one.
func (f *Feature) merged(rows int64, o *Feature, more int64) (Feature, error) {
	if f.Measure != "" || o.Measure != "" {
		return Feature{}, errMergeText(f)
	}
	if f.Name != o.Name || f.Datatype != o.Datatype {
		return Feature{}, infer.Errorf(infer.Invalid, "feature '%.60s' is '%.60s' of another datatype or name in the other profile", f.Name, o.Name)
	}
	if !slices.Equal(f.Edges, o.Edges) || !slices.Equal(f.Tails, o.Tails) || f.Values != nil && o.Values != nil && !slices.Equal(f.Values, o.Values) {
		return Feature{}, infer.Errorf(infer.Invalid, "feature '%.60s' has other bins in the other profile: build that one with the bins of the first", f.Name)
	}
	m := *f
	if o.Values == nil {
		m.Values = nil // it has a value that is not among them
	}
	m.Read = Odd{f.Read.Missing + o.Read.Missing, f.Read.NaN + o.Read.NaN, f.Read.PosInf + o.Read.PosInf, f.Read.NegInf + o.Read.NegInf}
	n, k := float64(rows)-f.Read.count(), float64(more)-o.Read.count()
	switch {
	case n == 0:
		m.Min, m.Max, m.Mean, m.Variance = o.Min, o.Max, o.Mean, o.Variance
	case k > 0:
		m.Min, m.Max = min(f.Min, o.Min), max(f.Max, o.Max)
		m.Mean, m.Variance = mergedMoments(n, f.Mean, f.Variance, k, o.Mean, o.Variance)
		m.Mean = max(m.Min, min(m.Mean, m.Max))
	}
	m.Reference = f.Reference.around(f.Mean, m.Mean)
	m.Reference.Merge(o.Reference.around(o.Mean, m.Mean))
	return m, nil
}

// count returns the number of values that are not finite.
func (o *Odd) count() float64 { return float64(o.Absent() + o.PosInf + o.NegInf) }

// mergedMoments returns mean and sample variance of two sets of n and k values (Chan, Golub and
// LeVeque, 1979).
func mergedMoments(n, mean, variance, k, other, otherVariance float64) (m, v float64) {
	d := other/2 - mean/2 // half, which is in range
	m = finite(mean + 2*d*(k/(n+k)))
	squares := variance*(n-1) + otherVariance*(k-1) + 4*d*d*(n*(k/(n+k)))
	return m, finite(max(squares, 0) / (n + k - 1))
}

// around returns counts whose sums are around another mean.
func (c *Counts) around(mean, other float64) Counts {
	moved := *c
	moved.Bins, moved.Halves = slices.Clone(c.Bins), nil
	d, n := mean-other, float64(c.Finite())
	moved.Sum = finite(c.Sum + n*d)
	moved.Squares = finite(max(c.Squares+2*d*c.Sum+n*d*d, 0))
	return moved
}

// counted counts all rows in the bins of another profile, so that there is no sample.
type counted struct {
	like []Feature // with the moments of the other profile, around which the sums are
}

// newCounted takes the bins of features from a profile. Errors are Invalid.
func newCounted(features []Feature, of *Profile) (*counted, error) {
	c := &counted{like: slices.Clone(features)}
	if len(of.Features) != len(features) {
		return nil, infer.Errorf(infer.Invalid, "the profile with the bins has %d features, the rows have %d", len(of.Features), len(features))
	}
	for i := range c.like {
		f := &c.like[i]
		if f.IsText() {
			return nil, errMergeText(f)
		}
		at := slices.IndexFunc(of.Features, func(o Feature) bool { return o.position() == f.position() })
		if at < 0 || of.Features[at].Datatype != f.Datatype {
			return nil, infer.Errorf(infer.Invalid, "the profile with the bins does not have feature '%.60s' of the same datatype", f.Name)
		}
		*f = of.Features[at]
		if len(f.Edges) == 0 {
			return nil, infer.Errorf(infer.Invalid, "feature '%.60s' has no finite value in the profile with the bins, so it has no bins", f.Name)
		}
		f.Min, f.Max = math.Inf(-1), math.Inf(1) // nothing is out of range of its own rows
		f.Reference = f.NewCounts()
	}
	return c, nil
}

// CountIn makes the builder count all rows in the bins of another profile, which must have the same
// features, instead of a sample in bins of its own. It is called before Add. Errors are Invalid.
func (b *Builder) CountIn(of *Profile) (err error) {
	b.counted, err = newCounted(b.features, of)
	return err
}

// addRow counts the values of a row, as they are in the tensors.
func (c *counted) addRow(b *Builder, values []float64, missing []bool) {
	for i := range c.like {
		x := values[i]
		if missing[i] {
			x = math.NaN()
		}
		c.like[i].Reference.Add(&c.like[i], b.moments[i].add(x))
	}
}

// described returns the features of the rows.
func (c *counted) described(b *Builder) []Feature {
	list := slices.Clone(b.features)
	for i := range list {
		f, like := &list[i], &c.like[i]
		b.moments[i].describe(f)
		r := like.Reference.around(like.Mean, f.Mean)
		if f.Edges, f.Values, f.Tails = like.Edges, like.Values, like.Tails; r.New > 0 {
			f.Values, r.New = nil, 0
		}
		f.Name, f.Reference = like.Name, r
	}
	return list
}
