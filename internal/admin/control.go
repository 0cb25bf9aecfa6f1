package admin

import (
	"context"
	"time"

	"sluice.io/sluice/api"
)

// Control is what the side port may see and do of the gateway and its models.
type Control interface {
	Status() api.ServerStatus
	// Config returns the configuration that is in effect, secrets hidden.
	Config() map[string]any
	// Ready returns nil if requests can be served, else why not.
	Ready() error
	// Models returns every version of every model that is known.
	Models() []api.ModelStatus
	Load(ctx context.Context, name string, by api.Actor) error
	Unload(ctx context.Context, name string, by api.Actor) error
	Reload(ctx context.Context, by api.Actor) (api.ReloadResult, error)
}

// RouteControl is what it may see and do of the routes.
type RouteControl interface {
	// Routes returns the declared and the implied ones, sorted by name.
	Routes() []api.Route
	// Route and RouteStats fail with NotFound.
	Route(name string) (api.Route, error)
	RouteStats(name string) (api.RouteStats, error)
	// SetRoute gets a completed route that has passed its own check, but for the
	// seed: none keeps the one that the route has. It fails with Precondition where
	// the route is at another revision than the edit's.
	SetRoute(ctx context.Context, route api.Route, edit Edit) (api.RouteResult, error)
	DeleteRoute(ctx context.Context, name string, edit Edit) (api.RouteResult, error)
	// Events returns up to limit events after a sequence number that a filter chooses.
	Events(after int64, limit int, filter EventFilter) ([]api.Event, error)
	// VerifyJournal reads all events, which may take some seconds.
	VerifyJournal(ctx context.Context) (api.JournalReport, error)
	// ServedAt returns what served a route, or a model by its own name, at a time. It
	// fails with NotFound if nothing is known of the name or of that time, and with
	// Invalid for a time to come.
	ServedAt(name string, at time.Time) (api.ServedAt, error)
}

// EventFilter chooses events of the journal. The zero value chooses all.
type EventFilter struct {
	Subject      string    // empty is any
	Types        []string  // any of these; one that ends in "." stands for all that begin with it
	Since, Until time.Time // both included; zero is no bound
}

// DriftControl is what it may see and do of drift, and of the signals that come of it.
type DriftControl interface {
	// Drift returns where every version in every role stands that is compared with a
	// reference, sorted by model, version and role.
	Drift() []api.DriftStatus
	// Signals returns the signals that are open and the last ones that are not, the
	// oldest first.
	Signals() []api.Signal
	// RetrySignal and CloseSignal fail with NotFound, and with Conflict where the
	// signal's state has no use for it.
	RetrySignal(id string) (api.Signal, error)
	CloseSignal(id string, by api.Actor) (api.Signal, error)
}

// AnyRevision is the revision of an edit to whatever the route is now.
const AnyRevision = -1

// Edit says how a route is to be changed.
type Edit struct {
	Revision int64 // that the change is made to, from If-Match; AnyRevision for "*"
	DryRun   bool  // answer what would be, and change nothing
	By       api.Actor
}
