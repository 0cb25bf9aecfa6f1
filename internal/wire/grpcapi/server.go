// Package grpcapi is the gRPC listener of the data plane: the Open Inference Protocol,
// version 2, and labels of its predictions, over grpc-go. It is a codec and a loop; what it shares with other listeners
// it has of a front.Front.
//
// Goroutines: grpc-go runs one for each connection and each call, and a stream one for
// each of its requests in progress. Run owns them and returns when they have ended.
package grpcapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
	"sluice.io/sluice/internal/wire/oip"
)

// Describer tells how versions are served and what they have done.
type Describer interface {
	// Statistics returns those of a model; an empty name means all models, and
	// version 0 all versions. Errors as front.Catalog's.
	Statistics(name string, version int64) ([]oip.ModelStatistics, error)
	// ModelConfig returns how a ready version is served; version 0 means the default one. Errors
	// as front.Catalog's.
	ModelConfig(name string, version int64) (oip.ModelConfig, error)
}

// Limits bound what a connection, a stream and a request may take.
type Limits struct {
	MaxMessageBytes  int           // of a request, as sent and unpacked
	MaxResponseBytes int           // of the outputs of one answer
	MaxConnections   int           // open at the same time; further ones are closed
	MaxStreams       int           // calls in progress on a connection
	MaxHeaderBytes   int           // of the metadata of a call
	MaxStreamed      int           // requests in progress on one ModelStreamInfer
	ReadTimeout      time.Duration // to read a message that has begun, and the one of a single call; then the call ends
	WriteTimeout     time.Duration // to write one answer, then the connection is closed
	IdleTimeout      time.Duration // of a connection without calls, and of a stream without requests
	MinPing          time.Duration // between two pings of a client; one that pings more often is cut off
	HandshakeTimeout time.Duration // to set up a connection
	MaxAge           time.Duration // of a connection, which is then asked to end; 0: any
	Tensors          oip.Limits    // of what is inside a request
}

// Options are what a Server needs. All are required, but for TLS, Version and Triton.
type Options struct {
	Address   string // ":8001"
	Front     *front.Front
	Describer Describer
	Labels    Labels
	Logger    *zap.Logger
	TLS       *tls.Config // encrypts the connections; nil: plain text. It must offer h2
	Version   string      // of the program
	Triton    bool        // answers imitate Triton's if the two differ
	Limits    Limits
}

// Server is the gRPC front.
type Server struct {
	pb.UnimplementedGRPCInferenceServiceServer

	opts     Options
	front    *front.Front
	grpc     *grpc.Server
	needs    map[string]callers.Need // by method
	listener *listener
	calls    sync.Pool     // of *oip.Call
	failed   atomic.Int64  // TLS handshakes
	stopping chan struct{} // closed when the stop begins: streams take no more requests
	stop     sync.Once
	// receivers are the goroutines that read streams.
	receivers sync.WaitGroup

	// base is the context of loads and unloads; it ends when the server is cut off.
	base   context.Context //nolint:containedctx // the server's own lifetime
	cancel context.CancelFunc
}

// New checks the options; nothing listens yet.
func New(o Options) (*Server, error) {
	if o.Front == nil || o.Describer == nil || o.Labels == nil || o.Logger == nil {
		panic("BUG: grpcapi.New needs a front, a describer, labels and a logger")
	}
	l := &o.Limits
	if l.MaxMessageBytes < 1 || l.MaxResponseBytes < 1 || l.MaxConnections < 1 || l.MaxStreams < 1 || l.MaxHeaderBytes < 1 || l.MaxStreamed < 1 ||
		l.ReadTimeout <= 0 || l.WriteTimeout <= 0 || l.IdleTimeout <= 0 || l.MinPing <= 0 || l.HandshakeTimeout <= 0 || l.MaxAge < 0 {
		return nil, errors.New("grpcapi: a limit is not set")
	}
	if err := l.Tensors.Validate(); err != nil {
		return nil, err
	}
	s := &Server{opts: o, front: o.Front, stopping: make(chan struct{})}
	s.calls.New = func() any { return oip.NewCall() }
	s.base, s.cancel = context.WithCancel(context.Background()) //nolint:forbidigo // as its comment says
	return s, nil
}

