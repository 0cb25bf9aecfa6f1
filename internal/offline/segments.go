package offline

import (
	"fmt"
	"slices"
	"strings"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/tabular"
)

// The limits of segments.
const (
	DefaultSegments = 8
	MaxSegments     = drift.MaxSegments
)

// SegmentOptions say how rows are counted by segment.
type SegmentOptions struct {
	// Column has the segment of each row; empty: rows are not counted by segment. It is the input that it stands for, or else the request
	// parameter with its name.
	Column string
	// Most is the max number of values with counts of their own.
	Most int
}

// leaveSegment leaves the column of a parameter out of the features.
func (o *ProfileOptions) leaveSegment() {
	column := o.Segment.Column
	if column != "" && !slices.Contains(o.Targets, column) && !drift.IsInput(o.Model, column, o.Mapping) {
		o.Targets = append(slices.Clone(o.Targets), column)
	}
}

// bySegment makes a builder count by segment. It returns the column that has the parameter, nil if the segment is an input or there is none.
func (o *ProfileOptions) bySegment(b *drift.Builder, table *tabular.Reader, uses []ColumnUse) (*tabular.Kept, error) {
	column := o.Segment.Column
	if column == "" {
		if o.Bins != nil && o.Bins.Segment != nil {
			return nil, infer.Errorf(infer.Invalid, "the profile with the bins has segments of %s; give the column with --segment", o.Bins.Segment)
		}
		return nil, nil //nolint:nilnil // not an error
	}
	at := slices.IndexFunc(uses, func(u ColumnUse) bool { return u.Column == column })
	if at < 0 {
		return nil, infer.Errorf(infer.Invalid, "the file has no column '%.60s' for the segment", column)
	}
	if f := uses[at].Feature; f != nil {
		if f.Kind != drift.KindInput {
			return nil, infer.Errorf(infer.Invalid, "column '%.60s' is an output, which cannot be the segment", column)
		}
		uses[at].How += ", and the segment"
		return nil, b.BySegment(drift.SegmentKey{Input: f.Tensor, Element: f.Element}, o.Segment.Most, o.Bins)
	}
	uses[at].How = "the segment, as a parameter of requests"
	if err := b.BySegment(drift.SegmentKey{Parameter: column}, o.Segment.Most, o.Bins); err != nil {
		return nil, err
	}
	return table.Keep(column)
}

// SegmentsOf describes the segments of a profile in a line, "" if it has none.
func SegmentsOf(p *Profile) string {
	if p.Segment == nil {
		return ""
	}
	list := make([]string, len(p.Segments))
	other := false
	for i := range p.Segments {
		s := &p.Segments[i]
		list[i] = fmt.Sprintf("%s %d rows", s.Value, s.Rows)
		other = other || s.Value == drift.OtherSegment
	}
	text := fmt.Sprintf("segments of %s: %s", p.Segment, strings.Join(list, ", "))
	if !other {
		text += fmt.Sprintf("; rows with other values are fewer than %d, and are only part of the whole", drift.MinSegmentRows)
	}
	return text
}
