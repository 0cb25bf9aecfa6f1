package grpcclient_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/client/grpcclient"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

func x(values ...int16) client.Tensor {
	return client.NewTensor("x", []int64{int64(len(values))}, values)
}

func request() client.InferRequest { return client.InferRequest{Inputs: []client.Tensor{x(1, -1)}} }

func integer(n int64) *pb.InferParameter {
	return &pb.InferParameter{ParameterChoice: &pb.InferParameter_Int64Param{Int64Param: n}}
}

func TestInferSends(t *testing.T) {
	f := func(o grpcclient.Options, r client.InferRequest, message *pb.ModelInferRequest, md map[string]string) {
		t.Helper()
		g := &gateway{}
		if _, err := g.connect(t, o).Infer(t.Context(), "iris", r); err != nil {
			t.Fatal(err)
		}
		got := g.asked()[0]
		if diff := cmp.Diff(message, got.message, protocmp.Transform()); diff != "" {
			t.Errorf("message (-want +got):\n%s", diff)
		}
		for _, key := range []string{"x-request-id", "x-user-id", "sluice-override", "authorization"} {
			if value := strings.Join(got.metadata.Get(key), "|"); value != md[key] {
				t.Errorf("%s: %q, want %q", key, value, md[key])
			}
		}
	}
	input := &pb.ModelInferRequest_InferInputTensor{Name: "x", Datatype: "INT16", Shape: []int64{2}}
	plain := &pb.ModelInferRequest{
		ModelName: "iris", Inputs: []*pb.ModelInferRequest_InferInputTensor{input}, RawInputContents: [][]byte{{1, 0, 0xff, 0xff}},
	}
	f(grpcclient.Options{}, request(), plain, nil)
	f(grpcclient.Options{Token: "key"}, request(), plain, map[string]string{"authorization": "Bearer key"})
	r := client.InferRequest{RequestID: "r 1", StickyKey: "u1", Override: 3, OverrideToken: "o"}
	f(grpcclient.Options{Sticky: api.Sticky{Header: "X-User-Id"}, Token: "key"}, r, &pb.ModelInferRequest{ModelName: "iris"}, map[string]string{
		"x-request-id": "r 1", "x-user-id": "u1", "sluice-override": "3", "authorization": "Bearer o",
	})
	r = client.InferRequest{StickyKey: "ü", Version: 2, Outputs: []string{"b", "a"}, Priority: 2, Timeout: time.Nanosecond, JSON: true}
	f(grpcclient.Options{Sticky: api.Sticky{Parameter: "user"}}, r, &pb.ModelInferRequest{
		ModelName: "iris", ModelVersion: "2",
		Outputs: []*pb.ModelInferRequest_InferRequestedOutputTensor{{Name: "b"}, {Name: "a"}},
		Parameters: map[string]*pb.InferParameter{
			"user": {ParameterChoice: &pb.InferParameter_StringParam{StringParam: "ü"}}, "priority": integer(2), "timeout": integer(1),
		},
	}, nil)
}

