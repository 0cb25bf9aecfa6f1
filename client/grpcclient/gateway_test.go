package grpcclient_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"sluice.io/sluice/client/grpcclient"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gateway is a server that answers as its fields say. It has one model, which answers its inputs.
type gateway struct {
	pb.UnimplementedGRPCInferenceServiceServer
	pb.UnimplementedLabelsServer

	infer  func(ctx context.Context, m *pb.ModelInferRequest) (*pb.ModelInferResponse, error) // nil: the inputs
	stream func(pb.GRPCInferenceService_ModelStreamInferServer) error
	ready  bool

	mu    sync.Mutex
	calls []asked
	conns []net.Conn
}

// asked is a call that has arrived.
type asked struct {
	metadata metadata.MD
	message  any
}

// note remembers a call, and answers its id.
func (g *gateway) note(ctx context.Context, message any) {
	md, _ := metadata.FromIncomingContext(ctx)
	_ = grpc.SetHeader(ctx, metadata.Pairs("x-request-id", "r1"))
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, asked{md, message})
}

func (g *gateway) asked() []asked {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls
}

// listener keeps the connections of a gateway.
type listener struct {
	net.Listener

	g *gateway
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.g.mu.Lock()
		l.g.conns = append(l.g.conns, c)
		l.g.mu.Unlock()
	}
	return c, err
}

// cut breaks all connections.
func (g *gateway) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.conns {
		_ = c.Close()
	}
}

// serve serves until the test ends, and returns where.
func (g *gateway) serve(t testing.TB, options ...grpc.ServerOption) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(append(options, grpc.WaitForHandlers(true))...)
	pb.RegisterGRPCInferenceServiceServer(s, g)
	pb.RegisterLabelsServer(s, g)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(listener{l, g}) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-ended; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// connect returns a client of the gateway, which serves until the test ends.
func (g *gateway) connect(t testing.TB, o grpcclient.Options) *grpcclient.Client {
	t.Helper()
	o.Address = g.serve(t)
	return dial(t, o)
}

func dial(t testing.TB, o grpcclient.Options) *grpcclient.Client {
	t.Helper()
	c, err := grpcclient.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// echo answers the inputs of a request.
func echo(m *pb.ModelInferRequest) *pb.ModelInferResponse {
	out := &pb.ModelInferResponse{
		ModelName: m.GetModelName(), ModelVersion: "2", Id: m.GetId(), RawOutputContents: m.GetRawInputContents(),
		Parameters: map[string]*pb.InferParameter{
			"sluice_version": {ParameterChoice: &pb.InferParameter_Int64Param{Int64Param: 2}},
			"sluice_route":   {ParameterChoice: &pb.InferParameter_StringParam{StringParam: "iris@7"}},
			"sluice_reason":  {ParameterChoice: &pb.InferParameter_StringParam{StringParam: "sticky"}},
		},
	}
	for _, in := range m.GetInputs() {
		out.Outputs = append(out.Outputs, &pb.ModelInferResponse_InferOutputTensor{Name: in.GetName(), Datatype: in.GetDatatype(), Shape: in.GetShape()})
	}
	return out
}

func (g *gateway) ModelInfer(ctx context.Context, m *pb.ModelInferRequest) (*pb.ModelInferResponse, error) {
	g.note(ctx, m)
	if g.infer != nil {
		return g.infer(ctx, m)
	}
	return echo(m), nil
}

func (g *gateway) ModelStreamInfer(s pb.GRPCInferenceService_ModelStreamInferServer) error {
	g.note(s.Context(), nil)
	return g.stream(s)
}

func (g *gateway) ServerLive(ctx context.Context, m *pb.ServerLiveRequest) (*pb.ServerLiveResponse, error) {
	g.note(ctx, m)
	return &pb.ServerLiveResponse{Live: true}, nil
}

func (g *gateway) ServerReady(ctx context.Context, m *pb.ServerReadyRequest) (*pb.ServerReadyResponse, error) {
	g.note(ctx, m)
	return &pb.ServerReadyResponse{Ready: g.ready}, nil
}

func (g *gateway) ModelReady(ctx context.Context, m *pb.ModelReadyRequest) (*pb.ModelReadyResponse, error) {
	g.note(ctx, m)
	return &pb.ModelReadyResponse{Ready: m.GetName() == "iris"}, nil
}

func (g *gateway) RepositoryModelLoad(ctx context.Context, m *pb.RepositoryModelLoadRequest) (*pb.RepositoryModelLoadResponse, error) {
	g.note(ctx, m)
	return &pb.RepositoryModelLoadResponse{}, nil
}

func (g *gateway) RepositoryModelUnload(ctx context.Context, m *pb.RepositoryModelUnloadRequest) (*pb.RepositoryModelUnloadResponse, error) {
	g.note(ctx, m)
	return &pb.RepositoryModelUnloadResponse{}, nil
}
