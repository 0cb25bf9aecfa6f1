package drift

import (
	"cmp"
	"slices"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// builderSegments counts the rows of a Builder by segment.
type builderSegments struct {
	key    *SegmentKey // nil: there are none
	most   int
	column int                   // of the key; -1 for a parameter
	round  func(float64) float64 // of that column's numbers; nil: not known
	next   string                // the value of the present row, "" for OtherSegment
	failed error                 // the rows are not enough
	sample []string              // by sampled row
	seen   map[string]string     // values that sampled rows share
	// values and parts are in the order of the segments of the profile whose bins are used; nil otherwise.
	values []string
	parts  []*Builder
}

// maxSegmentsSeen bounds the memory of builderSegments.seen.
const maxSegmentsSeen = 4096

// BySegment makes the builder count rows by segment too: at most so many values, those with the most rows of at least MinSegmentRows, and
// all others together. It is called before Add. bins is the profile of CountIn, nil without; then the segments are those of bins, which must
// have the same key. Errors are Invalid.
func (b *Builder) BySegment(key SegmentKey, most int, bins *Profile) error {
	s := builderSegments{key: &key, most: most, column: -1, seen: map[string]string{}}
	if most < 1 || most > MaxSegments {
		return infer.Errorf(infer.Invalid, "%d segments; expected 1 to %d", most, MaxSegments)
	}
	others := 0
	for i := range b.features {
		switch f := &b.features[i]; {
		case !key.is(f):
			others++
		case b.columns[i].vector:
			return infer.Errorf(infer.Invalid, "'%.60s' is an element of a vector, which cannot be the segment", f.Name)
		default:
			s.column, s.round = i, rounding(f.Datatype)
		}
	}
	switch {
	case key.Parameter == "" && s.column < 0:
		return infer.Errorf(infer.Invalid, "the segment is %s, which is not a feature", &key)
	case others == 0:
		return infer.Errorf(infer.Invalid, "there is no feature besides the one that is the segment")
	}
	if bins != nil {
		if bins.Segment == nil || *bins.Segment != key {
			return infer.Errorf(infer.Invalid, "the profile with the bins does not have the segments of %s", &key)
		}
		for i := range bins.Segments {
			part := NewBuilder(b.features, b.o)
			if err := part.CountIn(bins); err != nil {
				return err
			}
			s.values, s.parts = append(s.values, bins.Segments[i].Value), append(s.parts, part)
		}
	}
	b.segments = s
	return nil
}

// InSegment sets the segment of the rows that are added from now on, if the segment is a parameter. Before that it is OtherSegment.
func (b *Builder) InSegment(value string) { b.segments.next = segmentOfText([]byte(value), len(value)) }

// row finds the segment of a row, and counts the row in it if the bins are those of another profile.
func (s *builderSegments) row(b *Builder, values []float64, texts []string, missing []bool) {
	if s.key == nil {
		return
	}
	if i := s.column; i >= 0 {
		s.next = ""
		switch {
		case missing[i]:
		case b.columns[i].text != nil:
			text := texts[i]
			s.next = segmentOfText([]byte(text[:min(len(text), b.o.TextBytes, MaxSegmentBytes+1)]), len(text))
		case s.round != nil:
			s.next = segmentOfNumber(s.round(values[i]))
		default:
			s.next = segmentOfNumber(values[i])
		}
	}
	if s.parts == nil {
		return
	}
	at := slices.Index(s.values, s.next)
	if at < 0 {
		at = slices.Index(s.values, OtherSegment)
	}
	if at >= 0 {
		s.parts[at].AddRow(values, texts, missing)
	}
}

// sampled notes the segment of the row that is now at a place of the sample.
func (s *builderSegments) sampled(at uint64) {
	if s.key == nil {
		return
	}
	value, ok := s.seen[s.next]
	if !ok {
		if len(s.seen) >= maxSegmentsSeen {
			clear(s.seen)
		}
		value = strings.Clone(s.next)
		s.seen[value] = value
	}
	if at == uint64(len(s.sample)) {
		s.sample = append(s.sample, value)
	} else {
		s.sample[at] = value
	}
}

// describe sets the segments of a profile that is complete otherwise. failed is set if there are none, or too many.
func (s *builderSegments) describe(b *Builder, p *Profile) {
	if s.key == nil {
		return
	}
	p.Segment = s.key
	for i, part := range s.parts {
		p.Segments = append(p.Segments, segmentFrom(s.values[i], p, part.Profile(Meta{})))
	}
	if s.parts != nil {
		return
	}
	rows := map[string][]uint64{}
	for at, value := range s.sample {
		rows[value] = append(rows[value], uint64(at)) //nolint:gosec // not negative
	}
	values := s.chosen(rows)
	switch n := p.inSegments(); {
	case len(values) == 0 || values[0] == OtherSegment:
		s.failed = infer.Errorf(infer.Invalid, "no value of %s has %d of the %d rows that are in the sample; a segment needs so many", s.key, MinSegmentRows, b.sampled)
		return
	case n*len(values) > maxSegmentFeatures:
		s.failed = infer.Errorf(infer.Invalid, "%d segments of %d features are more than %d of both together; set a lower max number of segments", len(values), n, maxSegmentFeatures)
		return
	}
	for _, value := range values {
		p.Segments = append(p.Segments, b.segmentOf(value, rows[value], p))
	}
}

// chosen returns the segments, those with the most rows first, and adds the rows of all others to OtherSegment. That is the last one, if
// it has enough.
func (s *builderSegments) chosen(rows map[string][]uint64) (values []string) {
	for value, list := range rows {
		if len(list) >= MinSegmentRows && value != "" && value != OtherSegment {
			values = append(values, value)
		}
	}
	slices.SortFunc(values, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(rows[b]), len(rows[a])), cmp.Compare(a, b))
	})
	values = values[:min(len(values), s.most)]
	var others []uint64
	for value, list := range rows {
		if !slices.Contains(values, value) {
			others = append(others, list...)
		}
	}
	if len(others) >= MinSegmentRows {
		slices.Sort(others)
		rows[OtherSegment] = others
		values = append(values, OtherSegment)
	}
	return values
}

