package drift

import "time"

// track is what is remembered of one finding from window to window.
type track struct {
	State string    `json:"state"`
	Began time.Time `json:"began,omitzero"` // the start of the first window of the run
	Calm  int       `json:"calm,omitempty"` // windows in a row that looked well since it was detected
	// Run adds up the windows of an unbroken suspicion, and Windows says how many of
	// them. It is kept for bins only, and only while there is a suspicion.
	Run     *Counts `json:"run,omitempty"`
	Windows int     `json:"windows,omitempty"`
}

// idle reports whether there is nothing to remember.
func (t *track) idle() bool { return t.State == OK && t.Began.IsZero() }

// evidence is what a window says of a finding.
type evidence struct {
	best float64 // log p, the strongest that the window is part of
	well bool    // the effect is below half the tolerance
}

// begin starts a run with a window of some evidence, if there is none. It decides what
// is looked at, and has no part in the false-alarm rate.
func (t *track) begin(start time.Time, logP float64) {
	const some = -2.995732273553991 // log of 0.05
	if t.Began.IsZero() && logP < some {
		t.Began = start
	}
}

// observe moves the state on.
//
//	OK ───── best < suspect ──► SUSPECTED ─── best < detect ──► DETECTED
//	 ▲                              │                            │    ▲
//	 ├──────────── well ────────────┘                       well ▼    │ not well
//	 └───────── well, recoverAfter times in a row ────────── RECOVERING
//
// Between the limits a state stays as it is: small windows have no evidence by chance.
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

// extend makes a window part of the run. It returns the sum of the run's windows, nil
// if there is none but this. A run that is full starts again from this window.
func (t *track) extend(c *Counts) *Counts {
	if t.Began.IsZero() || t.State == Detected || t.State == Recovering {
		return nil
	}
	if t.Run == nil || t.Windows >= maxRun {
		t.Run = &Counts{Bins: make([]uint64, len(c.Bins))}
		t.Run.Merge(*c)
		t.Windows = 1
		return nil
	}
	t.Run.Merge(*c)
	t.Windows++
	return t.Run
}

// graver reports whether a state weighs more than another, or as much for longer.
func (t *track) graver(o *track) bool {
	s := severity(t.State) - severity(o.State)
	return s > 0 || s == 0 && t.Began.Before(o.Began)
}

// severity orders states: what was detected and has not yet recovered weighs more
// than what was never more than suspected.
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
