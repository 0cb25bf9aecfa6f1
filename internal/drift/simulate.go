package drift

import (
	"fmt"
	"iter"
	"slices"
	"time"
)

// Row is a row of a simulation: a value for each feature of the profile, and marks for missing
// ones. The value of a feature of a text comes from ReadText and Text.Of.
type Row struct {
	At      time.Time // its time, not before that of the last row
	Values  []float64
	Missing []bool
	User    uint64 // a hash of who sent it, such as of a sticky key; 0: not known
	// Texts are the texts of the features that are measured of one, to name new values; nil: they are not
	// named.
	Texts []string
	// Vectors are the elements of the vectors of the profile, in their order; nil for one that is missing. What is measured of
	// a vector has no value above.
	Vectors [][]float64
}

// SimulateOptions configure how rows become windows.
type SimulateOptions struct {
	Windows Windowing
	Start   time.Time // the start of the watch; zero: the first row
	// Unknown are the features that rows have no data about, like an output that a request does not
	// ask for; nil: none.
	Unknown []bool
	// UnknownVectors are the vectors that rows have no data about; nil: none.
	UnknownVectors []bool
	// Pairs says that the pairs of the profile are counted too.
	Pairs bool
}

// Simulate judges rows like a Monitor that gets them at their times. It yields the verdict on each
// window that ends, with its rows. The slices of a row may be reused for the next row. Values are
// rounded to the features' datatypes, as in a tensor. At most one window is in memory.
//
// After the last row time goes on: a window of time with enough rows ends. A window with too few
// rows, or a window of rows that is not full, is not judged.
func Simulate(p *Profile, d Detector, rows iter.Seq[Row], o SimulateOptions) iter.Seq[Verdict] {
	o.Windows.check()
	return func(yield func(Verdict) bool) {
		s := NewSimulation(p, d, o)
		for row := range rows {
			if !s.Add(&row, yield) {
				return
			}
		}
		s.End(yield)
	}
}

// Simulation judges rows like Simulate, but the caller adds them one by one, so that several simulations can run side by side. The methods
// call tell with the verdict on each window that ends. They return false as soon as tell does, and the caller must stop then.
type Simulation struct {
	profile  *Profile
	detector Detector
	o        SimulateOptions
	unknown  []bool
	round    []func(float64) float64
	pairs    *pairing
	vectors  []*vectorCut                          // nil for one that is unknown
	watcher  interface{ Watch(w *Window) []Break } // nil: breaks do not end windows

	window  Window
	split   Splitter
	started bool
	hours   clock
}

// NewSimulation returns a simulation without rows.
func NewSimulation(p *Profile, d Detector, o SimulateOptions) *Simulation {
	o.Windows.check()
	s := &Simulation{profile: p, detector: d, o: o, unknown: o.Unknown, hours: p.mustClock(), round: make([]func(float64) float64, len(p.Features))}
	if s.unknown == nil {
		s.unknown = make([]bool, len(p.Features))
	}
	s.unknown = slices.Clone(s.unknown)
	for i := range s.unknown {
		s.unknown[i] = s.unknown[i] || p.Features[i].OfVector() // a vector has its own counts
	}
	s.vectors = make([]*vectorCut, len(p.Vectors))
	for i := range p.Vectors {
		if len(o.UnknownVectors) == 0 || !o.UnknownVectors[i] {
			s.vectors[i] = p.vectorCut(p.Vectors[i].Kind, p.Vectors[i].Tensor)
		}
	}
	for i := range s.round {
		s.round[i] = rounding(p.Features[i].Datatype)
	}
	if o.Pairs {
		s.pairs = newPairing(p)
	}
	s.watcher, _ = d.(interface{ Watch(w *Window) []Break })
	s.window = s.begin(o.Start)
	if s.started = !o.Start.IsZero(); s.started {
		o.Windows.begin(&s.window, o.Start)
	}
	return s
}

func (s *Simulation) begin(at time.Time) Window {
	w := s.profile.NewWindow(at)
	if s.pairs != nil {
		w.Pairs = newPairCounts(s.profile.numPairs())
	}
	return w
}

