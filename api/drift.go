package api

import (
	"encoding/json"
	"time"
)

// RoleDefault is the role of a version that serves without a route.
const RoleDefault = "default"

// States of a stream. The others are OK, SUSPECTED, DETECTED and RECOVERING.
const (
	// DriftOff is the state of a stream that should be compared with a reference and is
	// not.
	DriftOff = "OFF"
	// DriftUnjudged replaces OK if there are too few rows: no window has been judged yet,
	// or none for twice the length of the last one.
	DriftUnjudged = "UNJUDGED"
)

// DriftLasts reports whether a state of drift or of a loss is DETECTED or RECOVERING: it was detected, and is not over.
func DriftLasts(state string) bool { return state == "DETECTED" || state == "RECOVERING" }

// DriftFlaws reports whether a statistic of quality is about values that a model should not learn. Values out of range
// and new values also come from drift.
func DriftFlaws(statistic string) bool { return statistic != "range" && statistic != "new" }

// The sources of a profile.
const (
	ProfileFromConfig  = "configuration"  // drift.profile of the model
	ProfileFromVersion = "version folder" // profile.json beside the model file
)

// DriftStatus compares a version in a role with its reference. GET /api/v1/drift
// answers with a list of them.
type DriftStatus struct {
	Model   string `json:"model"`
	Version int64  `json:"version"`
	Role    string `json:"role"` // of its variant in a route, or default
	// Segment is the value of the profile's segment that the rows have; absent for all rows together.
	Segment string    `json:"segment,omitempty"`
	State   string    `json:"state"`
	Since   time.Time `json:"since,omitzero"`
	Reason  string    `json:"reason,omitempty"` // why the state is OFF

	ProfileFrom   string `json:"profile_from,omitempty"` // configuration, or version folder
	ProfileDigest string `json:"profile_digest,omitempty"`
	Features      int    `json:"features"`       // inputs and outputs together
	ReferenceRows int64  `json:"reference_rows"` // the number of rows that the profile was made from
	// ReferenceZone is the time zone of the reference's hours of the week, with which windows are compared; empty if the reference does
	// not know its hours.
	ReferenceZone string `json:"reference_zone,omitempty"`
	// Promise says how often to expect a false alarm.
	Promise string `json:"promise,omitempty"`

	// UnjudgedSince is when the last judged window ended. If there was none, it is when the
	// watch began. A window is judged only if it has at least MinRows rows.
	UnjudgedSince time.Time `json:"unjudged_since,omitzero"`
	MinRows       uint64    `json:"min_rows,omitempty"`

	Windows uint64    `json:"windows"` // windows judged since the gateway started
	Rows    uint64    `json:"rows"`    // rows counted since then
	Dropped uint64    `json:"dropped"` // sampled rows that were not counted: the queue was full, or the tensors of a request had different numbers of rows
	Begun   time.Time `json:"begun,omitzero"`
	Waiting uint64    `json:"waiting"` // rows in the current window so far

	// Calibration is absent if the stream learns nothing of clean windows.
	Calibration *DriftCalibration `json:"calibration,omitempty"`

	Last *DriftVerdict `json:"last,omitempty"` // the verdict on the last window with enough rows
}

// The states of a calibration.
const (
	CalibrationLearning = "learning"   // no promise yet, but for gross changes
	CalibrationDone     = "calibrated" // for all features
	CalibrationDiffers  = "differs"    // the last round of some feature differs from the reference as a whole
)

// DriftCalibration says what a stream has learned of clean windows.
type DriftCalibration struct {
	State    string    `json:"state"`
	Text     string    `json:"text"`              // "learning: 37 of 100 windows", "calibrated on 168 windows"
	Windows  int       `json:"windows"`           // learned from in the current round
	Needed   int       `json:"needed"`            // the min number of windows of a round
	Until    time.Time `json:"until,omitzero"`    // before it, the current round does not end; absent before the first window
	Learned  int       `json:"learned"`           // windows in the rounds so far, of the feature with the fewest
	From     int64     `json:"from,omitempty"`    // the version that learned it, if it was another one
	Differs  int       `json:"differs,omitempty"` // features whose last round differs from the reference
	Features int       `json:"features"`          // calibrated features
}

// DriftReport is a stream with the distributions of its features, in the reference and in the last
// judged window. GET /api/v1/drift/{model}/report answers with a list of them.
type DriftReport struct {
	DriftStatus
	// Distributions are in the order of the profile. It is empty if the stream is not compared.
	Distributions []DriftDistribution `json:"distributions"`
}

