package drift

import (
	"fmt"
	"math"
	"time"
)

// Windowing decides when a window ends. The gateway's monitor and a simulation share it, so that
// the same rows at the same times make the same windows.
//
// A window that would end with fewer rows than MinRows is joined with the next one. Its end depends
// only on times and numbers of rows, never on values, so joining does not raise the false-alarm
// rate of any p-value. There are fewer joined windows than the limit assumes.
type Windowing struct {
	Length time.Duration // windows start at multiples of it since 1970, in UTC
	Rows   uint64        // if 1 or more, a window ends after this many rows instead
	// MinRows is the min number of rows of a window that is judged.
	MinRows uint64
	// Max is the max length of a joined window of time, in whole lengths. A window that still has
	// too few rows then ends without a verdict. A Max below Length means Length, and nothing is
	// joined.
	Max time.Duration
}

// check panics if windows would never end.
func (o *Windowing) check() {
	if o.Rows < 1 && o.Length <= 0 {
		panic(fmt.Sprintf("BUG: drift: windows of %d rows or %v; expected more than 0 of either", o.Rows, o.Length))
	}
}

// begin starts an empty window. A window of time starts at a multiple of its length, even in the
// past.
func (o *Windowing) begin(w *Window, now time.Time) {
	w.Start, w.End = now.UTC(), now.UTC()
	if o.Rows == 0 {
		w.Start = aligned(now, o.Length)
		w.End = w.Start.Add(o.Length)
	}
}

// goOn makes a window begin where the one before it ended early.
func (o *Windowing) goOn(w, before *Window) {
	if len(before.Breaks) > 0 && before.End.After(w.Start) {
		w.Start = before.End
	}
}

// aligned returns the last multiple of d since the epoch that is not after now. Time.Truncate
// counts from the year 1, which gives other multiples for 7 minutes or a week.
func aligned(now time.Time, d time.Duration) time.Time {
	epoch := time.Unix(0, 0).UTC()
	start := epoch.Add(now.Sub(epoch).Truncate(d))
	if start.After(now) { // the clock is before the epoch
		start = start.Add(-d)
	}
	return start
}

// room returns the number of rows that a window can still take.
func (o *Windowing) room(w *Window) uint64 {
	if o.Rows == 0 {
		return math.MaxUint64
	}
	return o.full() - w.Rows
}

// full returns the rows of a window of rows at its end: as many joined windows as MinRows needs.
func (o *Windowing) full() uint64 {
	return o.Rows * max(1, (o.MinRows+o.Rows-1)/o.Rows)
}

// ended reports whether a window is over, and sets its end. A window of time with too few rows goes
// on. A clock that was set back to before the start of the window ends it; otherwise it would last
// until the clock has caught up.
func (o *Windowing) ended(w *Window, now time.Time) bool {
	switch {
	case o.Rows > 0:
		if w.Rows < o.full() {
			return false
		}
		w.End = now.UTC()
		return true
	case now.Before(w.Start):
		return true
	case now.Before(w.End):
		return false
	case w.Rows < o.MinRows:
		lengths := int64(now.Sub(w.Start)/o.Length) + 1
		most := int64(max(1, (o.Max+o.Length-1)/o.Length))
		w.End = w.Start.Add(time.Duration(min(lengths, most)) * o.Length)
		return !now.Before(w.End)
	default:
		return true
	}
}
