package drift

import "time"

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

// The states of a stream.
const (
	OK         = "OK"
	Suspected  = "SUSPECTED"  // evidence, not yet enough
	Detected   = "DETECTED"   // enough evidence of a difference that matters
	Recovering = "RECOVERING" // was detected, and looks well again
)

// Verdict is what a detector says of a window.
type Verdict struct {
	Window Span       `json:"window"`
	Rows   uint64     `json:"rows"`
	State  string     `json:"state"`            // after this window
	Reason string     `json:"reason,omitempty"` // why the window says nothing: too few rows, for example
	Began  *time.Time `json:"began,omitempty"`  // the start of the window in which the present trouble began
	// Features are ranked: the strongest evidence first, then by name. Quality are
	// findings about missing, NaN, infinite and out-of-range values, ranked likewise; those
	// of which there is nothing to say are left out.
	Features []Finding `json:"features"`
	Quality  []Finding `json:"quality"`
}

// Span is a stretch of time.
type Span struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// Finding is what a statistic says of one feature in one window.
type Finding struct {
	Feature   string  `json:"feature"`
	Kind      string  `json:"kind"`      // input or output
	Statistic string  `json:"statistic"` // "g" for bins; "missing", "nan", "inf", "range" for quality
	Value     float64 `json:"value"`     // of the statistic; for quality how many rows are concerned
	P         float64 `json:"p"`         // of a value so large where the true effect is at most the tolerance; at least 1e-300
	Effect    float64 `json:"effect"`    // PSI for bins; for quality the share of rows beyond the reference's
	Low       float64 `json:"low"`       // the effect's 95 % interval
	High      float64 `json:"high"`
	Shift     float64 `json:"shift,omitempty"`  // of the mean, in standard deviations of the reference
	Change    string  `json:"change,omitempty"` // in words, unless the state is OK: "stuck at 3.2", "mean higher by 0.5 s.d."
	State     string  `json:"state"`            // OK, SUSPECTED, DETECTED or RECOVERING, of this finding alone
	// Began is the start of the window in which the present trouble began. The numbers
	// above rest on Rows of the feature in so many Windows, which end with this one.
	Began   *time.Time `json:"began,omitempty"`
	Windows int        `json:"windows"`
	Rows    uint64     `json:"rows"`
}
