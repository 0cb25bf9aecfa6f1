package drift

import (
	"time"

	"sluice.io/sluice/internal/infer"
)

// Calibration sets how a detector learns how large the evidence usually is in clean windows. It covers
// what lasts longer than windows and is not drift: the time of day, slow swings.
type Calibration struct {
	// Windows is the min number of windows of a round. With 0 nothing is learned, as in earlier releases.
	Windows int `json:"windows,omitempty"`
	// Span is the min time of a round. It should cover the swings: a day.
	Span time.Duration `json:"span,omitempty"`
	// Gross is how many times larger than the gates a change must be to be promised before the first round
	// ends.
	Gross float64 `json:"gross,omitempty"`
}

func (c Calibration) check() error {
	switch {
	case c == (Calibration{}):
		return nil
	case c.Windows < minRound || c.Windows > maxRound:
		return infer.Errorf(infer.Invalid, "calibration with %d windows; expected %d to %d", c.Windows, minRound, maxRound)
	case c.Span < 0:
		return infer.Errorf(infer.Invalid, "calibration over %v; expected 0 or more", c.Span)
	case !(c.Gross >= 1 && c.Gross <= 100):
		return infer.Errorf(infer.Invalid, "gross changes are %v times the gates; expected 1 to 100", c.Gross)
	}
	return nil
}

// The limits of Calibration.Windows.
const (
	minRound = 20
	maxRound = 100_000
)

// round is the progress of a stream in the current round.
type round struct {
	Since   time.Time `json:"since,omitzero"` // the start of its first window
	Windows int       `json:"windows,omitempty"`
	// Done is the end of the first round.
	Done time.Time `json:"done,omitzero"`
}

// count counts a window, and reports whether the round ends with it.
func (r *round) count(w *Window, o *Options) (ends bool) {
	c := &o.Calibration
	if c.Windows == 0 {
		return false
	}
	if r.Windows == 0 {
		r.Since = w.Start
	}
	r.Windows++
	return r.Windows >= c.Windows && w.End.Sub(r.Since) >= c.Span
}

// next begins the next round after w.
func (r *round) next(w *Window) {
	if r.Done.IsZero() {
		r.Done = w.End
	}
	r.Since, r.Windows = time.Time{}, 0
}

// learned is what a detector knows of the usual evidence of a feature.
//
// In a round every window adds its evidence to Next and its rows to Pool. The exceptions are windows
// of a promised alarm and, once there was a clean round, suspicious ones. Swings cancel out in the sum
// of a round, and drift does not. So the end of a round judges Pool like a window: if it passes no
// gate, the evidence becomes part of Usual. If it passes one, there is drift, and what was learned is
// dropped. So drift hides in what is usual for one more round at most.
type learned struct {
	Usual usual   `json:"usual,omitzero"` // of all rounds that were clean
	From  int64   `json:"from,omitempty"` // the version that learned it; 0: this one
	Next  usual   `json:"next,omitzero"`  // of the current round
	Pool  *Counts `json:"pool,omitempty"` // the sum of its windows
	// Run collects evidence over the windows of an alarm that is not promised, as if there was none.
	Run *track `json:"run,omitempty"`
	// Differs is the number of rounds in a row that passed a gate.
	Differs int `json:"differs,omitempty"`
}

// lasting is the number of rounds in a row that must pass a gate for an alarm to be promised: what
// differs for so long is no swing.
const lasting = 3

// calibrated reports whether there was a clean round.
func (l *learned) calibrated() bool { return l.Usual.Windows > 0 }

func (l *learned) clone() learned {
	c := *l
	c.Usual, c.Next, c.Pool = l.Usual.clone(), l.Next.clone(), copied(l.Pool)
	if l.Run != nil {
		run := *l.Run
		run.Run = copied(run.Run)
		c.Run = &run
	}
	return c
}

// copied returns a copy of counts with halves; nil stays nil.
func copied(c *Counts) *Counts {
	if c == nil {
		return nil
	}
	sum := &Counts{Bins: make([]uint64, len(c.Bins)), Halves: make([]Halves, len(c.Bins))}
	sum.Merge(*c)
	return sum
}

// enter adds a window to the round.
func (l *learned) enter(c *Counts, evidence float64) {
	l.Next.add(max(0, evidence), c.Finite())
	if l.Pool == nil {
		l.Pool = copied(c)
	} else {
		l.Pool.Merge(*c)
	}
}

// end ends a round with enough windows. differs says whether its sum passes a gate.
func (l *learned) end(differs bool) {
	if differs {
		*l = learned{Run: l.Run, Differs: l.Differs + 1}
		return
	}
	if l.From != 0 { // its own windows take the place of another version's
		l.Usual, l.From = usual{}, 0
	}
	l.Usual.merge(&l.Next)
	l.Next, l.Pool, l.Differs = usual{}, nil, 0
}

// gross returns gates that are so many times larger.
func (o Options) gross() (g Gates, tolerance float64) {
	by := o.Calibration.Gross
	g = o.Gates
	g.Mean, g.Spread = min(10, g.Mean*by), min(10, g.Spread*by)
	g.ShareRatio, g.ShareGain, g.New = min(100, 1+(g.ShareRatio-1)*by), min(0.99, g.ShareGain*by), min(0.99, g.New*by)
	if !o.Gates.shares() {
		g.ShareRatio = 0
	}
	g.Vector = min(10, g.Vector*by)
	return g, min(10, o.Tolerance*by*by) // PSI grows as the square of a shift
}
