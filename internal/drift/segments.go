package drift

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"sluice.io/sluice/internal/infer"
)

// A model may be wrong for one country, channel or plan while the whole looks well. So a profile may have the counts of some segments of
// its rows. Each of them is a reference of its own, see Of, and its rows are a Stream of their own.

// The limits of segments.
const (
	// MaxSegments is the max number of values of a segment in a profile, besides OtherSegment.
	MaxSegments = 64
	// MaxSegmentBytes is the max size of a value. Longer ones are OtherSegment.
	MaxSegmentBytes = 64
	// MinSegmentRows is the min number of rows of a reference's segment. Values with fewer are OtherSegment. With 500 rows the error of a
	// mean is 0.045 standard deviations, below the default gate.
	MinSegmentRows = 500
	// maxSegmentFeatures bounds the size of a profile: segments times features.
	maxSegmentFeatures = MaxFeatures
)

// OtherSegment has the rows whose value has no segment of its own, and those without a value.
const OtherSegment = "other"

// SegmentKey says which part of a request is the segment of its rows: an element of an input, or a parameter.
type SegmentKey struct {
	Input   string `json:"input,omitempty"` // the tensor of a feature
	Element int    `json:"element,omitempty"`
	// Parameter is the name of a parameter of requests. Their rows are all in the same segment.
	Parameter string `json:"parameter,omitempty"`
}

// String describes the key in a message.
func (k *SegmentKey) String() string {
	if k.Parameter != "" {
		return fmt.Sprintf("parameter '%.60s'", k.Parameter)
	}
	return fmt.Sprintf("element %d of input '%.60s'", k.Element, k.Input)
}

// is reports whether the key is the value that a feature measures.
func (k *SegmentKey) is(f *Feature) bool {
	return k.Parameter == "" && f.Kind == KindInput && f.Tensor == k.Input && f.Element == k.Element
}

// Segment is the reference of the rows with a value.
type Segment struct {
	Value string `json:"value"` // OtherSegment for all others
	Rows  int64  `json:"rows"`  // that are in the counts
	// Features are those of the profile that are not of a vector, in its order.
	Features []SegmentFeature `json:"features"`
}

// SegmentFeature describes the values of a feature in the rows of a segment, in the bins of the feature.
type SegmentFeature struct {
	Min      float64 `json:"min"` // of the finite values that are counted, as the next ones; 0 if there are none
	Max      float64 `json:"max"`
	Mean     float64 `json:"mean"`
	Variance float64 `json:"variance"`
	// Rows has the rows of each value of a category, in the order of Hashes.
	Rows      []uint64 `json:"rows,omitempty"`
	Reference Counts   `json:"reference"`
}

// segment returns the segment of a value, nil if there is none.
func (p *Profile) segment(value string) *Segment {
	for i := range p.Segments {
		if p.Segments[i].Value == value {
			return &p.Segments[i]
		}
	}
	return nil
}

// Of returns the profile of a segment, nil if there is none with rows. Its features have the bins of the whole, and the counts and
// moments of the segment's rows. It does not have the features that the segment is chosen by, nor those of vectors, pairs, hours and labels.
func (p *Profile) Of(value string) *Profile {
	s := p.segment(value)
	if s == nil || s.Rows < 1 {
		return nil
	}
	q := p.inSegment(s)
	q.Features = slices.DeleteFunc(q.Features, func(f Feature) bool { return p.Segment.is(&f) })
	for i := range q.Features {
		q.Features[i].fitEmpty()
	}
	if !slices.ContainsFunc(q.Features, func(f Feature) bool { return f.OfText() }) {
		q.TextBytes = 0
	}
	return q
}

// fitEmpty gives a feature without finite values no bins, as in a profile of such rows alone.
func (f *Feature) fitEmpty() {
	if f.Reference.Finite() > 0 {
		return
	}
	f.Edges, f.Values, f.Tails = []float64{}, nil, nil
	f.Reference.Bins = []uint64{0}
	if f.Text != nil && f.IsCategory() {
		f.Text = &TextValues{Distinct: f.Text.Distinct, Sketch: f.Text.Sketch}
	}
}

// inSegment returns the profile of a segment with all features that are not of a vector.
func (p *Profile) inSegment(s *Segment) *Profile {
	q := *p
	q.Segment, q.Segments, q.Pairs, q.Week, q.Vectors, q.Performance = nil, nil, nil, nil, nil, nil
	q.Rows, q.Sampled = s.Rows, s.Rows
	q.Features = make([]Feature, 0, len(s.Features))
	for i := range p.Features {
		if p.Features[i].OfVector() || len(q.Features) == len(s.Features) {
			continue
		}
		f, x := p.Features[i], &s.Features[len(q.Features)]
		f.Min, f.Max, f.Mean, f.Variance, f.Reference, f.Hours = x.Min, x.Max, x.Mean, x.Variance, x.Reference, nil
		f.Read = Odd{Missing: x.Reference.Absent(), PosInf: x.Reference.PosInf, NegInf: x.Reference.NegInf}
		if f.IsCategory() && f.Text != nil {
			text := *f.Text
			text.Rows = x.Rows
			f.Text = &text
		}
		q.Features = append(q.Features, f)
	}
	return &q
}

// inSegments returns the number of features that segments have.
func (p *Profile) inSegments() (n int) {
	for i := range p.Features {
		if !p.Features[i].OfVector() {
			n++
		}
	}
	return n
}