// DriftDistribution has the rows of a feature by bin.
type DriftDistribution struct {
	Feature string `json:"feature"`
	Kind    string `json:"kind"` // input or output
	// Edges are ascending. Bin i has the values above edge i-1 and up to edge i; the first and the last
	// bin are open.
	Edges []float64 `json:"edges"`
	// Values are the values of the bins, if each has one.
	Values []float64 `json:"values,omitempty"`
	// Categories are the names of the bins of a text with few values; else it is absent.
	Categories []string `json:"categories,omitempty"`
	Min        float64  `json:"min"` // of the reference
	Max        float64  `json:"max"`
	// Reference and Window are the rows of the reference's sample and of the last judged window. Window is
	// absent if there was none since the watch began.
	Reference DriftRows  `json:"reference"`
	Window    *DriftRows `json:"window,omitempty"`
}

// DriftRows are the rows of a feature.
type DriftRows struct {
	Bins    []uint64 `json:"bins"`
	Missing uint64   `json:"missing"` // NaN too
	Inf     uint64   `json:"inf"`
	Outside uint64   `json:"outside"` // finite values out of the range of the reference, which are in Bins too
	Unseen  uint64   `json:"unseen"`  // values of a category that the reference does not have, which are in no bin
}

// DriftEvidence is the field after of an event that records a change of a drift state.
// It has the window, the verdict, and the detector's state before the window. From that
// state, the same window gives the same verdict.
type DriftEvidence struct {
	Model         string          `json:"model"`
	Version       int64           `json:"version"`
	Role          string          `json:"role"`
	Segment       string          `json:"segment,omitempty"` // as in DriftStatus
	From          string          `json:"from"`
	State         string          `json:"state"`
	ProfileDigest string          `json:"profile_digest"`
	Verdict       DriftVerdict    `json:"verdict"`
	Window        json.RawMessage `json:"window"`
	Before        json.RawMessage `json:"before"`
	After         json.RawMessage `json:"after"`
}

// DriftVerdict is a detector's verdict on a window.
type DriftVerdict struct {
	Window Span       `json:"window"`
	Rows   uint64     `json:"rows"`
	State  string     `json:"state"`            // after this window
	Reason string     `json:"reason,omitempty"` // why there is no verdict on the window, such as too few rows
	Began  *time.Time `json:"began,omitempty"`  // the start of the window in which the current problem began
	// Features has the findings about distributions, the strongest evidence first, then by
	// name.
	Features []DriftFinding `json:"features"`
	// Quality has the findings about missing (or NaN), infinite, out-of-range and new values, in
	// the same order. It leaves out those without a problem.
	Quality []DriftFinding `json:"quality"`
}

// Span is a period of time.
type Span struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// DriftFinding is the result of a statistic for one feature in one window.
type DriftFinding struct {
	Feature   string  `json:"feature"`
	Kind      string  `json:"kind"`             // input, output, or joint for several features together
	Statistic string  `json:"statistic"`        // "g" for bins, "joint", "correlation", "mmd" (of a vector); "missing" (NaN too), "inf", "range", "new" for quality
	Value     float64 `json:"value"`            // of the statistic; for quality, the number of rows with the problem
	P         float64 `json:"p"`                // the probability of a value this large if the true effect is at most the tolerance; at least 1e-300
	Effect    float64 `json:"effect"`           // PSI for bins, standard deviations for joint, a difference of correlations; for quality, the share of rows beyond the share in the reference
	Low       float64 `json:"low"`              // the lower end of the effect's 95 % interval
	High      float64 `json:"high"`             // the upper end of that interval
	Shift     float64 `json:"shift,omitempty"`  // of the mean, in standard deviations of the reference
	Change    string  `json:"change,omitempty"` // in words, unless the state is OK: "stuck at 3.2", "mean higher by 0.5 s.d.", "as in the reference"
	State     string  `json:"state"`            // OK, SUSPECTED, DETECTED or RECOVERING, for this finding alone
	// Began is the start of the window in which the current problem began.
	Began *time.Time `json:"began,omitempty"`
	// BeganFrom and BeganTo are an interval of about 95 % for the window in which the problem began: the starts of the
	// first and the last one that it may be.
	BeganFrom *time.Time `json:"began_from,omitempty"`
	BeganTo   *time.Time `json:"began_to,omitempty"`
	// Windows is the number of windows that the numbers are computed from. The last of
	// them is this one.
	Windows int    `json:"windows"`
	Rows    uint64 `json:"rows"` // the feature's rows in these windows
	// Gate is the kind of change that Change describes, for statistic "g": mean, spread, share, tail or
	// shape. P is that of the gate with the strongest evidence.
	Gate string `json:"gate,omitempty"`
	// Limit is the p below which the finding is DETECTED.
	Limit float64 `json:"limit,omitempty"`
	// DesignEffect says how many times more the counts vary than those of independent rows. Rows
	// divided by it is the number of independent rows with the same evidence. 0 if it is not known.
	DesignEffect float64 `json:"design_effect,omitempty"`
	// Unpromised says that it was detected before the stream was calibrated, by a change that is not gross:
	// the time of day may explain it.
	Unpromised bool `json:"unpromised,omitempty"`
}
