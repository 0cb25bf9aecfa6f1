package drift

import (
	"slices"

	"sluice.io/sluice/internal/infer"
)

// Merge returns the profile of the rows of two profiles. It is that of all rows together if the two have
// the same features with the same bins, as a profile that was built with the bins of another one has.
// The counts are exact; means and variances differ by rounding. Errors are Invalid. The caller merges
// Performance, which is nil in the result. Pairs are left out, and hours of the week that
// only one of them has. Categories lose theirs.
func Merge(a, b *Profile) (*Profile, error) {
	if err := mergeable(a, b); err != nil {
		return nil, err
	}
	m := *a
	if b.Week == nil {
		m.Week = nil
	}
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
	m.Vectors = nil
	for i := range a.Vectors {
		v, err := a.Vectors[i].merged(&b.Vectors[i])
		if err != nil {
			return nil, err
		}
		m.Vectors = append(m.Vectors, v)
	}
	if err := m.mergeSegments(a, b); err != nil {
		return nil, err
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
	case len(a.Vectors) != len(b.Vectors):
		return infer.Errorf(infer.Invalid, "the profiles have %d and %d vectors", len(a.Vectors), len(b.Vectors))
	case a.Sampled != a.Rows || b.Sampled != b.Rows:
		return infer.Errorf(infer.Invalid, "only a sample of the rows is in the bins of a profile; build it again with the bins of another one, which counts all")
	case a.Week != nil && b.Week != nil && *a.Week != *b.Week:
		return infer.Errorf(infer.Invalid, "the hours of the profiles are in the time zones %.60s and %.60s", a.Week.Zone, b.Week.Zone)
	case a.TextBytes != b.TextBytes:
		return infer.Errorf(infer.Invalid, "%d bytes of a text were looked at, and %d; build both with the same --text-bytes", a.TextBytes, b.TextBytes)
	case a.Rows > maxRows-b.Rows:
		return infer.Errorf(infer.Invalid, "the profiles have more than 2^53 rows")
	}
	return sameSegments(a, b)
}

// merged returns a feature with the rows of another one.
func (f *Feature) merged(rows int64, o *Feature, more int64) (Feature, error) {
	if f.IsCategory() {
		return f.mergedCategory(o)
	}
	if err := f.sameBins(o); err != nil {
		return Feature{}, err
	}
	m := *f
	if f.Text != nil {
		var err error
		if m.Text, err = f.Text.merged(o.Text); err != nil {
			return Feature{}, err
		}
	}
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
	m.Hours = nil
	if len(f.Hours) > 0 && len(o.Hours) > 0 {
		m.Hours = f.hoursAround(m.Mean)
		for hour, c := range o.hoursAround(m.Mean) {
			m.Hours[hour].Merge(c)
		}
	}
	return m, nil
}

// sameBins returns an error if two features do not count the same values in the same bins.
func (f *Feature) sameBins(o *Feature) error {
	if f.Name != o.Name || f.Datatype != o.Datatype {
		return infer.Errorf(infer.Invalid, "feature '%.60s' is '%.60s' of another datatype or name in the other profile", f.Name, o.Name)
	}
	if !slices.Equal(f.Edges, o.Edges) || !slices.Equal(f.Tails, o.Tails) || f.Values != nil && o.Values != nil && !slices.Equal(f.Values, o.Values) {
		return infer.Errorf(infer.Invalid, "feature '%.60s' has other bins in the other profile: build that one with the bins of the first", f.Name)
	}
	return nil
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

// around returns counts whose sums are around another mean, without halves. Their bins are copies.
func (c *Counts) around(mean, other float64) Counts {
	moved := *c.seenFrom(mean, other)
	moved.Bins, moved.Halves = slices.Clone(c.Bins), nil
	return moved
}
