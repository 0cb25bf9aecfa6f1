package api

import (
	"encoding/json"
	"time"
)

// Where a change came from.
const (
	OriginAPI     = "api"     // a request to the control API
	OriginFile    = "file"    // the configuration file
	OriginGateway = "gateway" // the gateway itself
)

// The types of events; those that say what serves are in version.go. The routes are
// a fold over those of routes, the signals over those of retrain and dataquality, and
// a detector goes on from the last one of drift. The others are for the record.
const (
	EventRouteSet       = "route.set"
	EventRouteDeleted   = "route.deleted"
	EventModelLoaded    = "model.loaded"
	EventModelUnloaded  = "model.unloaded"
	EventConfigReloaded = "config.reloaded"

	EventRetrainRequested  = "retrain.requested"
	EventRetrainSuppressed = "retrain.suppressed" // a request was not made, since another one holds it back
	EventRetrainDelivered  = "retrain.delivered"  // of requests and violations
	EventRetrainClosed     = "retrain.closed"     // of requests and violations
	EventQualityViolated   = "dataquality.violated"

	EventDriftState = "drift.state" // of a version in a role; the state after is a DriftEvidence
)

// Actor is who asks for a change, and why.
type Actor struct {
	Actor    string `json:"actor"`
	Verified bool   `json:"actor_verified"` // a token shows it; else they only say so
	Reason   string `json:"reason"`
}

// Event is one change of state. GET /api/v1/journal answers with a list of them.
type Event struct {
	Seq     int64     `json:"seq"` // 1, 2, 3, …
	Time    time.Time `json:"time"`
	Type    string    `json:"type"`
	Subject string    `json:"subject"` // what changed, "routes/iris"
	Origin  string    `json:"origin"`
	Actor
	// Before and After are the state of the subject, a RouteState for a route;
	// absent where there was or is none.
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// JournalReport is what reading the whole journal has shown: whether every event is the
// one that was written. GET /api/v1/journal/verify answers with it.
type JournalReport struct {
	Events   int64  `json:"events"`
	Segments int    `json:"segments"`                   // files of archived events
	Unnamed  int    `json:"unnamed_segments,omitempty"` // files of segments that the journal does not use, left by a crash or a restore
	Hash     string `json:"hash"`                       // of the last event, in hexadecimal
	Problem  string `json:"problem,omitempty"`          // what is wrong; empty if nothing is
}
