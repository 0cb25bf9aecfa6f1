// Package front is what the listeners of the data plane share, whatever protocol they
// speak: what they know of the models, who may have how many requests in progress and
// how much memory, ids of requests, who asks for a change, the access log, and counters.
// A listener is then codec, endpoints and framing.
package front

import (
	"context"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire"
)

// Predictor answers inference requests. It must fill req.Served once it has
// picked a version, and must not keep req or its tensors.
type Predictor interface {
	Predict(ctx context.Context, req *infer.Request) (*infer.Response, error)
}

// Catalog is what is known of the models. Its errors are *infer.Error with texts for the
// caller: NotFound if a name or version is unknown, Unavailable while it is loading. Names
// given to it are valid strings only until it returns, but for what Load and Unload get,
// which it may keep.
type Catalog interface {
	Ready() bool
	// Model returns the signature of a ready version; version 0 is the default one.
	Model(name string, version int64) (*infer.Model, error)
	// Called returns what must be known of a called name before its body is read.
	// Errors as Model's.
	Called(name string, version int64) (infer.Called, error)
	// ModelReady returns nil if requests to a name or to one of its versions are
	// served, and else why they are not.
	ModelReady(name string, version int64) error
	Versions(name string) []int64 // that are ready, ascending
	// DefaultModel returns the name that a path without one calls. NotFound if there is none.
	DefaultModel() (string, error)
	Index(readyOnly bool) []api.ModelStatus
	// Load and Unload are Unavailable unless models are controlled by request.
	Load(ctx context.Context, name string, by api.Actor) error
	Unload(ctx context.Context, name string, by api.Actor) error
}

// Limits bound what requests of all listeners together may take.
type Limits struct {
	MaxInFlight        int   // inferences in progress, beyond it Overloaded
	MaxControlInFlight int   // calls of the model repository in progress, beyond it Overloaded
	MaxMemory          int64 // bytes that requests and answers hold, beyond it Overloaded
}

// Options are what a Front needs. All are required, but for Tokens and AccessLog.
type Options struct {
	Predictor Predictor
	Catalog   Catalog
	Log       *zap.Logger
	Bounds    Limits
	// Tokens are who may load and unload models, and the bearer token of each.
	// Without any, everyone may.
	Tokens    map[string]string
	AccessLog AccessLog
}

// Front is shared by all listeners. Its methods may be called from any goroutine.
type Front struct {
	Predictor
	Catalog

	limits   Limits
	log      *zap.Logger
	sampled  *zap.Logger // for what a caller can cause at will
	tokens   *wire.Tokens
	access   *accessLog
	ids      *requestIDs
	budget   budget
	requests counters
}

// New returns a Front.
func New(o Options) (*Front, error) {
	if o.Predictor == nil || o.Catalog == nil || o.Log == nil || o.Bounds.MaxInFlight < 1 || o.Bounds.MaxControlInFlight < 1 || o.Bounds.MaxMemory < 1 {
		panic("BUG: front.New needs a predictor, a catalog, a logger and limits")
	}
	if o.AccessLog.Enabled && (o.AccessLog.SampleEvery < 1 || o.AccessLog.MaxErrors < 1) {
		panic("BUG: front.New needs SampleEvery and MaxErrors of an access log")
	}
	tokens, err := wire.NewTokens(o.Tokens)
	if err != nil {
		return nil, err
	}
	f := &Front{
		Predictor: o.Predictor, Catalog: o.Catalog, limits: o.Bounds, log: o.Log, tokens: tokens,
		access: newAccessLog(o.AccessLog, o.Log.Named("access")), ids: newRequestIDs(),
	}
	f.budget.limit = o.Bounds.MaxMemory
	f.sampled = o.Log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		const first, thereafter = 10, 100 // in a second
		return zapcore.NewSamplerWithOptions(core, time.Second, first, thereafter)
	}))
	return f, nil
}

// SetTokens takes other tokens from now on, or changes nothing.
func (f *Front) SetTokens(tokens map[string]string) error { return f.tokens.Replace(tokens) }

// SetAccessLog logs requests as l says from now on. It is as complete as Options' must be.
func (f *Front) SetAccessLog(l AccessLog) { f.access.opts.Store(&l) }

// AppendRequestID appends the id of a request: the caller's own if it is valid, else a
// new one.
func (f *Front) AppendRequestID(dst, given []byte) []byte { return f.ids.append(dst, given) }

// Hold takes a reservation into use for a request. End gives back what it holds.
func (f *Front) Hold(r *Reservation) { r.begin(&f.budget) }

// Scarce reports whether requests hold more than half of the memory. Then none should
// hold what it can do without.
func (f *Front) Scarce() bool { return f.budget.taken.Load() > f.budget.limit/2 }

// Memory returns the bytes that requests and answers hold.
func (f *Front) Memory() int64 { return f.budget.taken.Load() }

// Logs reports whether a request that has ended with a code is to be logged, with
// LogAccess.
func (f *Front) Logs(code infer.Code, arrived time.Time) bool { return f.access.wants(code, arrived) }

// LogAccess writes the line of a request. The strings in it are copied.
func (f *Front) LogAccess(a *Access) { f.access.write(a) }
