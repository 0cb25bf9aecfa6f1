// Package httpapi is the HTTP front of the data plane: the Open Inference
// Protocol, version 2, over fasthttp. It routes, frames, limits, decodes and
// answers; what is served it asks of a Predictor and a Catalog.
//
// Goroutines: fasthttp runs one for each connection; Run owns them and returns
// when they have ended.
package httpapi

import (
	"context"
	"fmt"
	"math"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire"
	"sluice.io/sluice/internal/wire/oip"
)

// Predictor answers inference requests. It must fill req.Served once it has
// picked a version, and must not keep req or its tensors.
type Predictor interface {
	Predict(ctx context.Context, req *infer.Request) (*infer.Response, error)
}

// Catalog is what the front knows of the models. Its errors are *infer.Error
// with texts for the caller: NotFound where a name or version is unknown,
// Unavailable while it is loading. Names given to it are valid strings only
// until it returns, but for what Load and Unload get, which it may keep.
type Catalog interface {
	Ready() bool
	// Model returns the signature of a ready version; version 0 is the default one.
	Model(name string, version int64) (*infer.Model, error)
	// Called returns what must be known of a called name before its body is read.
	// Errors as Model's.
	Called(name string, version int64) (infer.Called, error)
	// ModelReady returns nil where requests to a name or to one of its versions are
	// served, and else why they are not.
	ModelReady(name string, version int64) error
	Versions(name string) []int64 // that are ready, ascending
	Index(readyOnly bool) []api.ModelStatus
	// Statistics returns those of a model; an empty name means all models, and
	// version 0 all versions.
	Statistics(name string, version int64) ([]oip.ModelStatistics, error)
	// Load and Unload are Unavailable where models are not controlled by request.
	Load(ctx context.Context, name string, by api.Actor) error
	Unload(ctx context.Context, name string, by api.Actor) error
}

// CompatTriton makes the front answer as Triton does where the two differ and a
// client could depend on it.
const CompatTriton = "triton"

// Options are what a Server needs. Predictor, Catalog and Logger are required.
type Options struct {
	Address   string // ":8000"
	Predictor Predictor
	Catalog   Catalog
	Logger    *zap.Logger

	Version string // of the program, for the server's metadata
	Compat  string // "" or CompatTriton
	// Tokens are who may load and unload models, and the bearer token of each.
	// Without any, everyone may.
	Tokens    map[string]string
	Limits    Limits
	Encode    oip.EncodeOptions // how outputs are written
	AccessLog AccessLog
}

// Server is the HTTP front.
type Server struct {
	opts      Options
	limits    Limits
	timeouts  *timeouts // fasthttp has none of its own
	log       *zap.Logger
	sampled   *zap.Logger // for what a caller can cause at will
	triton    bool
	tokens    wire.Tokens
	access    *accessLog
	ids       *requestIDs
	codecs    codecs
	http      *fasthttp.Server
	listener  *listener
	exchanges sync.Pool
	spares    spares
	inFlight  atomic.Int64
	controls  atomic.Int64 // control documents in progress
	budget    budget       // of what all requests and answers hold
	unrouted  [infer.NumCodes]atomic.Int64
	draining  atomic.Bool   // every answer ends its connection
	turns     chan struct{} // a token for each long text that is being read

	// predictions is the context of every prediction. It never ends: over HTTP
	// nothing tells when a caller has gone, each request has a deadline of its own,
	// and watching a context would cost each an allocation and a lock.
	predictions context.Context //nolint:containedctx // shared by all requests
	// base is the context of loads and unloads; it ends when the server is cut off.
	base   context.Context //nolint:containedctx // the server's own lifetime
	cancel context.CancelFunc
}

