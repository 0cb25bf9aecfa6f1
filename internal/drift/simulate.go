package drift

import (
	"fmt"
	"iter"
	"time"
)

// SimulateOptions say how rows become windows.
type SimulateOptions struct {
	RowsPerWindow uint64        // at least 1
	Start         time.Time     // of the first row
	Step          time.Duration // from one row to the next, more than 0
}

// Simulate judges rows as they would have been judged had they come one after the
// other, and yields what is said of each window; the last may be shorter. A row has a
// value for each feature of the profile and says which of them are missing; it may be
// used again for the next row. Values are rounded to the features' datatypes, as they
// are on their way into a tensor. No more than one window is held in memory.
func Simulate(p *Profile, d Detector, rows iter.Seq2[[]float64, []bool], o SimulateOptions) iter.Seq[Verdict] {
	if o.RowsPerWindow < 1 || o.Step <= 0 {
		panic(fmt.Sprintf("BUG: drift: a simulation needs RowsPerWindow and Step above 0, got %d and %v", o.RowsPerWindow, o.Step))
	}
	round := make([]func(float64) float64, len(p.Features))
	for i := range round {
		round[i] = rounding(p.Features[i].Datatype)
	}
	return func(yield func(Verdict) bool) {
		w := p.NewWindow(o.Start)
		at := o.Start
		for values, missing := range rows {
			w.addRow(p, round, values, missing)
			at = at.Add(o.Step)
			if w.Rows < o.RowsPerWindow {
				continue
			}
			w.End = at
			if !yield(d.Judge(w)) {
				return
			}
			w = p.NewWindow(at)
		}
		if w.Rows > 0 {
			w.End = at
			yield(d.Judge(w))
		}
	}
}

// NewWindow returns an empty window that begins at start and ends there as yet.
func (p *Profile) NewWindow(start time.Time) Window {
	w := Window{Start: start, End: start, Counts: make([]Counts, len(p.Features))}
	for i := range p.Features {
		w.Counts[i] = p.Features[i].NewCounts()
	}
	return w
}

func (w *Window) addRow(p *Profile, round []func(float64) float64, values []float64, missing []bool) {
	if len(values) != len(w.Counts) || len(missing) != len(w.Counts) {
		panic(fmt.Sprintf("BUG: drift: a row of %d values and %d marks for %d features", len(values), len(missing), len(w.Counts)))
	}
	for i, x := range values {
		switch {
		case missing[i]:
			w.Counts[i].AddMissing()
		case round[i] != nil:
			w.Counts[i].Add(&p.Features[i], round[i](x))
		default:
			w.Counts[i].Add(&p.Features[i], x)
		}
	}
	w.Rows++
}