// segmentsOnly returns the segments with only some features. keep says which of the profile's features are kept.
func (p *Profile) segmentsOnly(keep func(i int) bool) []Segment {
	list := slices.Clone(p.Segments)
	for at := range list {
		all := list[at].Features
		list[at].Features = make([]SegmentFeature, 0, len(all))
		k := 0
		for i := range p.Features {
			if p.Features[i].OfVector() {
				continue
			}
			if keep(i) {
				list[at].Features = append(list[at].Features, all[k])
			}
			k++
		}
	}
	return list
}

// checkSegments checks the segments after the features.
func (p *Profile) checkSegments() error {
	k := p.Segment
	if k == nil {
		if len(p.Segments) > 0 {
			return infer.Errorf(infer.Invalid, "the profile has segments, but does not say of what")
		}
		return nil
	}
	switch n := p.inSegments(); {
	case (k.Input == "") == (k.Parameter == "") || k.Element < 0 || k.Element > math.MaxInt32 || k.Parameter != "" && k.Element != 0:
		return infer.Errorf(infer.Invalid, "the profile's segment needs an input or a parameter")
	case k.Input != "" && !slices.ContainsFunc(p.Features, func(f Feature) bool { return k.is(&f) && !f.OfVector() }):
		return infer.Errorf(infer.Invalid, "the profile's segment is %s, which no feature is", k)
	case len(p.Segments) < 1 || len(p.Segments) > MaxSegments+1 || n*len(p.Segments) > maxSegmentFeatures:
		return infer.Errorf(infer.Invalid, "the profile has %d segments of %d features; expected 1 to %d, and at most %d of all features together", len(p.Segments), n, MaxSegments+1, maxSegmentFeatures)
	}
	seen, left := map[string]bool{}, p.Sampled
	for i := range p.Segments {
		s := &p.Segments[i]
		if seen[s.Value] || !validSegment(s.Value) {
			return infer.Errorf(infer.Invalid, "segment %d is '%.60s'; expected different texts of 1 to %d bytes", i+1, s.Value, MaxSegmentBytes)
		}
		seen[s.Value] = true
		if s.Rows < 0 || s.Rows > left {
			return infer.Errorf(infer.Invalid, "segment '%s' has %d rows; expected at most those of the profile together", s.Value, s.Rows)
		}
		left -= s.Rows
		if err := p.checkSegment(s); err != nil {
			return infer.Errorf(infer.Invalid, "segment '%s': %v", s.Value, err)
		}
	}
	return nil
}

// checkSegment checks the features of a segment.
func (p *Profile) checkSegment(s *Segment) error {
	if n := p.inSegments(); len(s.Features) != n {
		return fmt.Errorf("it has %d features; expected %d", len(s.Features), n)
	}
	q := p.inSegment(s)
	for i := range q.Features {
		f := &q.Features[i]
		if f.IsCategory() && len(f.Text.Rows) != len(f.Text.Hashes) {
			return fmt.Errorf("feature '%.60s' has the rows of %d values; expected %d", f.Name, len(f.Text.Rows), len(f.Text.Hashes))
		}
		if err := f.check(uint64(s.Rows)); err != nil { //nolint:gosec // not negative
			return fmt.Errorf("feature '%.60s': %w", f.Name, err)
		}
	}
	if !slices.ContainsFunc(q.Features, func(f Feature) bool { return !p.Segment.is(&f) }) {
		return errors.New("it has no feature besides the one that it is chosen by")
	}
	return nil
}

// validSegment reports whether a text can be a segment.
func validSegment(value string) bool {
	return value != "" && len(value) <= MaxSegmentBytes && utf8.ValidString(value)
}

// segmentOfText returns the value of a text, "" for a text that cannot be a segment. whole is its length, of which head is the beginning.
func segmentOfText(head []byte, whole int) string {
	if whole != len(head) || whole > MaxSegmentBytes || !utf8.Valid(head) {
		return ""
	}
	return string(head)
}

// segmentOfNumber returns the value of a number, "" for one that is not an integer that a float64 expresses exactly.
func segmentOfNumber(x float64) string {
	const exact = 1 << 53
	if x != math.Trunc(x) || math.Abs(x) > exact {
		return ""
	}
	return strconv.FormatInt(int64(x), 10)
}

// SegmentsUpTo returns the segments that are streams of their own: the first ones with rows, at most so many, and OtherSegment.
func (p *Profile) SegmentsUpTo(most int) (values []string) {
	if most < 1 {
		return nil
	}
	named := 0
	for i := range p.Segments {
		s := &p.Segments[i]
		other := s.Value == OtherSegment
		if s.Rows < 1 || !other && named >= most {
			continue
		}
		if !other {
			named++
		}
		values = append(values, s.Value)
	}
	return values
}

// SegmentOfText returns the segment of a row whose key has this text, "" if it has no reference.
func (p *Profile) SegmentOfText(text string) string {
	return p.known(segmentOfText([]byte(text), len(text)))
}

// SegmentOfNumber returns the segment of a row whose key is this number of a tensor, "" if it has no reference.
func (p *Profile) SegmentOfNumber(x float64) string { return p.known(segmentOfNumber(x)) }

func (p *Profile) known(value string) string {
	for _, name := range [...]string{value, OtherSegment} {
		if name != "" && p.segment(name) != nil {
			return name
		}
	}
	return ""
}
