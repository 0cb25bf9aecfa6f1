package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice.io/sluice/internal/wire"
)

// Options are what a Server needs. All but Tokens are required.
type Options struct {
	Address  string            // "127.0.0.1:8002"
	Tokens   map[string]string // who may, and the bearer token of each
	Gatherer prometheus.Gatherer
	Control  Control
	Routes   RouteControl
	Drift    DriftControl
	Logger   *zap.Logger
}

// The limits of a connection. A body may be this long also where nobody has a
// use for it.
const (
	headerTimeout  = 5 * time.Second
	bodyTimeout    = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
	maxBodyBytes   = 64 << 10
	maxBodies      = 64 // in memory at the same time
)

// Server is the side port.
type Server struct {
	opts     Options
	log      *zap.Logger
	sampled  *zap.Logger // for what anybody can cause at will
	tokens   *wire.Tokens
	http     *http.Server
	listener net.Listener
	loopback bool                   // the listener's address is; set by Listen
	bodies   chan struct{}          // a token for each body in memory
	page     func() ([]byte, error) // the API's page, which the first call makes

	verifying sync.Mutex // held while the journal is verified
	// stopping is closed when Shutdown begins, so that a profile of minutes does
	// not hold it up; stop closes it.
	stopping chan struct{}
	stop     func()
}

// New checks the options and listens to nothing yet.
func New(opts Options) (*Server, error) {
	if opts.Gatherer == nil || opts.Control == nil || opts.Routes == nil || opts.Drift == nil || opts.Logger == nil {
		panic("BUG: admin.New needs a gatherer, three controls and a logger")
	}
	tokens, err := wire.NewTokens(opts.Tokens)
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, log: opts.Logger, tokens: tokens, bodies: make(chan struct{}, maxBodies), page: sync.OnceValues(renderDocs), stopping: make(chan struct{})}
	s.sampled = s.log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		const first, thereafter = 10, 100 // in a second
		return zapcore.NewSamplerWithOptions(core, time.Second, first, thereafter)
	}))
	s.stop = sync.OnceFunc(func() { close(s.stopping) })
	s.http = &http.Server{
		Handler:           s.endpoints(),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          zap.NewStdLog(opts.Logger),
	}
	s.http.RegisterOnShutdown(s.stop)
	return s, nil
}

// Listen takes the address, so that Run cannot fail for it.
func (s *Server) Listen() error {
	ln, err := net.Listen("tcp", s.opts.Address) //nolint:noctx // it does not wait
	if err != nil {
		return fmt.Errorf("admin address %q: %w", s.opts.Address, err)
	}
	s.listener = ln
	tcp, ok := ln.Addr().(*net.TCPAddr)
	s.loopback = ok && tcp.IP.IsLoopback()
	if !s.loopback && !s.tokens.Any() {
		s.log.Warn("no admin.tokens are configured: on this address only metrics and health are served",
			zap.Stringer("address", ln.Addr()))
	}
	return nil
}

// SetTokens takes other tokens from now on, or changes nothing.
func (s *Server) SetTokens(tokens map[string]string) error { return s.tokens.Replace(tokens) }

// Addr returns the address that Listen took.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run serves until Shutdown, or until ctx ends, which cuts connections off.
func (s *Server) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.close)()
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// Shutdown takes no new requests, waits for those in progress until ctx ends,
// and then cuts them off.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	s.close()
	return err
}

// close ends everything; what it closes may be closed already.
func (s *Server) close() {
	s.stop()
	_ = s.http.Close()
	if s.listener != nil {
		_ = s.listener.Close() // the server knows it only once Run was called
	}
}
