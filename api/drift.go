package api

import (
	"encoding/json"
	"time"
)

// RoleDefault is the role of a version that serves without a route.
const RoleDefault = "default"

// States of a stream. The others are OK, SUSPECTED, DETECTED and RECOVERING.
const (
	// DriftOff is the state of what is not compared with a reference, though it should be.
	DriftOff = "OFF"
	// DriftUnjudged takes the place of OK if no window was judged yet, or for twice as long as
	// the last one took: it lacks rows.
	DriftUnjudged = "UNJUDGED"
)

// Where a profile comes from.
const (
	ProfileFromConfig  = "configuration"  // drift.profile of the model
	ProfileFromVersion = "version folder" // profile.json beside the model file
)

// DriftStatus is where a version in a role stands against its reference. GET
// /api/v1/drift answers with a list of them.
type DriftStatus struct {
	Model   string    `json:"model"`
	Version int64     `json:"version"`
	Role    string    `json:"role"` // of its variant in a route, or default
	State   string    `json:"state"`
	Since   time.Time `json:"since,omitzero"`
	Reason  string    `json:"reason,omitempty"` // why the state is OFF

	ProfileFrom   string `json:"profile_from,omitempty"` // configuration, or version folder
	ProfileDigest string `json:"profile_digest,omitempty"`
	Features      int    `json:"features"`       // inputs and outputs together
	ReferenceRows int64  `json:"reference_rows"` // that the profile was made of
	// Promise says how rare false alarms are expected to be.
	Promise string `json:"promise,omitempty"`

	// UnjudgedSince is when the last window ended that was judged, or when the watch began if
	// none was yet. Until MinRows rows have come, none is.
	UnjudgedSince time.Time `json:"unjudged_since,omitzero"`
	MinRows       uint64    `json:"min_rows,omitempty"`

	Windows uint64    `json:"windows"` // judged since the gateway started
	Rows    uint64    `json:"rows"`    // counted since then
	Dropped uint64    `json:"dropped"` // sampled, and there was no room, or the tensors of a request did not agree on the rows
	Begun   time.Time `json:"begun,omitzero"`
	Waiting uint64    `json:"waiting"` // rows in the present window so far

	Last *DriftVerdict `json:"last,omitempty"` // on the last window of enough rows
}

// DriftEvidence is the state after of an event that tells of a change of a drift
// state: the window, the verdict on it, and the detector's state before it, from
// which the same window gives the same verdict.
type DriftEvidence struct {
	Model         string          `json:"model"`
	Version       int64           `json:"version"`
	Role          string          `json:"role"`
	From          string          `json:"from"`
	State         string          `json:"state"`
	ProfileDigest string          `json:"profile_digest"`
	Verdict       DriftVerdict    `json:"verdict"`
	Window        json.RawMessage `json:"window"`
	Before        json.RawMessage `json:"before"`
	After         json.RawMessage `json:"after"`
}

// DriftVerdict is what a detector says of a window.
type DriftVerdict struct {
	Window Span       `json:"window"`
	Rows   uint64     `json:"rows"`
	State  string     `json:"state"`            // after this window
	Reason string     `json:"reason,omitempty"` // why the window says nothing: too few rows, for example
	Began  *time.Time `json:"began,omitempty"`  // the start of the window in which the present trouble began
	// Features are ranked: the strongest evidence first, then by name. Quality are
	// findings about missing (or NaN), infinite and out-of-range values, ranked likewise; those
	// of which there is nothing to say are left out.
	Features []DriftFinding `json:"features"`
	Quality  []DriftFinding `json:"quality"`
}

// Span is a stretch of time.
type Span struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// DriftFinding is what a statistic says of one feature in one window.
type DriftFinding struct {
	Feature   string  `json:"feature"`
	Kind      string  `json:"kind"`      // input or output
	Statistic string  `json:"statistic"` // "g" for bins; "missing" (NaN too), "inf", "range" for quality
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