// New checks the options; nothing listens yet.
func New(opts Options) (*Server, error) {
	if opts.Predictor == nil || opts.Catalog == nil || opts.Logger == nil {
		panic("BUG: httpapi.New needs a predictor, a catalog and a logger")
	}
	if opts.Compat != "" && opts.Compat != CompatTriton {
		return nil, fmt.Errorf("httpapi: compat is %q, expected nothing or %q", opts.Compat, CompatTriton)
	}
	limits := opts.Limits.withDefaults()
	if err := limits.validate(); err != nil {
		return nil, err
	}
	tokens, err := wire.NewTokens(opts.Tokens)
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts: opts, limits: limits, timeouts: newTimeouts(&limits), log: opts.Logger, triton: opts.Compat == CompatTriton, tokens: tokens,
		access: newAccessLog(opts.AccessLog, opts.Logger.Named("access")), ids: newRequestIDs(),
	}
	s.sampled = s.log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		const first, thereafter = 10, 100 // in a second
		return zapcore.NewSamplerWithOptions(core, time.Second, first, thereafter)
	}))
	s.turns = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1))
	s.budget.limit = limits.MaxBodyMemory
	s.exchanges.New = func() any {
		x := &exchange{srv: s}
		x.newCall()
		return x
	}
	s.predictions = context.Background() //nolint:forbidigo // as its comment says
	s.base, s.cancel = context.WithCancel(s.predictions)
	// What fasthttp has to say is about bad requests, which the access log shows.
	errorLog, err := zap.NewStdLogAt(opts.Logger, zapcore.DebugLevel)
	if err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	s.http = &fasthttp.Server{
		Handler:                      s.handle,
		ErrorHandler:                 s.handleBroken,
		ConnState:                    func(c net.Conn, state fasthttp.ConnState) { s.listener.state(c, state) },
		Logger:                       errorLog,
		Concurrency:                  math.MaxInt32, // the listener has the limit, and refuses with an answer
		ReadBufferSize:               limits.MaxHeaderBytes,
		MaxRequestBodySize:           limits.MaxBodyBytes,
		StreamRequestBody:            true, // see readBody
		HeaderReceived:               s.headerReceived,
		ExpectHandler:                s.expect,
		MaxRequestsPerConn:           limits.MaxRequestsPerConn,
		DisablePreParseMultipartForm: true, // a body is a body, whatever its Content-Type
		NoDefaultServerHeader:        true,
		NoDefaultDate:                true,
		NoDefaultContentType:         true,
		CloseOnShutdown:              true,
		SecureErrorLogMessage:        true,
	}
	return s, nil
}

// Listen takes the address, so that Run cannot fail for it.
func (s *Server) Listen() error {
	l, err := net.Listen("tcp", s.opts.Address) //nolint:noctx // it does not wait
	if err != nil {
		return fmt.Errorf("HTTP address %q: %w", s.opts.Address, err)
	}
	s.listener = newListener(l, s.limits.MaxConnections, s.timeouts, s.ids, s.log)
	return nil
}

// Addr returns the address that Listen took.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Unrouted returns how many inference requests were refused before a version was
// picked, by the name of the code. What could not be read as a request counts
// too, since nobody can tell what it was to be.
func (s *Server) Unrouted() map[string]int64 {
	counts := map[string]int64{}
	for code := range s.unrouted {
		if n := s.unrouted[code].Load(); n > 0 {
			counts[infer.Code(code).String()] = n
		}
	}
	return counts
}

// BodyMemory returns the bytes that requests and answers hold, of Limits.MaxBodyMemory.
func (s *Server) BodyMemory() int64 { return s.budget.taken.Load() }

// InFlight returns the inferences in progress.
func (s *Server) InFlight() int64 { return s.inFlight.Load() }

// Run serves what Listen took until Shutdown, or until ctx ends, which cuts
// connections off. It returns when every connection has ended.
func (s *Server) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.abort)()
	ctx, stop := context.WithCancel(ctx)
	s.timeouts.now() // before a connection asks
	var clock sync.WaitGroup
	clock.Go(func() { s.timeouts.run(ctx) })
	defer clock.Wait()
	defer stop()
	err := s.http.Serve(s.listener)
	if err != nil {
		s.abort()
		err = fmt.Errorf("HTTP listener: %w", err)
	}
	s.listener.open.Wait()
	return err
}

// Shutdown tells callers with their next answer that the connection ends, then
// takes no new connections, closes idle ones, finishes the requests in progress
// until ctx ends, and then cuts them off, which is its error.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.listener != nil {
		s.draining.Store(true)
		s.listener.bidFarewell(ctx)
	}
	err := s.http.ShutdownWithContext(ctx)
	s.abort()
	if err != nil {
		return fmt.Errorf("HTTP listener: requests were cut off: %w", err)
	}
	return nil
}

// abort ends everything at once.
func (s *Server) abort() {
	if s.listener != nil {
		s.listener.abort()
	}
	s.cancel()
}
