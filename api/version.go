package api

import "time"

// The types of events that say what serves. VersionChange is the state after those
// of versions, batching and breakers, DefaultChange after default.changed, GatewayStart after
// gateway.started. What serves at a time is a fold over them.
const (
	EventVersionLoaded   = "version.loaded"   // it serves, and nothing of it did before
	EventVersionReplaced = "version.replaced" // it was loaded anew and serves, from other files or with other settings
	EventVersionRetired  = "version.retired"  // it serves no longer: something took over, or nothing wants it
	EventVersionUnloaded = "version.unloaded" // it serves no longer, since a call unloaded its model
	EventVersionFailed   = "version.failed"   // it could not be loaded; what served before goes on

	EventBreakerOpened = "breaker.opened" // the version gets no requests from routes for a while
	EventBreakerClosed = "breaker.closed"

	EventBatchingEnabled  = "batching.enabled"  // real requests have shown that they can be joined
	EventBatchingDisabled = "batching.disabled" // or that they cannot

	// EventDefaultChanged says which version answers those who call a model by its own
	// name while no route of that name is declared.
	EventDefaultChanged = "default.changed"

	EventGatewayStarted = "gateway.started" // nothing serves until events after it say so
	EventGatewayStopped = "gateway.stopped" // nothing serves any more
)

// SubjectGateway is the subject of gateway.started and gateway.stopped.
const SubjectGateway = "gateway"

// The causes for which a version begins or ceases to serve.
const (
	CauseStart    = "start"
	CausePoll     = "poll"     // files of the repository have changed
	CauseReload   = "reload"   // the configuration was read again
	CauseCall     = "call"     // a call to load or to unload a model
	CauseRoute    = "route"    // an edit of a route
	CauseRequests = "requests" // what requests have shown; of breakers and batching
)

// The roles in which a version is loaded. In each it is loaded apart.
const (
	RoleLive   = "live"   // it answers callers
	RoleShadow = "shadow" // it gets copies
)

// VersionChange is what an event says of a version, which the event's subject names
// as well: "models/iris/3".
type VersionChange struct {
	Model   string `json:"model"`
	Version int64  `json:"version"`
	Role    string `json:"role"`
	// Digest identifies the files, "sha256:…": those that serve, served until now, or
	// failed. A version whose files could not be read has none.
	Digest string `json:"digest,omitempty"`
	Was    string `json:"was,omitempty"` // the digest that was replaced
	// Files stands for the files of a version that failed and has no digest.
	Files    string     `json:"files,omitempty"`
	LoadedAt *time.Time `json:"loaded_at,omitempty"` // when what serves was ready
	Cause    string     `json:"cause"`
	Reason   string     `json:"reason,omitempty"` // of a failure or of a breaker's change, or why requests are joined or not
}

// DefaultChange is what default.changed says of a model, its subject "models/iris".
type DefaultChange struct {
	Model   string `json:"model"`
	Version int64  `json:"version"` // 0 is none
	Was     int64  `json:"was"`
	Cause   string `json:"cause"`
}

// GatewayStart is what gateway.started says.
type GatewayStart struct {
	Version  string `json:"version"`            // of the program
	Revision string `json:"revision,omitempty"` // of its source code
	// Before says how the gateway that wrote the journal last came to its end; absent
	// at the first start.
	Before *GatewayEnd `json:"before,omitempty"`
}

// How a gateway ended.
const (
	EndStopped = "stopped" // in order; LastAlive is when
	EndKilled  = "killed"  // at some time between LastAlive and the next start
	// EndUnknown is of a gateway that wrote no events of starts and stops.
	EndUnknown = "unknown"
)

// GatewayEnd is how a gateway came to its end.
type GatewayEnd struct {
	How       string    `json:"how"`
	LastAlive time.Time `json:"last_alive"` // its last sign of life
}

// What was known of the gateway at a time.
const (
	GatewayUp      = "up"
	GatewayDown    = "down"    // it had stopped in order
	GatewayKilled  = "killed"  // it stopped between LastAlive and NextStart, before or after that time
	GatewayUnknown = "unknown" // the journal has no start from before that time
)

// StateUnknown is the state of a version at a time from which the journal has no
// events of versions.
const StateUnknown = "UNKNOWN"

// ServedAt answers GET /api/v1/routes/{name}?at=T: what served a name at that time.
type ServedAt struct {
	Name    string    `json:"name"`
	Model   string    `json:"model"`
	At      time.Time `json:"at"`
	Event   int64     `json:"event"` // the last event of the journal by then
	Gateway GatewayAt `json:"gateway"`
	// Revision is the route's, and Change the event that made it, without the states.
	// 0 and no change: no route of that name was declared, and the model's default
	// version served, which is then the only variant.
	Revision int64       `json:"revision"`
	Change   *Event      `json:"change,omitempty"`
	Variants []VariantAt `json:"variants"`
	Shadows  []ShadowAt  `json:"shadows"`
	Sticky   Sticky      `json:"sticky,omitzero"`
	Fallback *VersionAt  `json:"fallback,omitempty"` // the version that served for a variant that could not
}

// GatewayAt is what is known of the gateway at a time.
type GatewayAt struct {
	State     string     `json:"state"`                // up, down, killed or unknown
	Version   string     `json:"version,omitempty"`    // of the program that ran last
	StartedAt *time.Time `json:"started_at,omitempty"` // when it had started
	StoppedAt *time.Time `json:"stopped_at,omitempty"` // down: when it had stopped
	LastAlive *time.Time `json:"last_alive,omitempty"` // killed: its last sign of life
	NextStart *time.Time `json:"next_start,omitempty"` // down and killed: absent if it is yet to come
}

// VersionAt is a version at a time.
type VersionAt struct {
	Version  int64      `json:"version"`
	State    string     `json:"state"`            // READY; UNAVAILABLE for the reason given; UNKNOWN
	Digest   string     `json:"digest,omitempty"` // of the files that served
	LoadedAt *time.Time `json:"loaded_at,omitempty"`
	Breaker  string     `json:"breaker,omitempty"` // open or closed; of a version that was READY, not of a shadow
	Reason   string     `json:"reason,omitempty"`
}

// VariantAt is a variant of a route at a time.
type VariantAt struct {
	VersionAt
	Weight int    `json:"weight"` // basis points
	Role   string `json:"role"`
}

// ShadowAt is a shadow of a route at a time.
type ShadowAt struct {
	VersionAt
	Sample int `json:"sample"` // basis points of the answered requests
}
