package drift

import (
	"fmt"
	"iter"
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
}

// SimulateOptions configure how rows become windows.
type SimulateOptions struct {
	Windows Windowing
	Start   time.Time // the start of the watch; zero: the first row
	// Unknown are the features that rows have no data about, like an output that a request does not
	// ask for; nil: none.
	Unknown []bool
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
	unknown := o.Unknown
	if unknown == nil {
		unknown = make([]bool, len(p.Features))
	}
	round := make([]func(float64) float64, len(p.Features))
	for i := range round {
		round[i] = rounding(p.Features[i].Datatype)
	}
	hours := p.mustClock()
	return func(yield func(Verdict) bool) {
		var pairs *pairing
		if o.Pairs {
			pairs = newPairing(p)
		}
		begin := func(at time.Time) Window {
			w := p.NewWindow(at)
			if pairs != nil {
				w.Pairs = newPairCounts(p.numPairs())
			}
			return w
		}
		w, started := begin(o.Start), !o.Start.IsZero()
		var split Splitter
		if started {
			o.Windows.begin(&w, o.Start)
		}
		watcher, _ := d.(interface{ Watch(w *Window) []Break })
		broken := func(now time.Time) bool {
			if watcher != nil {
				w.Breaks = watcher.Watch(&w)
			}
			if len(w.Breaks) > 0 {
				w.End = now.UTC()
			}
			return len(w.Breaks) > 0
		}
		// ends judges windows until one has not ended at now. It returns false if the caller stops.
		ends := func(now time.Time) bool {
			for o.Windows.ended(&w, now) || broken(now) {
				if !yield(d.Judge(w)) {
					return false
				}
				before := w
				split.Begin(w.Rows)
				w = begin(before.End)
				o.Windows.begin(&w, before.End)
				o.Windows.goOn(&w, &before)
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
			w.addRow(p, round, unknown, &row, split.Next(row.User), pairs)
			hours.count(&w, row.At, 1)
			if o.Windows.Rows > 0 && !ends(row.At) {
				return
			}
		}
		if o.Windows.Rows == 0 && w.Rows > 0 && w.Rows >= o.Windows.MinRows {
			yield(d.Judge(w))
		}
	}
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
