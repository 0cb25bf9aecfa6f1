package drift

import (
	"math"
	"slices"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// Subtracted is the result of Subtract.
type Subtracted struct {
	Profile *Profile
	// Ranges names the features whose min and max are bounds: the part has the min or max of the whole, so
	// those of the rest are not known. Their range is that of the whole.
	Ranges []string
	// Texts names the features whose number of different values is a bound: that of the whole.
	Texts []string
}

// Subtract returns the profile of the rows of whole that are not in part. It is the inverse of Merge: if
// whole is the merged profile of part and another one, the rest has the counts of that other one, and the
// merged profile of part and the rest is whole. Counts are exact. Means, variances and sums differ by
// rounding; those of the merged profile agree with whole to nine digits or more, since an error of the
// rest becomes smaller in it. The caller subtracts Performance, which is nil in the result. Pairs are left
// out, and hours of the week that only one of them has. Categories lose theirs. Errors are Invalid: the profiles have other features or bins, or part is not a part of whole.
func Subtract(whole, part *Profile) (*Subtracted, error) {
	if err := mergeable(whole, part); err != nil {
		return nil, err
	}
	if part.Rows >= whole.Rows {
		return nil, infer.Errorf(infer.Invalid, "the part has %d rows, the whole %d: nothing is left", part.Rows, whole.Rows)
	}
	rest := &Profile{
		Format: whole.Format, Model: whole.Model, Version: whole.Version, OutputsOf: whole.OutputsOf,
		Created: whole.Created, Source: sourceWithout(whole.Source, part.Source),
		Rows: whole.Rows - part.Rows, Sampled: whole.Sampled - part.Sampled, TextBytes: whole.TextBytes,
		Features: make([]Feature, len(whole.Features)),
	}
	if part.Week != nil {
		rest.Week = whole.Week
	}
	s := &Subtracted{Profile: rest}
	for i := range whole.Features {
		f := &whole.Features[i]
		at := slices.IndexFunc(part.Features, func(o Feature) bool { return o.position() == f.position() })
		if at < 0 {
			return nil, infer.Errorf(infer.Invalid, "feature '%.60s' is in only one of the profiles", f.Name)
		}
		var err error
		if rest.Features[i], err = s.without(f, whole.Rows, &part.Features[at], part.Rows); err != nil {
			return nil, err
		}
		if f.Text != nil {
			s.Texts = append(s.Texts, f.Name)
		}
	}
	for i := range whole.Vectors { // of the part too, see mergeable
		v, err := whole.Vectors[i].without(&part.Vectors[i])
		if err != nil {
			return nil, err
		}
		rest.Vectors = append(rest.Vectors, v)
	}
	if err := rest.subtractSegments(whole, part); err != nil {
		return nil, err
	}
	return s, rest.check()
}

// sourceWithout returns the source of the rest. Merge puts a comma between two sources.
func sourceWithout(whole, part string) string {
	if rest, ok := strings.CutSuffix(whole, ", "+part); ok {
		return rest
	}
	if rest, ok := strings.CutPrefix(whole, part+", "); ok {
		return rest
	}
	if whole == part {
		return whole
	}
	return whole + " without " + part
}

// notPart is the error about a feature of which the part has more than the whole.
func notPart(f *Feature, more string) *infer.Error {
	return infer.Errorf(infer.Invalid, "feature '%.60s': the part has %s the whole, so its rows are not among those of the whole", f.Name, more)
}

// without returns a feature without the rows of a part.
func (s *Subtracted) without(f *Feature, rows int64, o *Feature, fewer int64) (Feature, error) {
	if f.IsCategory() {
		return f.withoutCategory(o)
	}
	if err := f.sameBins(o); err != nil {
		return Feature{}, err
	}
	if (f.Text == nil) != (o.Text == nil) || f.Values != nil && o.Values == nil {
		return Feature{}, notPart(f, "other values than")
	}
	r := *f
	var err error
	if r.Read, err = f.withoutOdd(&f.Read, &o.Read); err != nil {
		return Feature{}, err
	}
	n, k := float64(rows)-f.Read.count(), float64(fewer)-o.Read.count()
	switch {
	case k > n:
		return Feature{}, notPart(f, "more finite values than")
	case k == n:
		r.Min, r.Max, r.Mean, r.Variance = 0, 0, 0, 0
	case k > 0:
		if o.Min < f.Min || o.Max > f.Max {
			return Feature{}, notPart(f, "a wider range than")
		}
		if o.Min == f.Min || o.Max == f.Max {
			s.Ranges = append(s.Ranges, f.Name)
		}
		r.Mean, r.Variance = subtractedMoments(n, f.Mean, f.Variance, k, o.Mean, o.Variance)
		r.Mean = max(f.Min, min(r.Mean, f.Max))
	}
	r.Reference = f.Reference.around(f.Mean, r.Mean)
	moved := o.Reference.around(o.Mean, r.Mean)
	if !r.Reference.subtract(&moved) {
		return Feature{}, notPart(f, "more rows in a bin than")
	}
	if r.Hours = nil; len(f.Hours) > 0 && len(o.Hours) > 0 {
		r.Hours = f.hoursAround(r.Mean)
		for hour, c := range o.hoursAround(r.Mean) {
			if !r.Hours[hour].subtract(&c) {
				return Feature{}, notPart(f, "more rows in an hour than")
			}
		}
	}
	return r, nil
}

// withoutOdd subtracts values that are not finite.
func (f *Feature) withoutOdd(a, b *Odd) (Odd, error) {
	if b.Missing > a.Missing || b.NaN > a.NaN || b.PosInf > a.PosInf || b.NegInf > a.NegInf {
		return Odd{}, notPart(f, "more missing or infinite values than")
	}
	return Odd{a.Missing - b.Missing, a.NaN - b.NaN, a.PosInf - b.PosInf, a.NegInf - b.NegInf}, nil
}

// subtractedMoments returns mean and sample variance of n values without k of them, k < n: the inverse
// of mergedMoments.
func subtractedMoments(n, mean, variance, k, other, otherVariance float64) (m, v float64) {
	left := n - k
	d := mean/2 - other/2 // half, which is in range
	m = finite(mean + 2*d*(k/left))
	if left < 2 {
		return m, 0
	}
	squares := variance*(n-1) - otherVariance*(k-1) - 4*d*d*(k*(n/left))
	return m, finite(max(squares, 0) / (left - 1))
}

// subtract subtracts counts of the same bins, around the same mean. It reports false if there are more
// of anything than in c.
func (c *Counts) subtract(o *Counts) bool {
	if len(c.Bins) != len(o.Bins) {
		return false
	}
	ok := true
	less := func(a *uint64, b uint64) {
		ok = ok && b <= *a
		*a -= b
	}
	for i, n := range o.Bins {
		less(&c.Bins[i], n)
	}
	less(&c.Missing, o.Missing)
	less(&c.NaN, o.NaN)
	less(&c.PosInf, o.PosInf)
	less(&c.NegInf, o.NegInf)
	less(&c.Below, o.Below)
	less(&c.Above, o.Above)
	less(&c.New, o.New)
	less(&c.Low, o.Low)
	less(&c.High, o.High)
	less(&c.Unseen, o.Unseen)
	c.Sum, c.Squares = addFinite(c.Sum, -o.Sum), math.Max(0, addFinite(c.Squares, -o.Squares))
	if c.Finite() == 0 {
		c.Sum, c.Squares = 0, 0
	}
	return ok
}
