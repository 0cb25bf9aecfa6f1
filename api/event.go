package api

import (
	"encoding/json"
	"time"
)

// The origins of a change.
const (
	OriginAPI     = "api"     // a request to the control API
	OriginFile    = "file"    // the configuration file
	OriginGateway = "gateway" // the gateway itself
)

// The types of events. Those about what serves are in version.go. The gateway makes the
// routes from the events route.*, and the signals from retrain.* and dataquality.*. A
// detector of data drift continues from the last drift.state. The other events only keep a
// record.
const (
	EventRouteSet       = "route.set"
	EventRouteDeleted   = "route.deleted"
	EventModelLoaded    = "model.loaded"
	EventModelUnloaded  = "model.unloaded"
	EventConfigReloaded = "config.reloaded"
	EventCaptureRead    = "capture.exported" // the subject is "capture/MODEL"; the field after is a CaptureRead
	EventCaptureDeleted = "capture.deleted"  // likewise; the field before is a CaptureDeleted
	EventTracingChanged = "tracing.changed"  // until the next start; the subject is "tracing" or "tracing/MODEL"
	EventLoggingChanged = "logging.changed"  // until the next start

	EventRetrainRequested  = "retrain.requested"
	EventRetrainSuppressed = "retrain.suppressed" // an earlier request holds this one back
	EventRetrainDelivered  = "retrain.delivered"  // also for data-quality reports
	EventRetrainClosed     = "retrain.closed"     // also for data-quality reports
	EventQualityViolated   = "dataquality.violated"

	EventFeedMoved = "feed.moved" // up to which event the webhook has all

	EventDriftState = "drift.state" // of a version in a role; the field after is a DriftEvidence
	EventLossState  = "loss.state"  // of a version in a role; the field after is a LossEvidence
)

// Actor is who asks for a change, and why.
type Actor struct {
	Actor    string `json:"actor"`
	Verified bool   `json:"actor_verified"` // whether a token proves the name
	Reason   string `json:"reason"`
}

// Event is one change of state in the journal. GET /api/v1/journal answers with a list
// of them.
type Event struct {
	Seq     int64     `json:"seq"` // 1, 2, 3, …
	Time    time.Time `json:"time"`
	Type    string    `json:"type"`
	Subject string    `json:"subject"` // what changed, such as "routes/iris"
	Origin  string    `json:"origin"`
	Actor
	// Before is the state of the subject before the change, a RouteState for a route.
	// Absent if there was none.
	Before json.RawMessage `json:"before,omitempty"`
	// After is the state of the subject after the change. Absent if there is none.
	After json.RawMessage `json:"after,omitempty"`
}

// JournalReport is the result of reading the whole journal and checking that every event
// is as it was written. It answers GET /api/v1/journal/verify.
type JournalReport struct {
	Events   int64  `json:"events"`
	Segments int    `json:"segments"`                   // files of archived events
	Unnamed  int    `json:"unnamed_segments,omitempty"` // segment files that the journal does not use, left by a crash or a restore
	Gaps     int    `json:"gaps,omitempty"`             // in an export: the places where events are left out
	Hash     string `json:"hash"`                       // of the last event, in hexadecimal
	Problem  string `json:"problem,omitempty"`          // what is wrong; absent if the journal is whole
}