func TestInferRefusesBeforeItSends(t *testing.T) {
	f := func(o grpcclient.Options, r client.InferRequest, want string) {
		t.Helper()
		g := &gateway{}
		_, err := g.connect(t, o).Infer(t.Context(), "iris", r)
		if err == nil || !strings.Contains(err.Error(), want) || len(g.asked()) > 0 {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f(grpcclient.Options{}, client.InferRequest{Inputs: []client.Tensor{client.RawTensor("x", "INT16", []int64{2}, make([]byte, 3))}}, "does not fit")
	f(grpcclient.Options{}, client.InferRequest{Version: -1}, "negative")
	f(grpcclient.Options{}, client.InferRequest{Override: -1}, "negative")
	f(grpcclient.Options{}, client.InferRequest{StickyKey: "u1"}, "Options.Sticky")
	f(grpcclient.Options{Sticky: api.Sticky{Header: "k"}}, client.InferRequest{StickyKey: "ü"}, "sticky key: expected printable ASCII")
	f(grpcclient.Options{}, client.InferRequest{RequestID: "a\n"}, "request id: expected printable ASCII")
}

func TestInferAnswers(t *testing.T) {
	c := (&gateway{}).connect(t, grpcclient.Options{})
	got, err := c.Infer(t.Context(), "iris", request())
	if err != nil {
		t.Fatal(err)
	}
	want := &client.InferResult{Outputs: []client.Tensor{x(1, -1)}, Version: 2, Route: "iris@7", Reason: "sticky", RequestID: "r1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	f := func(change func(*pb.ModelInferResponse), want string) {
		t.Helper()
		g := &gateway{infer: func(_ context.Context, m *pb.ModelInferRequest) (*pb.ModelInferResponse, error) {
			out := echo(m)
			change(out)
			return out, nil
		}}
		_, err := g.connect(t, grpcclient.Options{}).Infer(t.Context(), "iris", request())
		if err == nil || !strings.Contains(err.Error(), "cannot be decoded: "+want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f(func(m *pb.ModelInferResponse) { m.RawOutputContents = nil }, "it has 1 outputs, but raw contents for 0")
	f(func(m *pb.ModelInferResponse) { m.RawOutputContents[0] = m.RawOutputContents[0][1:] }, "tensor 'x' has 3 bytes")
	f(func(m *pb.ModelInferResponse) { m.Outputs[0].Shape = []int64{1 << 62, 1 << 62} }, "tensor 'x' has too many elements")
	f(func(m *pb.ModelInferResponse) { m.Outputs[0].Datatype = "FP8" }, "tensor 'x' has the unknown datatype")
}

func TestErrorsHaveTheStatusesOfHTTP(t *testing.T) {
	f := func(code codes.Code, want client.Error) {
		t.Helper()
		g := &gateway{infer: func(context.Context, *pb.ModelInferRequest) (*pb.ModelInferResponse, error) {
			return nil, status.Error(code, "no")
		}}
		_, err := g.connect(t, grpcclient.Options{}).Infer(t.Context(), "iris", request())
		e, ok := errors.AsType[*client.Error](err)
		want.Message, want.RequestID = "no", "r1"
		if !ok || *e != want || len(g.asked()) != 1 {
			t.Errorf("%v gives %#v after %d calls", code, err, len(g.asked()))
		}
	}
	f(codes.InvalidArgument, client.Error{Status: 400, Code: "INVALID_ARGUMENT"})
	f(codes.Unauthenticated, client.Error{Status: 401, Code: "UNAUTHENTICATED"})
	f(codes.PermissionDenied, client.Error{Status: 403, Code: "PERMISSION_DENIED"})
	f(codes.NotFound, client.Error{Status: 404, Code: "NOT_FOUND"})
	f(codes.Aborted, client.Error{Status: 409, Code: "ABORTED"})
	f(codes.FailedPrecondition, client.Error{Status: 412, Code: "FAILED_PRECONDITION"})
	f(codes.ResourceExhausted, client.Error{Status: 429, Code: "RESOURCE_EXHAUSTED"})
	f(codes.Canceled, client.Error{Status: 499, Code: "CANCELLED"})
	f(codes.Internal, client.Error{Status: 500, Code: "INTERNAL"})
	f(codes.Unimplemented, client.Error{Status: 501, Code: "UNIMPLEMENTED"})
	f(codes.Unavailable, client.Error{Status: 503, Code: "UNAVAILABLE"})
	f(codes.DeadlineExceeded, client.Error{Status: 504, Code: "DEADLINE_EXCEEDED"})
	f(codes.Code(99), client.Error{Status: 500, Code: "UNKNOWN"})
}

// refusing answers the first n calls with a status, and with a trailer unless that is empty.
func refusing(n int, code codes.Code, pushback string) *gateway {
	g := &gateway{}
	g.infer = func(ctx context.Context, m *pb.ModelInferRequest) (*pb.ModelInferResponse, error) {
		if len(g.asked()) > n {
			return echo(m), nil
		}
		if pushback != "" {
			_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", pushback))
		}
		return nil, status.Error(code, "later")
	}
	return g
}

func TestRetries(t *testing.T) {
	f := func(g *gateway, o grpcclient.Options, calls int, ok bool) {
		t.Helper()
		o.Backoff = time.Millisecond
		_, err := g.connect(t, o).Infer(t.Context(), "iris", request())
		if len(g.asked()) != calls || ok != (err == nil) {
			t.Errorf("%d calls, %v, want %d, success %v", len(g.asked()), err, calls, ok)
		}
	}
	f(refusing(1, codes.ResourceExhausted, "1"), grpcclient.Options{}, 2, true)
	f(refusing(2, codes.Unavailable, "0"), grpcclient.Options{}, 3, true)
	f(refusing(9, codes.Unavailable, "0"), grpcclient.Options{}, 3, false)
	f(refusing(9, codes.Unavailable, "0"), grpcclient.Options{Retries: -1}, 1, false)
	f(refusing(9, codes.Unavailable, "0"), grpcclient.Options{Retries: 4}, 5, false)
	f(refusing(1, codes.Unavailable, ""), grpcclient.Options{}, 1, false) // it may have run
	f(refusing(1, codes.Unavailable, "-1"), grpcclient.Options{}, 1, false)
	f(refusing(1, codes.Unavailable, "soon"), grpcclient.Options{}, 1, false)
	f(refusing(1, codes.Unavailable, "20000"), grpcclient.Options{}, 1, false) // beyond MaxWait
	f(refusing(1, codes.Unavailable, "2"), grpcclient.Options{MaxWait: time.Millisecond}, 1, false)

	began := time.Now()
	f(refusing(1, codes.ResourceExhausted, "50"), grpcclient.Options{}, 2, true)
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("the retry came after %v", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	g := refusing(1, codes.Unavailable, "9000")
	_, err := g.connect(t, grpcclient.Options{}).Infer(ctx, "iris", request())
	if e, ok := errors.AsType[*client.Error](err); !ok || e.RetryAfter != 9*time.Second || ctx.Err() != nil {
		t.Errorf("got %v, want the answer at once, since the retry would be too late", err)
	}
}

// A call whose connection breaks may have run: it is not sent again.
func TestBrokenConnection(t *testing.T) {
	g := &gateway{}
	g.infer = func(ctx context.Context, _ *pb.ModelInferRequest) (*pb.ModelInferResponse, error) {
		g.cut()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	_, err := g.connect(t, grpcclient.Options{}).Infer(t.Context(), "iris", request())
	if err == nil || !strings.HasPrefix(err.Error(), "no answer from 127.0.0.1:") || len(g.asked()) != 1 {
		t.Errorf("got %v after %d calls", err, len(g.asked()))
	}
}

func TestNobodyListens(t *testing.T) {
	dead := &gateway{}
	var address string
	t.Run("", func(t *testing.T) { address = dead.serve(t) })
	c := dial(t, grpcclient.Options{Address: address, Backoff: time.Millisecond})
	_, err := c.Infer(t.Context(), "iris", request())
	if err == nil || !strings.HasPrefix(err.Error(), "no answer from "+address+": ") {
		t.Errorf("got %v", err)
	}
	if _, err := c.Stream(t.Context(), grpcclient.StreamOptions{}); err == nil || !strings.HasPrefix(err.Error(), "no answer from ") {
		t.Errorf("got %v", err)
	}
}

func TestContextsEndCalls(t *testing.T) {
	began, ended := make(chan struct{}), make(chan error)
	g := &gateway{infer: func(ctx context.Context, _ *pb.ModelInferRequest) (*pb.ModelInferResponse, error) {
		close(began)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, status.FromContextError(ctx.Err()).Err()
	}}
	c := g.connect(t, grpcclient.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	if _, err := c.Infer(ctx, "iris", request()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the gateway sees %v", err)
	}
}

func TestDeadlinesEndCalls(t *testing.T) {
	g := &gateway{infer: func(ctx context.Context, _ *pb.ModelInferRequest) (*pb.ModelInferResponse, error) {
		<-ctx.Done() // whether this or the client is faster
		return nil, status.FromContextError(ctx.Err()).Err()
	}}
	c := g.connect(t, grpcclient.Options{})
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := c.Infer(ctx, "iris", request()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		cancel()
	}
}

func TestMessagesAreBounded(t *testing.T) {
	g := &gateway{}
	c := g.connect(t, grpcclient.Options{MaxAnswerBytes: 100})
	large := client.InferRequest{Inputs: []client.Tensor{x(make([]int16, 100)...)}}
	if _, err := c.Infer(t.Context(), "iris", large); err == nil || !strings.HasSuffix(err.Error(), "is longer than 100 bytes") || len(g.asked()) != 1 {
		t.Errorf("got %v after %d calls", err, len(g.asked()))
	}

	c = dial(t, grpcclient.Options{Address: g.serve(t, grpc.MaxRecvMsgSize(150))})
	_, err := c.Infer(t.Context(), "iris", large)
	if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != 413 || e.Code != "RESOURCE_EXHAUSTED" {
		t.Errorf("got %v", err)
	}
}
