package drift

import (
	"fmt"
	"iter"
	"time"
)

// Row is a row that a simulation judges: a value for each feature of the profile, and
// which of them are missing.
type Row struct {
	At      time.Time // when it came, not before the row before it
	Values  []float64
	Missing []bool
}

// SimulateOptions say how rows become windows.
type SimulateOptions struct {
	Windows Windowing
	Start   time.Time // when the stream is watched from; zero: from the first row on
	// Unknown are the features that rows say nothing of, as a request that does not ask for an
	// output; nil: none.
	Unknown []bool
}

// Simulate judges rows as a Monitor would have judged them had they come at their times, and
// yields what is said of each window that ends, and with how many rows. A row's slices may be used
// again for the next row. Values are rounded to the features' datatypes, as they are on
// their way into a tensor. No more than one window is held in memory.
//
// After the last row time goes on: a window of time that has rows enough ends. One that lacks
// rows, or of rows and not full, is not judged.
func Simulate(p *Profile, d Detector, rows iter.Seq[Row], o SimulateOptions) iter.Seq[Verdict] {
	o.Windows.check()
	unknown := o.Unknown
	if unknown == nil {
		unknown = make([]bool, len(p.Features))
	}
	round := make([]func(float64) float64, len(p.Features))
	for i := range round {
		round[i] = rounding(p.Features[i].Datatype)
	}
	return func(yield func(Verdict) bool) {
		w, started := p.NewWindow(o.Start), !o.Start.IsZero()
		if started {
			o.Windows.begin(&w, o.Start)
		}
		// ends judges windows until one has not ended by then.
		ends := func(now time.Time) bool {
			for o.Windows.ended(&w, now) {
				if !yield(d.Judge(w)) {
					return false
				}
				end := w.End
				w = p.NewWindow(end)
				o.Windows.begin(&w, end)
			}
			return true
		}
		for row := range rows {
			if !started {
				o.Windows.begin(&w, row.At)
				started = true
			}
			if o.Windows.Rows == 0 && !ends(row.At) {
				return
			}
			w.addRow(p, round, unknown, &row)
			if o.Windows.Rows > 0 && !ends(row.At) {
				return
			}
		}
		if o.Windows.Rows == 0 && w.Rows > 0 && w.Rows >= o.Windows.MinRows {
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

func (w *Window) addRow(p *Profile, round []func(float64) float64, unknown []bool, row *Row) {
	if len(row.Values) != len(w.Counts) || len(row.Missing) != len(w.Counts) || len(unknown) != len(w.Counts) {
		panic(fmt.Sprintf("BUG: drift: a row of %d values and %d marks for %d features", len(row.Values), len(row.Missing), len(w.Counts)))
	}
	for i, x := range row.Values {
		switch {
		case unknown[i]:
		case row.Missing[i]:
			w.Counts[i].AddMissing()
		case round[i] != nil:
			w.Counts[i].Add(&p.Features[i], round[i](x))
		default:
			w.Counts[i].Add(&p.Features[i], x)
		}
	}
	w.Rows++
}
