package drift

import "time"

// track is the state of one finding between windows.
type track struct {
	State string    `json:"state"`
	Began time.Time `json:"began,omitzero"` // the start of the first window of the run
	Calm  int       `json:"calm,omitempty"` // consecutive windows without drift since it was detected
	// Run is the sum of the windows of an unbroken suspicion, or of those that look well after a
	// detection, and Windows their number. It exists only for bins.
	Run     *Counts `json:"run,omitempty"`
	Windows int     `json:"windows,omitempty"`
	// Former is when the last detection began, until relapseRows rows without another one. Quiet is
	// their number so far.
	Former time.Time `json:"former,omitzero"`
	Quiet  uint64    `json:"quiet,omitempty"`
	// Unpromised says that it was detected before the stream was calibrated, by a change that is not gross.
	Unpromised bool `json:"unpromised,omitempty"`
	// From and To are the interval of Began, if it was estimated.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// relapseRows is the number of rows after a recovery in which a detection is the earlier one again:
// it keeps its beginning, and so the identity of its signal. Small windows can look well by chance
// although a difference lasts.
const relapseRows = 5000

// idle reports whether there is nothing to remember.
func (t *track) idle() bool { return t.State == OK && t.Began.IsZero() && t.Former.IsZero() }

// alarmed reports whether something was detected that is not over.
func (t *track) alarmed() bool { return t.State == Detected || t.State == Recovering }

// margin returns by how many standard errors an estimate may be above half of its gate to look well.
func (t *track) margin() float64 {
	if t.alarmed() {
		return alarmedMargin
	}
	return wellMargin
}

// told reports whether there is something to report.
func (t *track) told() bool { return t.State != OK || !t.Began.IsZero() }

// forget drops a run of windows, but not the last detection.
func (t *track) forget() { *t = track{State: OK, Former: t.Former, Quiet: t.Quiet} }

// evidence is the result of a window for a finding.
type evidence struct {
	best float64 // the strongest log p of the runs that include the window
	well bool    // the effect is below half the tolerance
	rows uint64  // of the window
}

// begin starts a run with a window that has some evidence, if there is no run. It only selects what
// is tested, and does not affect the false-alarm rate.
func (t *track) begin(start time.Time, logP float64) {
	const some = -2.995732273553991 // log of 0.05
	if t.Began.IsZero() && logP < some {
		t.Began = start
	}
}

// observe updates the state.
//
//	OK ───── best < suspect ──► SUSPECTED ─── best < detect ──► DETECTED
//	 ▲                              │                            │    ▲
//	 ├──────────── well ────────────┘                       well ▼    │ not well
//	 └───────── well, recoverAfter times in a row ────────── RECOVERING
//
// Between the limits the state does not change: small windows may lack evidence by chance.
func (t *track) observe(e evidence, l alarmLimits, recoverAfter int) {
	switch t.State {
	case Detected, Recovering:
		if !e.well {
			*t = track{State: Detected, Began: t.Began}
			return
		}
		t.State = Recovering
		if t.Calm++; t.Calm >= recoverAfter {
			*t = track{State: OK, Former: t.Began}
		}
		return
	default:
	}
	if t.Quiet += e.rows; t.Former.IsZero() || t.Quiet > relapseRows {
		t.Former, t.Quiet = time.Time{}, 0
	}
	switch {
	case t.Began.IsZero():
	case e.well:
		t.forget()
	case e.best < l.detect:
		if !t.Former.IsZero() {
			t.Began = t.Former
		}
		*t = track{State: Detected, Began: t.Began}
	case e.best < l.suspect:
		t.State = Suspected
	default:
	}
}

// mark sets whether a detection is within the promise: if any of its windows was. was is the track before
// the window, and promised says whether the window alone shows drift within the promise.
func (t *track) mark(was *track, promised bool) {
	t.Unpromised = t.alarmed() && !promised && (!was.alarmed() || was.Unpromised)
}

// date sets the beginning of a detection to the estimated one. was is the track before the window. A detection
// soon after the last one keeps the beginning of that.
func (t *track) date(was *track, find func() onset) {
	switch {
	case !t.alarmed():
	case was.alarmed():
		t.From, t.To = was.From, was.To
	case !was.Former.IsZero() && t.Began.Equal(was.Former):
	default:
		o := find()
		t.Began, t.From, t.To = o.at, o.from, o.to
	}
}

// extend adds a window to the run: of a suspicion, or of the windows that look well after a
// detection. It returns the sum of the run's windows, nil if this is the only one. A full run
// starts again from this window.
func (t *track) extend(c *Counts) *Counts {
	if t.Began.IsZero() {
		return nil
	}
	if t.Run == nil || t.Windows >= maxRun || t.State == Detected {
		t.Run = &Counts{Bins: make([]uint64, len(c.Bins)), Halves: make([]Halves, len(c.Bins))}
		t.Run.Merge(*c)
		t.Windows = 1
		return nil
	}
	t.Run.Merge(*c)
	t.Windows++
	return t.Run
}

// graver reports whether a state is more severe than another, or equally severe and older.
func (t *track) graver(o *track) bool {
	s := severity(t.State) - severity(o.State)
	return s > 0 || s == 0 && t.Began.Before(o.Began)
}

// severity orders states: a state that was detected and has not recovered is more severe than one
// that was only suspected.
func severity(state string) int {
	switch state {
	case Detected:
		return 3
	case Recovering:
		return 2
	case Suspected:
		return 1
	default:
		return 0
	}
}
