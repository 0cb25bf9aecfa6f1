package drift

import (
	"slices"

	"sluice.io/sluice/internal/infer"
)

// sameSegments returns an error if two profiles do not have the same segments.
func sameSegments(a, b *Profile) error {
	if a.Segment == nil && b.Segment == nil {
		return nil
	}
	ok := a.Segment != nil && b.Segment != nil && *a.Segment == *b.Segment && len(a.Segments) == len(b.Segments)
	for i := range a.Segments {
		ok = ok && b.segment(a.Segments[i].Value) != nil
	}
	if !ok {
		return infer.Errorf(infer.Invalid, "the profiles have different segments; build one with the bins of the other, and the same segment")
	}
	return nil
}

// mergeSegments sets the segments of a merged profile, whose features are set.
func (p *Profile) mergeSegments(a, b *Profile) error {
	return p.segmentsFrom(a, func(s *Segment) (*Profile, error) {
		x, o := a.inSegment(s), b.segment(s.Value)
		switch y := b.inSegment(o); {
		case o.Rows == 0:
			return x, nil
		case s.Rows == 0:
			return y, nil
		default:
			return Merge(x, y)
		}
	})
}

// subtractSegments sets the segments of the rest of a profile, whose features are set.
func (p *Profile) subtractSegments(whole, part *Profile) error {
	return p.segmentsFrom(whole, func(s *Segment) (*Profile, error) {
		x, o := whole.inSegment(s), part.segment(s.Value)
		switch o.Rows {
		case 0:
			return x, nil
		case s.Rows:
			return x.empty(), nil
		default:
		}
		rest, err := Subtract(x, part.inSegment(o))
		if err != nil {
			return nil, err
		}
		return rest.Profile, nil
	})
}

// segmentsFrom sets the segments to those of another profile, with the features that f returns for each.
func (p *Profile) segmentsFrom(of *Profile, f func(s *Segment) (*Profile, error)) error {
	p.Segment, p.Segments = of.Segment, nil
	for i := range of.Segments {
		s := &of.Segments[i]
		q, err := f(s)
		if err != nil {
			return infer.Errorf(infer.Invalid, "segment '%s': %s", s.Value, infer.Message(err))
		}
		p.Segments = append(p.Segments, segmentFrom(s.Value, p, q))
	}
	return nil
}

// empty returns the profile with the same bins and no rows.
func (p *Profile) empty() *Profile {
	q := *p
	q.Rows, q.Sampled, q.Features = 0, 0, slices.Clone(p.Features)
	for i := range q.Features {
		f := &q.Features[i]
		f.Min, f.Max, f.Mean, f.Variance, f.Read, f.Reference = 0, 0, 0, 0, Odd{}, f.NewCounts()
		if f.IsCategory() {
			text := *f.Text
			text.Rows = make([]uint64, len(text.Hashes))
			f.Text = &text
		}
	}
	return &q
}
