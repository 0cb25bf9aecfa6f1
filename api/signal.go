package api

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// The types of signals. They are the types of the CloudEvents that the gateway sends.
const (
	TypeRetrainRequested    = "io.sluice.retrain.requested.v1"
	TypeDataQualityViolated = "io.sluice.dataquality.violated.v1"
)

// The causes of a request for retraining. There is one request for a model, however many
// features drift.
const (
	CauseDrift       = "drift"       // of inputs or outputs
	CausePerformance = "performance" // labels show that predictions became worse
)

// The states of a signal.
const (
	SignalOpen      = "open"      // recorded; the gateway retries until it is delivered
	SignalDelivered = "delivered" // the receiver answered 2xx
	SignalClosed    = "closed"    // a person or program closed it; the gateway does not send it any more
)

// The reasons why a request for retraining was held back.
const (
	HeldBackOpen     = "open"         // an earlier request for the model is not closed, delivered or not
	HeldBackCoolDown = "cool_down"    // the earlier request was closed less than a cool-down ago
	HeldBackQuality  = "data_quality" // the data is bad: a model would learn the fault
	// HeldBackUnpromised: the stream is not calibrated yet, and the drift is not gross.
	HeldBackUnpromised = "unpromised"

	HeldBackBudget  = "budget"  // the model has had all retrainings of the last seven days
	HeldBackRollout = "rollout" // a rollout of the model runs: its version may be the remedy
	HeldBackLabels  = "labels"  // there are fewer labels than a trainer needs
)

// MaxSignalFindings is the max number of findings that a signal lists.
const MaxSignalFindings = 256

// Signal is a request for retraining or a report of bad data, with its progress. GET
// /api/v1/signals answers with a list of them.
type Signal struct {
	SignalData
	SignalProgress
}

// SignalData asks for retraining or reports bad data. A report of bad data does not ask
// for retraining. SignalData never changes, and is the data of the CloudEvent.
type SignalData struct {
	// ID is a hash of type, model, version, cause and began, and of the segment if there is one. The same problem has the same
	// id, however often and by whichever gateway it is detected.
	ID      string `json:"id"`
	Type    string `json:"type"`
	Model   string `json:"model"`
	Version int64  `json:"version"`
	Role    string `json:"role,omitempty"`          // of the version, when the problem was detected
	Segment string `json:"segment,omitempty"`       // of the rows that show the problem; absent for all rows
	Cause   string `json:"cause"`                   // drift, performance, manual or schedule; for a report of bad data, its first feature and statistic
	Asked   string `json:"asked_because,omitempty"` // the reason of a person who asked for retraining
	// Window is the window of the verdict.
	Window Span `json:"window"`
	// Began is the start of the first window in which the problem showed.
	Began    time.Time       `json:"began"`
	Rows     uint64          `json:"rows"`     // in the window
	Features []SignalFinding `json:"features"` // the strongest evidence first
	// FeaturesTotal is the number of all findings. Features has the first of them.
	FeaturesTotal int             `json:"features_total"`
	CreatedAt     time.Time       `json:"created_at"`
	ProfileDigest string          `json:"profile_digest,omitempty"` // of the reference
	ModelDigest   string          `json:"model_digest,omitempty"`   // of the version's files
	Detector      json.RawMessage `json:"detector,omitempty"`       // its name and settings
}

// SignalFinding is the result of a statistic for one feature.
type SignalFinding struct {
	Feature   string  `json:"feature"`
	Kind      string  `json:"kind"`      // input, output, joint or performance
	Statistic string  `json:"statistic"` // "g", "joint", "correlation", "mmd" (of a vector), "missing", "inf", "range", "new", "loss"
	Value     float64 `json:"value"`
	P         float64 `json:"p"`
	Effect    float64 `json:"effect"`
	Low       float64 `json:"low"`             // the lower end of the effect's 95 % interval
	High      float64 `json:"high"`            // the upper end of that interval
	Shift     float64 `json:"shift,omitempty"` // of the mean, in standard deviations of the reference
	// Change is the change in words: "mean of petal_length rose by 0.6 s.d. (0.4 to 0.8)", with a 95 %
	// interval. Gate is its kind, for statistic "g": mean, spread, share, tail or shape.
	Change string `json:"change,omitempty"`
	Gate   string `json:"gate,omitempty"`
	// Limit is the p below which the finding is detected.
	Limit float64 `json:"limit,omitempty"`
	// Windows and Rows are the number of windows and rows of the evidence.
	Windows int    `json:"windows,omitempty"`
	Rows    uint64 `json:"rows,omitempty"`
}

// SignalProgress is the state of a signal and of its delivery. It is the field after of
// the journal's events about a signal.
type SignalProgress struct {
	State string `json:"state"` // open, delivered or closed
	// Attempts counts the deliveries since the gateway started. For a delivered signal it
	// is the number of attempts that it took.
	Attempts    int        `json:"attempts"`
	LastError   string     `json:"last_error,omitempty"`   // of the last attempt since the gateway started
	NextAttempt *time.Time `json:"next_attempt,omitempty"` // when the gateway retries
	DeliveredAt *time.Time `json:"delivered_at,omitempty"`
	ClosedAt    *time.Time `json:"closed_at,omitempty"`
	ClosedBy    string     `json:"closed_by,omitempty"`
	Reason      string     `json:"reason,omitempty"` // why it was closed
	// Suppressed counts the requests that this one holds back, one for each version and
	// cause.
	Suppressed int `json:"suppressed,omitempty"`
	// Also are the first of those: further causes of the same request. An entry with the version, the role and the cause of the signal has
	// features of its own problem that were detected later.
	Also []SignalAlso `json:"also,omitempty"`
}

// FeatureName returns how lists of features name one: with its kind, as in "input a", if it has one.
func FeatureName(kind, feature string) string { return strings.TrimSpace(kind + " " + feature) }

// Lists reports whether a signal has a feature by its FeatureName: among its findings, or among further ones of its own problem.
func (s *Signal) Lists(feature string) bool {
	for i := range s.Features {
		if f := &s.Features[i]; FeatureName(f.Kind, f.Feature) == feature {
			return true
		}
	}
	for i := range s.Also {
		if a := &s.Also[i]; a.Cause == s.Cause && a.Version == s.Version && a.Segment == s.Segment && slices.Contains(a.Features, feature) {
			return true
		}
	}
	return false
}

// MaxSignalAlso is the max number of further causes that a signal lists.
const MaxSignalAlso = 32

// SignalAlso is a request for retraining that an earlier one holds back.
type SignalAlso struct {
	Cause    string    `json:"cause"`
	Version  int64     `json:"version"`
	Role     string    `json:"role,omitempty"`
	Segment  string    `json:"segment,omitempty"`
	Began    time.Time `json:"began"`
	At       time.Time `json:"at"`       // when it was held back first
	Features []string  `json:"features"` // the first ones that were detected
	Why      string    `json:"why"`      // open or cool_down
}

// SignalSuppression is a request for retraining that was held back.
type SignalSuppression struct {
	SignalData
	HeldBackBy string `json:"held_back_by"` // the id of the earlier request; empty if none is the reason
	Why        string `json:"why"`          // open, cool_down, data_quality, unpromised, rollout, budget or labels
}
