package api

import (
	"encoding/json"
	"time"
)

// The types of signals. They are the types of the CloudEvents that are sent.
const (
	TypeRetrainRequested    = "io.sluice.retrain.requested.v1"
	TypeDataQualityViolated = "io.sluice.dataquality.violated.v1"
)

// CauseDrift is the cause of every request for retraining: it is a model that
// drifts, however many features do.
const CauseDrift = "drift"

// The states of a signal.
const (
	SignalOpen      = "open"      // recorded, and to be delivered; it is tried again until it is
	SignalDelivered = "delivered" // a receiver answered 2xx
	SignalClosed    = "closed"    // somebody said that it is dealt with; it is not sent any more
)

// The reasons why a request for retraining was held back.
const (
	HeldBackOpen     = "open"      // an earlier request for the model is not closed, delivered or not
	HeldBackCoolDown = "cool_down" // it was closed not long enough ago
)

// MaxSignalFindings is how many findings a signal lists at most.
const MaxSignalFindings = 256

// Signal is a request for retraining or a report of bad data, and what has become
// of it. GET /api/v1/signals answers with a list of them.
type Signal struct {
	SignalData
	SignalProgress
}

// SignalData asks for retraining, or reports data of bad quality, which asks
// for none. It never changes, and is the data of the CloudEvent.
type SignalData struct {
	// ID is a hash of type, model, version, cause and began: the same trouble has
	// the same id, however often it is noticed, also by another gateway.
	ID      string `json:"id"`
	Type    string `json:"type"`
	Model   string `json:"model"`
	Version int64  `json:"version"`
	Role    string `json:"role,omitempty"` // of the version where it was noticed
	Cause   string `json:"cause"`          // "drift"; of a violation its first feature and statistic
	// Window is the one that made the verdict, and Began the start of the first
	// window in which the trouble showed.
	Window   Span            `json:"window"`
	Began    time.Time       `json:"began"`
	Rows     uint64          `json:"rows"`     // in the window
	Features []SignalFinding `json:"features"` // the strongest evidence first
	// FeaturesTotal is how many there are; Features holds the first of them.
	FeaturesTotal int             `json:"features_total"`
	CreatedAt     time.Time       `json:"created_at"`
	ProfileDigest string          `json:"profile_digest,omitempty"` // of the reference
	ModelDigest   string          `json:"model_digest,omitempty"`   // of the version's files
	Detector      json.RawMessage `json:"detector,omitempty"`       // its name and settings
}

// SignalFinding is what a statistic says of one feature or output.
type SignalFinding struct {
	Feature   string  `json:"feature"`
	Kind      string  `json:"kind"`      // input or output
	Statistic string  `json:"statistic"` // "g", "missing", "inf", "range"
	Value     float64 `json:"value"`
	P         float64 `json:"p"`
	Effect    float64 `json:"effect"`
	Low       float64 `json:"low"` // the effect's 95 % interval
	High      float64 `json:"high"`
	Shift     float64 `json:"shift,omitempty"` // of the mean, in standard deviations of the reference
}

// SignalProgress is what has become of a signal. An event of the journal that
// says so bears it as the state after.
type SignalProgress struct {
	State string `json:"state"`
	// Attempts, LastError and NextAttempt are of the deliveries since the gateway
	// started; once it is delivered, Attempts is how many that took.
	Attempts    int        `json:"attempts"`
	LastError   string     `json:"last_error,omitempty"`
	NextAttempt *time.Time `json:"next_attempt,omitempty"`
	DeliveredAt *time.Time `json:"delivered_at,omitempty"`
	ClosedAt    *time.Time `json:"closed_at,omitempty"`
	ClosedBy    string     `json:"closed_by,omitempty"`
	Reason      string     `json:"reason,omitempty"` // why it was closed
	// Suppressed counts the detections that were held back because of this
	// request, each version and cause once.
	Suppressed int `json:"suppressed,omitempty"`
}

// SignalSuppression is a request for retraining that was not made.
type SignalSuppression struct {
	SignalData
	HeldBackBy string `json:"held_back_by"` // the id of the earlier request
	Why        string `json:"why"`          // open or cool_down
}
