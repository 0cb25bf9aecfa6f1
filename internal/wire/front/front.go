// Package front is the common part of the data plane's listeners, for any protocol: access to the
// models, limits on requests in progress and on memory, ids of requests, authors of changes, the
// access log, and counters. A listener adds codec, endpoints and framing.
package front

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

// Predictor answers inference requests. It must fill req.Served after it has picked a version, and
// must not keep req or its tensors.
type Predictor interface {
	Predict(ctx context.Context, req *infer.Request) (*infer.Response, error)
}

// Catalog gives access to the models. Its errors are *infer.Error with texts for the caller:
// NotFound if a name or version is unknown, Unavailable while it is loading. A name passed to it is
// valid only until the call returns. Load and Unload may keep theirs.
type Catalog interface {
	Ready() bool
	// Model returns the signature of a ready version; version 0 means the default one.
	Model(name string, version int64) (*infer.Model, error)
	// Called returns the data about a called name that must be known before its body is read. It
	// has the same errors as Model.
	Called(name string, version int64) (infer.Called, error)
	// Labelled returns the version of an alias of a name's model. NotFound if there is none.
	Labelled(name, label string) (int64, error)
	// ModelReady returns nil if requests to a name, or to one of its versions, are served.
	// Otherwise the error has the reason.
	ModelReady(name string, version int64) error
	Versions(name string) []int64 // the ready ones, ascending
	// DefaultModel returns the model of a path without a name. NotFound if there is none.
	DefaultModel() (string, error)
	Index(readyOnly bool) []api.ModelStatus
	// Load and Unload return Unavailable unless models are controlled by request.
	Load(ctx context.Context, name string, by api.Actor) error
	Unload(ctx context.Context, name string, by api.Actor) error
}

// Limits bound the requests of all listeners together.
type Limits struct {
	MaxInFlight        int   // inferences in progress; more are Overloaded
	MaxControlInFlight int   // calls of the model repository in progress; more are Overloaded
	MaxMemory          int64 // bytes that requests and answers hold; more are Overloaded
}

// Options are the inputs of a Front. All are required except AccessLog and Tracer.
type Options struct {
	Predictor Predictor
	Catalog   Catalog
	Settings  Settings
	Log       *zap.Logger
	Bounds    Limits
	// Callers has who may do what. A new book is stored there.
	Callers   *atomic.Pointer[callers.Book]
	AccessLog AccessLog
	Tracer    Tracer // nil: nothing is traced
}

// Front is shared by all listeners. Its methods may be called from any goroutine.
type Front struct {
	Predictor
	Catalog
	Settings

	limits   Limits
	log      *zap.Logger
	sampled  *zap.Logger // for errors that a caller can cause at will
	callers  *atomic.Pointer[callers.Book]
	access   *accessLog
	tracer   Tracer // nil: nothing is traced
	ids      *requestIDs
	budget   budget
	requests counters
}

// New returns a Front.
func New(o Options) (*Front, error) {
	if o.Predictor == nil || o.Catalog == nil || o.Settings == nil || o.Log == nil || o.Callers == nil || o.Callers.Load() == nil || o.Bounds.MaxInFlight < 1 || o.Bounds.MaxControlInFlight < 1 || o.Bounds.MaxMemory < 1 {
		panic("BUG: front.New needs a predictor, a catalog, settings, a logger, callers and limits")
	}
	if o.AccessLog.Enabled && (o.AccessLog.SampleEvery < 1 || o.AccessLog.MaxErrors < 1) {
		panic("BUG: front.New needs SampleEvery and MaxErrors of an access log")
	}
	f := &Front{
		Predictor: o.Predictor, Catalog: o.Catalog, Settings: o.Settings, limits: o.Bounds, log: o.Log, callers: o.Callers,
		access: newAccessLog(o.AccessLog, o.Log.Named("access")), tracer: o.Tracer, ids: newRequestIDs(),
	}
	f.budget.limit = o.Bounds.MaxMemory
	f.sampled = o.Log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		const first, thereafter = 10, 100 // in a second
		return zapcore.NewSamplerWithOptions(core, time.Second, first, thereafter)
	}))
	return f, nil
}

// SetAccessLog replaces the settings of the access log. The rules for Options.AccessLog apply.
func (f *Front) SetAccessLog(l AccessLog) { f.access.opts.Store(&l) }

// AppendRequestID appends the id of a request: the caller's id if it is valid, otherwise a new one.
func (f *Front) AppendRequestID(dst, given []byte) []byte { return f.ids.append(dst, given) }

// Hold starts the use of a reservation for a request. End returns its bytes.
func (f *Front) Hold(r *Reservation) { r.begin(&f.budget) }

// Scarce reports whether requests hold more than half of the memory. A request should then hold
// only what it needs.
func (f *Front) Scarce() bool { return f.budget.taken.Load() > f.budget.limit/2 }

// Memory returns the bytes that requests and answers hold.
func (f *Front) Memory() int64 { return f.budget.taken.Load() }

// Logs reports whether a finished request with this code must be logged, with LogAccess.
func (f *Front) Logs(code infer.Code, arrived time.Time) bool { return f.access.wants(code, arrived) }

// LogAccess writes the log line of a request. It copies the strings.
func (f *Front) LogAccess(a *Access) { f.access.write(a) }
