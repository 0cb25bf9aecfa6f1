package api

import (
	"encoding/json"
	"time"
)

// LossLearning is the state of a stream of labelled predictions whose reference is not
// complete. The others are OK, SUSPECTED, DETECTED and RECOVERING.
const LossLearning = "LEARNING"

// LossStatus says whether the labelled predictions of a version in a role became worse.
type LossStatus struct {
	Version int64  `json:"version"`
	Role    string `json:"role"`
	State   string `json:"state"`
	// Since is when the losses that are detected began to be too large.
	Since time.Time `json:"since,omitzero"`
	// Reference says which labels the losses are compared with: the first labelled rows, or
	// those of another version. Empty while it is learned.
	Reference     string `json:"reference,omitempty"`
	ReferenceRows uint64 `json:"reference_rows"`
	Promise       string `json:"promise"` // how often to expect a false alarm
	Labels        uint64 `json:"labels"`  // rows with a label, each counted once
	Windows       uint64 `json:"windows"` // judged windows
	Waiting       uint64 `json:"waiting"` // rows in the current window so far
	// Judged is the end of the last judged window.
	Judged   time.Time     `json:"judged,omitzero"`
	Findings []LossFinding `json:"findings"` // of that window, the strongest evidence first
}

// LossFinding compares one loss of labelled rows with the reference. Means of an absolute
// error count errors of at most four times that of the reference.
type LossFinding struct {
	Loss  string    `json:"loss"`  // error, brier or absolute_error
	State string    `json:"state"` // OK, SUSPECTED, DETECTED or RECOVERING, for this loss alone
	Began time.Time `json:"began,omitzero"`
	Value float64   `json:"value"` // the mean loss of the rows
	// Reference is the mean loss of the reference.
	Reference float64 `json:"reference"`
	Effect    float64 `json:"effect"` // value minus reference
	Low       float64 `json:"low"`    // the lower end of the effect's 95 % interval
	High      float64 `json:"high"`   // the upper end of that interval
	// Limit is the effect up to which nothing is detected: the tolerance, and a margin for the
	// error of the reference.
	Limit    float64 `json:"limit"`
	Evidence float64 `json:"evidence"` // relative to what a detection needs
	Rows     uint64  `json:"rows"`     // since the problem began, or in the window
	// DesignEffect says how many times more the mean varies than that of independent rows.
	DesignEffect float64 `json:"design_effect"`
}

// LossEvidence is the field after of an event that records which losses are detected.
type LossEvidence struct {
	Model    string        `json:"model"`
	Version  int64         `json:"version"`
	Role     string        `json:"role"`
	Form     uint64        `json:"form,string"` // identifies how predictions are read
	From     string        `json:"from"`
	State    string        `json:"state"`
	Window   Span          `json:"window"`
	Findings []LossFinding `json:"findings"`
	// Before is the detector's state before the verdict, with the window. It gives the same
	// findings again.
	Before json.RawMessage `json:"before,omitempty"`
}
