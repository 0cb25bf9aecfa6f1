package offline

import (
	"fmt"
	"slices"
	"time"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/tabular"
)

// judged is a stream of a simulation: the whole, or a segment.
type judged struct {
	segment string
	run     *drift.Simulation
	at      []int // the features of the whole, by feature of the stream; -1 for what is measured of a vector
	vectors []elements
	row     drift.Row

	from, to uint64               // the first and the last row of the table in the current window; from is after to if there is none
	first    map[time.Time]uint64 // from, by the start of a window
	tell     func(Simulated) error
	failed   error // what tell returned
}

// newJudged makes the stream of a profile, whose features are among those of the whole, but for what is measured of vectors.
func newJudged(segment string, p, whole *Profile, o *SimulationOptions, windows drift.SimulateOptions, tell func(Simulated) error) (*judged, error) {
	d, err := drift.NewDetector(p, driftwatch.DetectorOptions(&o.Drift, o.Streams))
	if err != nil {
		return nil, err
	}
	j := &judged{segment: segment, vectors: elementsOf(p, whole), from: 1, first: map[time.Time]uint64{}, tell: tell}
	unknown := make([]bool, len(p.Features))
	for i := range p.Features {
		at := slices.IndexFunc(whole.Features, func(f drift.Feature) bool {
			return f.Kind == p.Features[i].Kind && f.Name == p.Features[i].Name
		})
		j.at, unknown[i] = append(j.at, at), at >= 0 && windows.Unknown[at]
	}
	for _, e := range j.vectors {
		windows.UnknownVectors = append(windows.UnknownVectors, slices.Contains(windows.Unknown[e.from:e.from+e.size], true))
	}
	windows.Unknown = unknown
	windows.Pairs = windows.Pairs && p.Pairs != nil
	j.run = drift.NewSimulation(p, d, windows)
	j.row.Values, j.row.Missing, j.row.Texts = make([]float64, len(j.at)), make([]bool, len(j.at)), make([]string, len(j.at))
	j.row.Vectors = make([][]float64, len(j.vectors))
	return j, nil
}

// add judges a row of the whole, the number-th one of the table. timed says that windows end before a row, and not after one.
func (j *judged) add(row *drift.Row, number uint64, timed bool) bool {
	j.row.At, j.row.User = row.At, row.User
	for i, e := range j.vectors {
		j.row.Vectors[i] = e.of(row)
	}
	for i, at := range j.at {
		if at < 0 {
			continue
		}
		j.row.Values[i], j.row.Missing[i] = row.Values[at], row.Missing[at]
		if row.Texts != nil {
			j.row.Texts[i] = row.Texts[at]
		}
	}
	if !timed {
		j.count(number)
		return j.run.Add(&j.row, j.ended)
	}
	ok := j.run.Add(&j.row, j.ended)
	j.count(number)
	return ok
}

func (j *judged) count(number uint64) {
	if j.from > j.to {
		j.from = number
	}
	j.to = number
}

// pass judges windows of time that have ended.
func (j *judged) pass(now time.Time) bool { return j.run.Pass(now, j.ended) }

func (j *judged) ended(v drift.Verdict) bool {
	s := Simulated{Segment: j.segment, From: j.from, To: j.to, DriftVerdict: v}
	j.first[v.Window.Start] = s.From
	if v.Began != nil {
		s.Since = j.first[*v.Began]
	}
	j.from = j.to + 1
	j.failed = j.tell(s)
	return j.failed == nil
}

// simulation judges the rows of a table, in the whole and by segment.
type simulation struct {
	source *timedRows
	all    []*judged // the whole, then the segments
	timed  bool
	failed error
}

// newSimulation needs the profile, and withElements of it as that of the source.
func newSimulation(p *Profile, source *timedRows, o *SimulationOptions, windows drift.SimulateOptions, tell func(Simulated) error) (*simulation, error) {
	s := &simulation{source: source, timed: windows.Windows.Rows == 0}
	streams := append([]string{""}, p.SegmentsUpTo(o.Drift.MaxSegments)...)
	o.Streams = max(o.Streams, len(streams)) // these share the limit at least
	for _, value := range streams {
		q := p
		if value != "" {
			q = p.Of(value)
		}
		j, err := newJudged(value, q, source.profile, o, windows, tell)
		if err != nil {
			return nil, err
		}
		s.all = append(s.all, j)
	}
	return s, nil
}

// add judges a row, and reports whether to go on.
func (s *simulation) add(row *drift.Row) bool {
	segment := ""
	if len(s.all) > 1 {
		segment = s.source.segment()
	}
	for i, j := range s.all {
		ok := true
		switch {
		case i == 0 || j.segment == segment:
			ok = j.add(row, s.source.rows, s.timed)
		case s.timed:
			ok = j.pass(row.At)
		}
		if !ok {
			s.failed = j.failed
			return false
		}
	}
	return true
}

// end judges the last windows.
func (s *simulation) end() error {
	for _, j := range s.all {
		if !j.run.End(j.ended) {
			return j.failed
		}
	}
	return nil
}

// rowKey is what the segment of a row is read from: a feature, or a column that has a parameter of requests.
type rowKey struct {
	feature int // of the whole; -1: none
	column  *tabular.Kept
}

// keyOf finds the key in a table. A note says that rows of a table without the parameter are all in the same segment.
func keyOf(table *tabular.Reader, p *Profile, o *SimulationOptions) (k rowKey, err error) {
	k.feature = -1
	switch {
	case p.Segment == nil || o.Drift.MaxSegments < 1:
	case p.Segment.Parameter == "":
		k.feature = slices.IndexFunc(p.Features, func(f drift.Feature) bool {
			return f.Kind == drift.KindInput && f.Tensor == p.Segment.Input && f.Element == p.Segment.Element
		})
	case slices.ContainsFunc(table.Columns(), func(c tabular.Column) bool { return c.Name == p.Segment.Parameter }):
		k.column, err = table.Keep(p.Segment.Parameter)
	default:
		o.note(fmt.Sprintf("the file has no column '%.60s' for the segment; all rows are in the segment %s", p.Segment.Parameter, drift.OtherSegment))
	}
	return k, err
}

// segment returns the segment of the last row, "" if it has no reference.
func (r *timedRows) segment() string {
	i := r.key.feature
	switch {
	case r.key.column != nil:
		return r.profile.SegmentOfText(r.key.column.Text())
	case i < 0 || r.row.Missing[i]:
		return r.profile.SegmentOfText("")
	case r.profile.Features[i].OfText():
		return r.profile.SegmentOfText(r.row.Texts[i])
	default:
		return r.profile.SegmentOfNumber(r.row.Values[i])
	}
}