// segmentOf counts some rows of the sample in the bins of the profile of all.
func (b *Builder) segmentOf(value string, rows []uint64, p *Profile) Segment {
	s := Segment{Value: value, Rows: int64(len(rows))}
	for i := range p.Features {
		f := p.Features[i]
		if f.OfVector() {
			continue
		}
		part := b.partOf(&f)
		m := moments{round: b.moments[part].round}
		for _, at := range rows {
			m.add(b.row(at)[part])
		}
		m.describe(&f)
		x := SegmentFeature{Reference: f.NewCounts()}
		if f.IsCategory() {
			x.Rows = make([]uint64, len(f.Text.Hashes))
		} else {
			x.Min, x.Max, x.Mean, x.Variance = f.Min, f.Max, f.Mean, f.Variance
		}
		for _, at := range rows {
			number := b.row(at)[part]
			x.Reference.Add(&f, number)
			if f.IsCategory() && number == number { // not NaN
				if k, ok := slices.BinarySearch(f.Text.Hashes, uint64(number)); ok {
					x.Rows[k]++
				}
			}
		}
		s.Features = append(s.Features, x)
	}
	return s
}

// partOf returns the part of a row of the sample that is the number of a feature.
func (b *Builder) partOf(f *Feature) int {
	for i := range b.features {
		if o := &b.features[i]; o.Kind != f.Kind || o.Tensor != f.Tensor || o.Element != f.Element || b.columns[i].vector {
			continue
		}
		if f.OfText() && !f.IsCategory() {
			return b.columns[i].part + 1 + slices.Index(measured[:], f.Measure)
		}
		return b.columns[i].part
	}
	panic("BUG: drift: feature " + f.Name + " is of no column")
}

// segmentFrom returns a segment with the features of a profile q of its rows, in the bins of the profile p of all rows.
func segmentFrom(value string, p, q *Profile) Segment {
	s := Segment{Value: value, Rows: q.Rows}
	for i := range p.Features {
		f := &p.Features[i]
		if f.OfVector() {
			continue
		}
		at := slices.IndexFunc(q.Features, func(o Feature) bool { return o.position() == f.position() })
		s.Features = append(s.Features, f.segmentFrom(&q.Features[at]))
	}
	return s
}

// segmentFrom returns a feature of a segment from one of the rows of the segment alone.
func (f *Feature) segmentFrom(o *Feature) SegmentFeature {
	x := SegmentFeature{Min: o.Min, Max: o.Max, Mean: o.Mean, Variance: o.Variance, Reference: o.Reference}
	if !f.IsCategory() {
		return x
	}
	x = SegmentFeature{Rows: make([]uint64, len(f.Text.Hashes)), Reference: f.NewCounts()}
	for i, hash := range o.Text.Hashes {
		if k, ok := slices.BinarySearch(f.Text.Hashes, hash); ok {
			x.Rows[k] = o.Text.Rows[i]
			x.Reference.Bins[f.Text.Bins[k]] += o.Text.Rows[i]
		}
	}
	x.Reference.Missing = o.Reference.Absent()
	return x
}
