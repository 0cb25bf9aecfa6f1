package drift

import (
	"time"

	"sluice.io/sluice/api"
)

// Window has the counts between two times for one version in one role, by feature in the order of
// its profile.
type Window struct {
	Start   time.Time `json:"start"`
	End     time.Time `json:"end"`
	Rows    uint64    `json:"rows"`
	Dropped uint64    `json:"dropped,omitempty"` // sampled rows without room
	Counts  []Counts  `json:"counts"`
	// Hours are the rows by the hour of the week, if the profile has a Week.
	Hours Hours `json:"hours,omitempty"`
	// Breaks are what ended the window early.
	Breaks []Break `json:"breaks,omitempty"`
	// Known is the number of rows whose user is known.
	Known uint64 `json:"known,omitempty"`
	// Pairs are the sums for the pairs of the profile; nil if they are not counted.
	Pairs *PairCounts `json:"pairs,omitempty"`
	// Vectors are the sums for the vectors of the profile, in their order.
	Vectors []*VectorCounts `json:"vectors,omitempty"`
}

// Detector judges one window after the other. It has no clock and does no I/O: the same windows in
// the same order give the same verdicts. It belongs to one goroutine.
type Detector interface {
	// Judge judges the next window. Its Counts must fit the detector's profile.
	Judge(w Window) Verdict
}

// Resumable is a Detector with a state that another one can continue.
type Resumable interface {
	Detector
	// State returns the state of the stream, one of those below.
	State() string
	// Snapshot returns a copy of the detector's state. Restore makes a detector from it.
	Snapshot() Snapshot
	// Watch looks at a window that has not ended, for breaks that should end it.
	Watch(w *Window) []Break
	// Calibration says what was learned of clean windows; nil if nothing is.
	Calibration() *api.DriftCalibration
}

// The states of a stream.
const (
	OK         = "OK"
	Suspected  = "SUSPECTED"  // some evidence, but not enough
	Detected   = "DETECTED"   // enough evidence of a difference that matters
	Recovering = "RECOVERING" // was detected, and is now within the tolerance
	// Unjudged replaces OK in a Monitor's status if no window has been judged yet, or for long.
	Unjudged = api.DriftUnjudged
)

// The documents of the control plane for a detector's results.
type (
	// Verdict is the result of judging a window.
	Verdict = api.DriftVerdict
	// Finding is the result of one statistic for one feature in one window.
	Finding = api.DriftFinding
	// Span is a period of time.
	Span = api.Span
)
