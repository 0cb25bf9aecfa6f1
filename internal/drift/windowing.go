package drift

import (
	"fmt"
	"math"
	"time"
)

// Windowing says when a window ends. The gateway's monitor and a simulation share it, so that
// the same rows at the same times are the same windows.
//
// A window that would end with fewer rows than MinRows is joined with the next one. When it
// ends depends on times and numbers of rows alone, never on values, so joining raises no
// p-value's rate of false alarms; and joined windows are fewer than the promise counts on.
type Windowing struct {
	Length time.Duration // windows begin at multiples of it since 1970, in UTC
	Rows   uint64        // with 1 or more a window ends after so many rows instead
	// MinRows is how many rows a window needs to be judged.
	MinRows uint64
	// Max bounds how long a joined window of time gets, in whole lengths: one that still lacks
	// rows ends, and says nothing. Less than Length is Length, with which nothing is joined.
	Max time.Duration
}

// check panics if windows would never end.
func (o *Windowing) check() {
	if o.Rows < 1 && o.Length <= 0 {
		panic(fmt.Sprintf("BUG: drift: windows of %d rows or %v; expected more than 0 of either", o.Rows, o.Length))
	}
}

// begin starts an empty window. One of time begins at a multiple of its length, however
// much of it has passed.
func (o *Windowing) begin(w *Window, now time.Time) {
	w.Start, w.End = now.UTC(), now.UTC()
	if o.Rows == 0 {
		w.Start = aligned(now, o.Length)
		w.End = w.Start.Add(o.Length)
	}
}

// aligned returns the last moment up to now that is a multiple of d since the epoch.
// Time.Truncate counts from the year 1, which is another one for 7 minutes or a week.
func aligned(now time.Time, d time.Duration) time.Time {
	epoch := time.Unix(0, 0).UTC()
	start := epoch.Add(now.Sub(epoch).Truncate(d))
	if start.After(now) { // a clock that is before the epoch
		start = start.Add(-d)
	}
	return start
}

// room returns how many rows a window may still have.
func (o *Windowing) room(w *Window) uint64 {
	if o.Rows == 0 {
		return math.MaxUint64
	}
	return o.full() - w.Rows
}

// full returns how many rows a window of rows has at its end: as many windows joined as
// it takes to have MinRows.
func (o *Windowing) full() uint64 {
	return o.Rows * max(1, (o.MinRows+o.Rows-1)/o.Rows)
}

// ended reports whether a window is over, and sets its end. One of time that lacks rows goes
// on. A clock that was set back to before its beginning ends it, or it would last until
// the clock has caught up.
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
