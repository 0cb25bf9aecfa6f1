package admin

import (
	"context"
	"io"
	"time"

	"sluice.io/sluice/api"
)

// Control gives the admin port access to the gateway and its models.
type Control interface {
	Status() api.ServerStatus
	// Config returns the configuration in effect, without secrets.
	Config() map[string]any
	// Ready returns nil if the gateway can serve requests, and otherwise an error.
	Ready() error
	// Models returns every known version of every model.
	Models() []api.ModelStatus
	Load(ctx context.Context, name string, by api.Actor) error
	Unload(ctx context.Context, name string, by api.Actor) error
	Reload(ctx context.Context, by api.Actor) (api.ReloadResult, error)
}

// RouteControl gives the admin port access to the routes and the journal.
type RouteControl interface {
	// Routes returns the declared and the implied routes, sorted by name.
	Routes() []api.Route
	// Route, RouteStats and ShadowReport fail with NotFound.
	Route(name string) (api.Route, error)
	RouteStats(name string) (api.RouteStats, error)
	ShadowReport(name string) (api.ShadowReport, error)
	// SetRoute replaces a route. The new one is completed and checked, except that an empty
	// seed keeps the current one. SetRoute fails with Precondition if the route has another
	// revision than the edit.
	SetRoute(ctx context.Context, route api.Route, edit Edit) (api.RouteResult, error)
	DeleteRoute(ctx context.Context, name string, edit Edit) (api.RouteResult, error)
	// Events returns up to limit events after a sequence number that a filter selects.
	Events(after int64, limit int, filter EventFilter) ([]api.Event, error)
	// VerifyJournal reads all events, which may take seconds.
	VerifyJournal(ctx context.Context) (api.JournalReport, error)
	// ExportJournal writes the events after a sequence number that a filter selects as JSON lines with hashes. An
	// error before the first byte is one of the request.
	ExportJournal(after int64, filter EventFilter, w io.Writer) error
	// ServedAt returns what served a route, or a model by its own name, at a time. Errors:
	// NotFound if the journal does not know the name or the time, Invalid for a time in the
	// future.
	ServedAt(name string, at time.Time) (api.ServedAt, error)
}

// EventFilter selects events of the journal. The zero value selects all.
type EventFilter struct {
	Subject      string    // empty selects any
	Types        []string  // any of these; one that ends in "." is a prefix
	Since, Until time.Time // both inclusive; zero is not a bound
	Before       int64     // the number of an event that is too late; 0 is not a bound
	Newest       bool      // the newest ones first
}

// DriftControl gives the admin port access to drift and signals.
type DriftControl interface {
	// Drift returns the status of every stream, sorted by model, version and role.
	Drift() []api.DriftStatus
	// DriftReport returns the streams of a model with the distributions of their features.
	DriftReport(model string) []api.DriftReport
	// Signals returns the open signals and the last ones that are not open, the oldest
	// first.
	Signals() []api.Signal
	// RetrySignal and CloseSignal fail with NotFound, and with Conflict if the signal's
	// state does not allow it.
	RetrySignal(id string) (api.Signal, error)
	CloseSignal(id string, by api.Actor) (api.Signal, error)
}

// LabelControl gives the admin port access to measured performance.
type LabelControl interface {
	// LabelReports returns the reports of all models of which predictions are or were kept.
	LabelReports() ([]api.LabelReport, error)
	// LabelReport returns the report of one model, an empty one if it has none.
	LabelReport(model string) (api.LabelReport, error)
}

// CaptureControl gives the admin port access to captured traffic.
type CaptureControl interface {
	// Captured returns what is captured of each model of which something is or was captured.
	Captured(ctx context.Context) ([]api.Captured, error)
	// CaptureFiles returns the files of a model that a range selects, by path.
	CaptureFiles(ctx context.Context, model string, of api.CaptureRange) ([]api.CaptureFile, error)
	// ExportCapture writes the rows of a model that a range selects. An error before the first byte
	// is one of the request.
	ExportCapture(ctx context.Context, model string, of api.CaptureRead, w io.Writer, by api.Actor) (api.CaptureExport, error)
	// DeleteCaptured removes a request of a model.
	DeleteCaptured(ctx context.Context, model, id string, by api.Actor) (api.CaptureDeletion, error)
}

// RolloutControl gives the admin port access to rollouts. Errors of a change: Conflict if the state of the rollout does not
// allow it, Unavailable if the journal cannot be written.
type RolloutControl interface {
	// Rollouts returns the last rollout of each route, sorted by route.
	Rollouts() []api.Rollout
	// RolloutHistory returns the last rollouts of a route, the newest first. It fails with NotFound.
	RolloutHistory(route string) ([]api.Rollout, error)
	// PlanRollout says what a rollout would do. The spec is completed and checked, as that of StartRollout.
	PlanRollout(ctx context.Context, spec api.RolloutSpec) (api.RolloutPlan, error)
	StartRollout(ctx context.Context, spec api.RolloutSpec, by api.Actor) (api.Rollout, error)
	PauseRollout(ctx context.Context, route string, by api.Actor) (api.Rollout, error)
	ResumeRollout(ctx context.Context, route string, by api.Actor) (api.Rollout, error)
	PromoteRollout(ctx context.Context, route string, by api.Actor) (api.Rollout, error)
	AbortRollout(ctx context.Context, route string, by api.Actor) (api.Rollout, error)
	// ApproveRollout adds the approval of a caller in groups.
	ApproveRollout(ctx context.Context, route string, by api.Actor, groups []string) (api.Rollout, error)
	// UnfreezeRollouts allows rollouts again after two rollbacks in a row.
	UnfreezeRollouts(ctx context.Context, route string, by api.Actor) (api.Rollout, error)
}

// AnyRevision is the Revision of an Edit that accepts any revision of the route.
const AnyRevision = -1

// Edit has the conditions of a change of a route.
type Edit struct {
	Revision int64 // the revision to change, from If-Match; AnyRevision for "*"
	DryRun   bool  // answer the result without changing anything
	By       api.Actor
}