// workers are goroutines that take one call after another, if they are free: their stacks have grown, while
// those of new goroutines grow for each call.
const workers = 64

// pingEvery is after which time without a frame a peer is asked whether it is still there.
const pingEvery = time.Minute

// options are grpc-go's.
func (s *Server) options() []grpc.ServerOption {
	l := &s.opts.Limits
	age := keepalive.ServerParameters{MaxConnectionIdle: l.IdleTimeout, MaxConnectionAgeGrace: time.Minute, Time: pingEvery}
	if l.MaxAge > 0 {
		age.MaxConnectionAge = l.MaxAge
	}
	creds := insecure.NewCredentials()
	if s.opts.TLS != nil {
		creds = credentials.NewTLS(s.opts.TLS)
	}
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(codec{}),
		grpc.MaxRecvMsgSize(l.MaxMessageBytes),
		grpc.RPCDecompressor(deflate{limit: l.MaxMessageBytes}), //nolint:staticcheck // the other way is a global
		grpc.MaxSendMsgSize(math.MaxInt32),                      // CheckAnswer has the limit
		grpc.MaxConcurrentStreams(uint32(l.MaxStreams)),         //nolint:gosec // the configuration bounds it
		grpc.MaxHeaderListSize(uint32(l.MaxHeaderBytes)),        //nolint:gosec // the configuration bounds it
		grpc.KeepaliveParams(age),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: l.MinPing, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
		grpc.UnaryInterceptor(s.intercept),
		grpc.StreamInterceptor(s.interceptStream),
		grpc.ConnectionTimeout(l.HandshakeTimeout),
		grpc.UnknownServiceHandler(unknown),
		grpc.InTapHandle(s.begin),
		grpc.ReadBufferSize(0), // the connection has a buffer
		grpc.NumStreamWorkers(workers),
		grpc.Creds(&handshakes{TransportCredentials: creds, failed: &s.failed}),
	}
}

// Listen takes the address, so that Run cannot fail for it.
func (s *Server) Listen() error {
	l, err := net.Listen("tcp", s.opts.Address) //nolint:noctx // it does not wait
	if err != nil {
		return fmt.Errorf("gRPC address %q: %w", s.opts.Address, err)
	}
	s.listener = newListener(l, &s.opts.Limits, s.front)
	s.grpc = grpc.NewServer(s.options()...) // its workers begin here, and end with it
	desc := serviceDesc()
	s.grpc.RegisterService(&desc, s)
	labels := s.labelServiceDesc()
	s.grpc.RegisterService(&labels, labelService{})
	probes := handled(grpc_health_v1.Health_ServiceDesc)
	s.grpc.RegisterService(&probes, health{srv: s})
	reflection.Register(s.grpc)
	s.needs = needsOf(s.grpc.GetServiceInfo())
	return nil
}

// Addr returns the address that Listen took.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// FailedHandshakes returns the number of TLS handshakes that have failed.
func (s *Server) FailedHandshakes() int64 { return s.failed.Load() }

// Run serves what Listen took until Shutdown, or until ctx ends, which cuts connections
// off. It returns when every call has ended.
func (s *Server) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.abort)()
	var sweeper sync.WaitGroup
	swept, stop := context.WithCancel(ctx)
	sweeper.Go(func() { s.listener.sweep(swept) })
	defer sweeper.Wait()
	defer stop()
	defer s.receivers.Wait()
	if err := s.grpc.Serve(s.listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		s.abort()
		return fmt.Errorf("gRPC listener: %w", err)
	}
	return nil
}

// Shutdown tells clients that their connections end (GOAWAY), takes no new calls, finishes
// those in progress until ctx ends, and then cuts them off, which is its error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop.Do(func() { close(s.stopping) })
	if s.grpc == nil { // nothing listened
		s.abort()
		return nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done) // awaited below
		s.grpc.GracefulStop()
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("gRPC listener: calls were cut off: %w", ctx.Err())
	}
	s.abort()
	<-done
	return err
}

// abort ends everything at once.
func (s *Server) abort() {
	s.cancel()
	if s.grpc != nil {
		s.grpc.Stop()
	}
}
