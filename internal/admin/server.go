package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice.io/sluice/internal/callers"
)

// Options configure a Server. All except TLS are required.
type Options struct {
	Address  string                        // such as "127.0.0.1:8002"
	Callers  *atomic.Pointer[callers.Book] // who may do what; a new book is stored there
	Gatherer prometheus.Gatherer
	Control  Control
	Routes   RouteControl
	Drift    DriftControl
	Labels   LabelControl
	Versions VersionControl
	Capture  CaptureControl
	Aliases  AliasControl
	Rollouts RolloutControl
	Retrain  RetrainControl
	Infer    InferControl
	Watch    WatchControl
	History  HistoryControl
	Console  Console
	Logger   *zap.Logger
	// MaxConnections is the max number of open connections. Others wait until one ends.
	MaxConnections int
	// MaxWatchers is the max number of streams of GET /api/v1/watch. They have at most seven of eight connections.
	MaxWatchers int
	Sessions    SessionLimits
	TLS         *tls.Config // encrypts the connections; nil means plain HTTP. It must not offer HTTP/2
}

// The limits of a connection. A TLS handshake has headerTimeout too. maxBodyBytes is also the limit of bodies that are not read.
const (
	headerTimeout  = 5 * time.Second
	bodyTimeout    = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
	maxBodyBytes   = 64 << 10
	maxBodies      = 64 // in memory at the same time
)

// Server is the admin port.
type Server struct {
	opts     Options
	log      *zap.Logger
	sampled  *zap.Logger // limits lines that any caller can cause
	http     *http.Server
	errors   *errorLog
	listener net.Listener
	loopback bool          // the listener's address is a loopback address; set by Listen
	bodies   chan struct{} // a token for each body in memory
	// inferences has a token for each inference in progress.
	inferences chan struct{}
	watchers   watchers
	sessions   *sessions
	page       func() ([]byte, error) // renders the page of the API at the first call

	verifying sync.Mutex // locked during a verification of the journal
	// stopping is closed when Shutdown begins, so that it does not wait for a long profile.
	// stop closes it.
	stopping chan struct{}
	stop     func()
}

// New checks the options. It does not listen yet.
func New(opts Options) (*Server, error) {
	if opts.Callers == nil || opts.Callers.Load() == nil || opts.Gatherer == nil || opts.Control == nil || opts.Routes == nil || opts.Drift == nil || opts.Labels == nil || opts.Capture == nil || opts.Versions == nil || opts.Aliases == nil || opts.Rollouts == nil || opts.Retrain == nil || opts.Infer == nil || opts.Watch == nil || opts.History == nil || opts.Console == nil || opts.Logger == nil {
		panic("BUG: admin.New needs callers, a gatherer, its controls and a logger")
	}
	if opts.MaxConnections < 1 {
		return nil, errors.New("admin: the max number of connections is not set")
	}
	if opts.MaxWatchers < 1 {
		return nil, errors.New("admin: the max number of watchers is not set")
	}
	if opts.Sessions.Max < 1 || opts.Sessions.MaxAge <= 0 || opts.Sessions.Idle <= 0 {
		return nil, errors.New("admin: the limits of sessions are not set")
	}
	s := &Server{sessions: newSessions(opts.Sessions), opts: opts, log: opts.Logger, bodies: make(chan struct{}, maxBodies), inferences: make(chan struct{}, maxInferences), watchers: newWatchers(opts.MaxWatchers, opts.MaxConnections), page: sync.OnceValues(renderDocs), stopping: make(chan struct{})}
	s.sampled = s.log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		const first, thereafter = 10, 100 // in a second
		return zapcore.NewSamplerWithOptions(core, time.Second, first, thereafter)
	}))
	s.errors = &errorLog{log: opts.Logger, sampled: s.sampled}
	s.stop = sync.OnceFunc(func() { close(s.stopping) })
	s.http = &http.Server{
		Handler:           s.endpoints(),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(s.errors, "", 0),
	}
	s.http.RegisterOnShutdown(s.stop)
	return s, nil
}

// Listen opens the listener, so that Run does not fail because of the address.
func (s *Server) Listen() error {
	ln, err := net.Listen("tcp", s.opts.Address) //nolint:noctx // it does not wait
	if err != nil {
		return fmt.Errorf("cannot listen on the admin address %q: %w", s.opts.Address, err)
	}
	s.listener = ln
	tcp, ok := ln.Addr().(*net.TCPAddr)
	s.loopback = ok && tcp.IP.IsLoopback()
	if !s.loopback && s.opts.Callers.Load().IsOpen() {
		s.log.Warn("no callers are configured: this address serves only metrics and health",
			zap.Stringer("address", ln.Addr()))
	}
	return nil
}

// Addr returns the address of the listener.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// FailedHandshakes returns how many TLS handshakes have failed.
func (s *Server) FailedHandshakes() int64 { return s.errors.handshakes.Load() }

// Run serves until Shutdown. If ctx ends, it closes all connections.
func (s *Server) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.close)()
	accepts := net.Listener(newListener(s.listener, s.opts.MaxConnections))
	if s.opts.TLS != nil {
		accepts = tls.NewListener(accepts, s.opts.TLS)
	}
	if err := s.http.Serve(accepts); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// Shutdown refuses new requests and waits for those in progress. If ctx ends, it closes
// their connections.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	s.close()
	return err
}

// close closes all connections and the listener. It may be called again.
func (s *Server) close() {
	s.stop()
	_ = s.http.Close()
	if s.listener != nil {
		_ = s.listener.Close() // before Run, s.http does not have the listener
	}
}