// Add adds the next row.
func (s *Simulation) Add(row *Row, tell func(Verdict) bool) bool {
	if !s.started {
		s.o.Windows.begin(&s.window, row.At)
		s.started = true
	}
	if s.o.Windows.Rows == 0 && !s.Pass(row.At, tell) {
		return false
	}
	halves := s.split.Next(row.User)
	s.addVectors(row, halves)
	s.window.addRow(s.profile, s.round, s.unknown, row, halves, s.pairs)
	s.hours.count(&s.window, row.At, 1)
	return s.o.Windows.Rows == 0 || s.Pass(row.At, tell)
}

func (s *Simulation) addVectors(row *Row, halves Halves) {
	if len(row.Vectors) != len(s.vectors) {
		panic(fmt.Sprintf("BUG: drift: a row of %d vectors for %d", len(row.Vectors), len(s.vectors)))
	}
	for i, c := range s.vectors {
		switch {
		case c == nil:
		case row.Vectors[i] == nil:
			c.missing(s.profile, &s.window)
		default:
			x := row.Vectors[i]
			c.count(s.profile, &s.window, halves, func(i int) float64 { return x[i] })
		}
	}
}

// Pass judges the windows that have ended at a time.
func (s *Simulation) Pass(now time.Time, tell func(Verdict) bool) bool {
	if !s.started {
		return true
	}
	for s.o.Windows.ended(&s.window, now) || s.broken(now) {
		if !tell(s.detector.Judge(s.window)) {
			return false
		}
		before := s.window
		s.split.Begin(s.window.Rows)
		s.window = s.begin(before.End)
		s.o.Windows.begin(&s.window, before.End)
		s.o.Windows.goOn(&s.window, &before)
	}
	return true
}

func (s *Simulation) broken(now time.Time) bool {
	if s.watcher != nil {
		s.window.Breaks = s.watcher.Watch(&s.window)
	}
	if len(s.window.Breaks) > 0 {
		s.window.End = now.UTC()
	}
	return len(s.window.Breaks) > 0
}

// End judges a last window of time with enough rows.
func (s *Simulation) End(tell func(Verdict) bool) bool {
	w := &s.window
	if s.o.Windows.Rows == 0 && w.Rows > 0 && w.Rows >= s.o.Windows.MinRows {
		return tell(s.detector.Judge(*w))
	}
	return true
}

// NewWindow returns an empty window that starts and, so far, ends at start.
func (p *Profile) NewWindow(start time.Time) Window {
	w := Window{Start: start, End: start, Counts: make([]Counts, len(p.Features)), Vectors: p.newVectors()}
	for i := range p.Features {
		w.Counts[i] = p.Features[i].newSplitCounts()
	}
	return w
}

func (w *Window) addRow(p *Profile, round []func(float64) float64, unknown []bool, row *Row, halves Halves, pairs *pairing) {
	if len(row.Values) != len(w.Counts) || len(row.Missing) != len(w.Counts) || len(unknown) != len(w.Counts) {
		panic(fmt.Sprintf("BUG: drift: a row of %d values and %d marks for %d features", len(row.Values), len(row.Missing), len(w.Counts)))
	}
	for i, x := range row.Values {
		switch {
		case unknown[i]:
			continue
		case row.Missing[i]:
			w.Counts[i].AddMissingIn(halves)
			continue
		case p.Features[i].IsCategory():
			c := &w.Counts[i]
			unseen := c.Unseen
			c.AddIn(&p.Features[i], x, halves)
			if row.Texts != nil && c.Unseen > unseen {
				text := row.Texts[i]
				c.addFresh(uint64(x), []byte(text[:min(len(text), p.TextBytes)]), len(text))
			}
			continue
		case round[i] != nil:
			x = round[i](x)
		default:
		}
		bin := w.Counts[i].AddIn(&p.Features[i], x, halves)
		if pairs != nil {
			pairs.see(i, bin)
		}
	}
	if pairs != nil {
		pairs.end(w.Pairs)
	}
	if row.User != 0 {
		w.Known++
	}
	w.Rows++
}
