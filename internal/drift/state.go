package drift

import "time"

// track is the state of one finding between windows.
type track struct {
	State string    `json:"state"`
	Began time.Time `json:"began,omitzero"` // the start of the first window of the run
	Calm  int       `json:"calm,omitempty"` // consecutive windows without drift since it was detected
	// Run is the sum of the windows of an unbroken suspicion, and Windows their number. It exists
	// only for bins, and only during a suspicion.
	Run     *Counts `json:"run,omitempty"`
	Windows int     `json:"windows,omitempty"`
}

// idle reports whether there is nothing to remember.
func (t *track) idle() bool { return t.State == OK && t.Began.IsZero() }

// evidence is the result of a window for a finding.
type evidence struct {
	best float64 // the strongest log p of the runs that include the window
	well bool    // the effect is below half the tolerance
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
			t.State, t.Calm = Detected, 0
			return
		}
		t.State = Recovering
		if t.Calm++; t.Calm >= recoverAfter {
			*t = track{State: OK}
		}
		return
	default:
	}
	switch {
	case t.Began.IsZero():
	case e.well:
		*t = track{State: OK}
	case e.best < l.detect:
		t.State, t.Run, t.Windows = Detected, nil, 0
	case e.best < l.suspect:
		t.State = Suspected
	default:
	}
}

// extend adds a window to the run. It returns the sum of the run's windows, nil if this is the only
// one. A full run starts again from this window.
func (t *track) extend(c *Counts) *Counts {
	if t.Began.IsZero() || t.State == Detected || t.State == Recovering {
		return nil
	}
	if t.Run == nil || t.Windows >= maxRun {
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
