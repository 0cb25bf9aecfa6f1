// Package httpapi is the HTTP listener of the data plane: the Open Inference Protocol, version 2,
// over fasthttp. It frames, limits, decodes and answers. A front.Front has the parts that it shares
// with other listeners.
//
// Goroutines: fasthttp runs one for each connection. Run owns them and returns when they have
// ended.
//
// The package is large because fasthttp leaves to it what a body costs and how long a connection
// may take: reading within a budget, compression, framing and deadlines are here.
package httpapi

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"net"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/oip"
	"sluice.io/sluice/internal/wire/rows"
)

// Describer tells how versions are served and what they have done.
type Describer interface {
	// Statistics returns the statistics of a model. An empty name means all models, and version 0
	// all versions. It has the same errors as front.Catalog.
	Statistics(name string, version int64) ([]oip.ModelStatistics, error)
	// ModelConfig returns how a ready version is served. Version 0 means the default one. It has the
	// same errors as front.Catalog.
	ModelConfig(name string, version int64) (oip.ModelConfig, error)
}

// CompatTriton makes the listener answer like Triton if the two differ and a client could depend on
// it.
const CompatTriton = "triton"

// Options are the inputs of a Server. Front, Describer, Labels and Logger are required.
type Options struct {
	Address   string // ":8000"
	Front     *front.Front
	Describer Describer
	Labels    Labels
	Logger    *zap.Logger

	Version string // of the program, for the server's metadata
	Compat  string // "" or CompatTriton
	Limits  Limits
	Hosts   []string // host names that requests may have, without ports; none: any
	CORS    CORS
	Encode  oip.EncodeOptions // how outputs are written
	// RowsNonFinite is the form of NaN and the infinities in answers with rows.
	RowsNonFinite rows.NonFinite
	// TLS encrypts the connections; nil: plain HTTP. It must not offer HTTP/2.
	TLS *tls.Config
}

// Server is the HTTP listener.
type Server struct {
	opts     Options
	front    *front.Front
	limits   Limits
	timeouts *timeouts // replaces fasthttp's own timeouts
	log      *zap.Logger
	triton   bool
	cors     *cors // nil: off
	// v1NonFinite is opts.Encode.NonFinite for V1 answers.
	v1NonFinite rows.NonFinite
	codecs      codecs
	http        *fasthttp.Server
	listener    *listener
	handshakes  *handshakes // nil: plain HTTP
	exchanges   sync.Pool
	spares      spares
	draining    atomic.Bool   // every answer closes its connection
	turns       chan struct{} // a token for each long computation

	// predictions is the context of every prediction. It never ends: each request has its own deadline
	// and the presence of its caller, and watching a context would cost each request an allocation and a lock.
	predictions context.Context //nolint:containedctx // shared by all requests
	// base is the context of loads and unloads. It ends when the server is aborted.
	base   context.Context //nolint:containedctx // the server's own lifetime
	cancel context.CancelFunc
}

// New checks the options. It does not listen.
func New(opts Options) (*Server, error) {
	if opts.Front == nil || opts.Describer == nil || opts.Labels == nil || opts.Logger == nil {
		panic("BUG: httpapi.New needs a front, a describer, labels and a logger")
	}
	if opts.Compat != "" && opts.Compat != CompatTriton {
		return nil, fmt.Errorf("httpapi: compat is %q, expected nothing or %q", opts.Compat, CompatTriton)
	}
	checkNeeds()
	limits := opts.Limits
	if err := limits.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		opts: opts, front: opts.Front, limits: limits, timeouts: newTimeouts(&limits), log: opts.Logger, triton: opts.Compat == CompatTriton,
		v1NonFinite: rowsNonFinite(opts.Encode.NonFinite), cors: newCORS(&opts.CORS),
	}
	if opts.TLS != nil {
		s.handshakes = &handshakes{config: opts.TLS, timeout: limits.HandshakeTimeout, log: opts.Logger}
	}
	s.turns = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1))
	s.exchanges.New = func() any {
		x := &exchange{srv: s}
		x.newCall()
		return x
	}
	s.predictions = context.Background() //nolint:forbidigo // see the field's comment
	s.base, s.cancel = context.WithCancel(s.predictions)
	// fasthttp logs bad requests, which the access log has too.
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
		DisablePreParseMultipartForm: true, // a body is not parsed, whatever its Content-Type is
		NoDefaultServerHeader:        true,
		NoDefaultDate:                true,
		NoDefaultContentType:         true,
		CloseOnShutdown:              true,
		SecureErrorLogMessage:        true,
	}
	return s, nil
}

// Listen opens the address, so that Run cannot fail because of it.
func (s *Server) Listen() error {
	l, err := net.Listen("tcp", s.opts.Address) //nolint:noctx // it does not block
	if err != nil {
		return fmt.Errorf("HTTP address %q: %w", s.opts.Address, err)
	}
	s.listener = newListener(l, s.limits.MaxConnections, s.timeouts, s.front, s.log)
	return nil
}

// Addr returns the address of the listener.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run serves until Shutdown, or until ctx ends, which cuts off all connections. It returns after
// every connection has ended. Call Listen first.
func (s *Server) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.abort)()
	ctx, stop := context.WithCancel(ctx)
	s.timeouts.now() // before a connection needs it
	var clock sync.WaitGroup
	clock.Go(func() { s.timeouts.run(ctx) })
	defer clock.Wait()
	defer stop()
	var accepts net.Listener = s.listener
	if s.handshakes != nil {
		s.listener.secure = true
		accepts = &secureListener{s.listener, s.handshakes}
	}
	err := s.http.Serve(accepts)
	if err != nil {
		s.abort()
		err = fmt.Errorf("HTTP listener: %w", err)
	}
	s.listener.open.Wait()
	return err
}

// Shutdown tells callers with their next answer that the connection ends. Then it accepts no new
// connections, closes idle ones, and finishes the requests in progress until ctx ends. It cuts off
// the rest, and returns an error if there were any.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.listener != nil {
		s.draining.Store(true)
		s.listener.bidFarewell(ctx)
	}
	// fasthttp closes idle connections one by one and writes to each over TLS, so it may not
	// look at ctx in time.
	var cutOff atomic.Bool
	defer context.AfterFunc(ctx, func() {
		cutOff.Store(s.listener != nil && s.listener.count() > 0)
		s.abort()
	})()
	err := s.http.ShutdownWithContext(ctx)
	if err == nil && cutOff.Load() {
		err = ctx.Err()
	}
	s.abort()
	if err != nil {
		return fmt.Errorf("HTTP listener: requests in progress were cut off: %w", err)
	}
	return nil
}

// FailedHandshakes returns the number of TLS handshakes that have failed.
func (s *Server) FailedHandshakes() int64 {
	if s.handshakes == nil {
		return 0
	}
	return s.handshakes.failed.Load()
}

// abort ends everything immediately.
func (s *Server) abort() {
	if s.listener != nil {
		s.listener.abort()
	}
	s.cancel()
}
