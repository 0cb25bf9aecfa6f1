package drift

import (
	"time"

	"sluice.io/sluice/api"
)

// Window is what was counted between two moments for one version in one role,
// by feature in the order of its profile.
type Window struct {
	Start   time.Time `json:"start"`
	End     time.Time `json:"end"`
	Rows    uint64    `json:"rows"`
	Dropped uint64    `json:"dropped,omitempty"` // rows that were sampled and had no room
	Counts  []Counts  `json:"counts"`
}

// Detector judges one window after the other. It owns no clock and does no I/O:
// the same windows in the same order give the same verdicts. It belongs to one
// goroutine.
type Detector interface {
	// Judge takes the next window, whose Counts fit the profile it was made for.
	Judge(w Window) Verdict
}

// Resumable is a Detector that another one can go on from.
type Resumable interface {
	Detector
	// State returns the state of the stream, one of those below.
	State() string
	// Snapshot returns a copy of the detector's state, from which Restore makes
	// another one.
	Snapshot() Snapshot
}

// The states of a stream.
const (
	OK         = "OK"
	Suspected  = "SUSPECTED"  // evidence, not yet enough
	Detected   = "DETECTED"   // enough evidence of a difference that matters
	Recovering = "RECOVERING" // was detected, and looks well again
	// Unjudged is what a Monitor says in place of OK if no window was judged yet, or for long.
	Unjudged = api.DriftUnjudged
)

// The documents of the control plane in which a detector speaks.
type (
	// Verdict is what a detector says of a window.
	Verdict = api.DriftVerdict
	// Finding is what a statistic says of one feature in one window.
	Finding = api.DriftFinding
	// Span is a stretch of time.
	Span = api.Span
)
