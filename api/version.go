package api

import "time"

// The types of events about what serves. The field after is a VersionChange for
// version.*, batching.* and breaker.*, a DefaultChange for default.changed, and a
// GatewayStart for gateway.started. These events together give what served at any time.
const (
	EventVersionLoaded   = "version.loaded"   // the version serves, and did not before
	EventVersionReplaced = "version.replaced" // the version was loaded again and serves, from other files or with other settings
	EventVersionRetired  = "version.retired"  // the version stopped serving: it was replaced, or is not used any more
	EventVersionUnloaded = "version.unloaded" // the version stopped serving, since a call unloaded its model
	EventVersionFailed   = "version.failed"   // the version could not be loaded; what served before continues

	EventBreakerOpened = "breaker.opened" // routes send the version no requests for a while
	EventBreakerClosed = "breaker.closed"

	EventBatchingEnabled  = "batching.enabled"  // real requests have shown that they can be joined
	EventBatchingDisabled = "batching.disabled" // real requests have shown that they cannot be joined

	// EventDefaultChanged says which version answers requests to a model by its own name if
	// there is no route of that name.
	EventDefaultChanged = "default.changed"

	EventGatewayStarted = "gateway.started" // nothing serves until later events say so
	EventGatewayStopped = "gateway.stopped" // nothing serves any more
)

// SubjectGateway is the subject of gateway.started and gateway.stopped.
const SubjectGateway = "gateway"

// The causes for which a version starts or stops serving.
const (
	CauseStart    = "start"
	CausePoll     = "poll"     // files of the repository changed
	CauseReload   = "reload"   // the gateway read the configuration again
	CauseCall     = "call"     // a call to load or to unload a model
	CauseRoute    = "route"    // an edit of a route
	CauseAlias    = "alias"    // an alias got another version
	CausePush     = "push"     // a version was pushed, archived, restored or deleted
	CauseRequests = "requests" // the outcome of requests; for breakers and batching
)

// The roles in which a version is loaded. Each role has a copy of its own.
const (
	RoleLive   = "live"   // it answers callers
	RoleShadow = "shadow" // it gets copies of requests
)

// VersionChange is the field after of an event about a version. The event's subject names
// the version too: "models/iris/3".
type VersionChange struct {
	Model   string `json:"model"`
	Version int64  `json:"version"`
	Role    string `json:"role"`
	// Digest is the digest of the files that serve, served until now, or failed,
	// "sha256:…". Absent if the gateway could not read the files.
	Digest string `json:"digest,omitempty"`
	Was    string `json:"was,omitempty"` // the digest that was replaced
	// Files identifies the files of a version that failed and has no digest.
	Files    string     `json:"files,omitempty"`
	LoadedAt *time.Time `json:"loaded_at,omitempty"` // when the version became ready
	// Validation is what the load has shown, of a version that serves now.
	Validation *Validation `json:"validation,omitempty"`
	Cause      string      `json:"cause"`
	Reason     string      `json:"reason,omitempty"` // of a failure, of a breaker's change, or of why requests are joined or not
}

// DefaultChange is the field after of default.changed. The event's subject is the model:
// "models/iris".
type DefaultChange struct {
	Model   string `json:"model"`
	Version int64  `json:"version"` // 0 if there is none
	Was     int64  `json:"was"`
	Cause   string `json:"cause"`
}

// GatewayStart is the field after of gateway.started.
type GatewayStart struct {
	Version  string `json:"version"`            // of the program
	Revision string `json:"revision,omitempty"` // of its source code
	// Before says how the last gateway that wrote the journal ended. Absent at the first
	// start.
	Before *GatewayEnd `json:"before,omitempty"`
}

// How a gateway ended.
const (
	EndStopped = "stopped" // by a regular stop, at LastAlive
	EndKilled  = "killed"  // at some time between LastAlive and the next start
	// EndUnknown is for a gateway that wrote no events of starts and stops.
	EndUnknown = "unknown"
)

// GatewayEnd says how and when a gateway ended.
type GatewayEnd struct {
	How       string    `json:"how"`        // stopped, killed or unknown
	LastAlive time.Time `json:"last_alive"` // the last time at which it is known to have run
}

// The state of the gateway at a time in the past.
const (
	GatewayUp      = "up"
	GatewayDown    = "down"    // it had stopped regularly
	GatewayKilled  = "killed"  // it stopped at an unknown time between LastAlive and NextStart
	GatewayUnknown = "unknown" // the journal has no start before that time
)

// StateUnknown is the state of a version at a time for which the journal has no events of
// versions.
const StateUnknown = "UNKNOWN"

// ServedAt answers GET /api/v1/routes/{name}?at=T: what served a name at that time.
type ServedAt struct {
	Name    string    `json:"name"`
	Model   string    `json:"model"`
	At      time.Time `json:"at"`
	Event   int64     `json:"event"` // the number of the last event up to that time
	Gateway GatewayAt `json:"gateway"`
	// Revision is the revision of the route. 0 means that no route of that name was
	// declared: the model's default version served, and is the only variant.
	Revision int64 `json:"revision"`
	// Change is the event that made the revision, without before and after. Absent if
	// revision is 0.
	Change   *Event      `json:"change,omitempty"`
	Variants []VariantAt `json:"variants"`
	Shadows  []ShadowAt  `json:"shadows"`
	Sticky   Sticky      `json:"sticky,omitzero"`
	Fallback *VersionAt  `json:"fallback,omitempty"` // the version that served instead of a variant that could not
}

// GatewayAt is the state of the gateway at a time in the past.
type GatewayAt struct {
	State     string     `json:"state"`                // up, down, killed or unknown
	Version   string     `json:"version,omitempty"`    // of the program that ran last
	StartedAt *time.Time `json:"started_at,omitempty"` // when it started
	StoppedAt *time.Time `json:"stopped_at,omitempty"` // if it was down: when it stopped
	LastAlive *time.Time `json:"last_alive,omitempty"` // if it was killed: the last time at which it is known to have run
	NextStart *time.Time `json:"next_start,omitempty"` // if it was down or killed: when it started again; absent if it has not
}

// VersionAt is a version at a time.
type VersionAt struct {
	Version  int64      `json:"version"`
	State    string     `json:"state"`            // READY, UNAVAILABLE for the given reason, or UNKNOWN
	Digest   string     `json:"digest,omitempty"` // of the files that served
	LoadedAt *time.Time `json:"loaded_at,omitempty"`
	Breaker  string     `json:"breaker,omitempty"` // open or closed; only for a version that was READY, and not for a shadow
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
	Sample int `json:"sample"` // the share of answered requests that was copied, in basis points
}
