package grpcapi_test

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// leaver is what a model may ask a call.
type leaver interface {
	AfterLeave(f func()) (stop func() bool)
}

// A request is told that its caller leaves: that it resets the call, or ends the connection.
func TestCallersThatLeave(t *testing.T) {
	f := func(want codes.Code, leave func(conn net.Conn, cancel func())) {
		t.Helper()
		asked := make(chan struct{})
		s := &stub{predict: func(ctx context.Context, _ *infer.Request) (*infer.Response, error) {
			first, second := make(chan struct{}), make(chan struct{})
			stop := ctx.(leaver).AfterLeave(func() { close(first) })
			_ = ctx.(leaver).AfterLeave(func() { close(second) })
			third := ctx.(leaver).AfterLeave(func() { t.Error("a function was called that was stopped") })
			if !third() {
				t.Error("a function was called before the caller left")
			}
			close(asked)
			<-first
			<-second
			if stop() {
				t.Error("a function was called and then stopped")
			}
			<-ctx.Done()
			late := make(chan struct{})
			_ = ctx.(leaver).AfterLeave(func() { close(late) })
			<-late
			return nil, ctx.Err()
		}}
		dialed := make(chan net.Conn, 1)
		c := start(t, s, nil).dial(t, grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			dialed <- conn
			return conn, err
		}))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			<-asked
			leave(<-dialed, cancel)
		}()
		_, err := c.ModelInfer(ctx, raw("", 1, 2, 3, 4))
		wantCode(t, err, want)
	}
	f(codes.Canceled, func(_ net.Conn, cancel func()) { cancel() })
	f(codes.Unavailable, func(conn net.Conn, _ func()) { _ = conn.Close() })
}

// A function that was stopped is not called when the caller leaves later, and each answer has the request id.
func TestCallersThatLeaveLater(t *testing.T) {
	s := &stub{predict: func(ctx context.Context, req *infer.Request) (*infer.Response, error) {
		if !ctx.(leaver).AfterLeave(func() { t.Error("a function was called that was stopped") })() {
			t.Error("a function was called before the caller left")
		}
		if req.ID == "full" {
			return nil, infer.Errorf(infer.Overloaded, "the queue is full")
		}
		return answer(req), nil
	}}
	c := start(t, s, nil).dial(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "order-8")
	wantID := func(header metadata.MD) {
		t.Helper()
		if got := header.Get("x-request-id"); len(got) != 1 || got[0] != "order-8" {
			t.Errorf("x-request-id is %q", got)
		}
	}
	var header metadata.MD
	_, err := c.ModelInfer(ctx, raw("", 1, 2, 3, 4), grpc.Header(&header))
	wantCode(t, err, codes.OK)
	wantID(header)
	_, err = c.ModelInfer(ctx, raw("full", 1, 2, 3, 4), grpc.Header(&header))
	wantCode(t, err, codes.ResourceExhausted)
	wantID(header)
	_, err = c.ModelMetadata(ctx, &pb.ModelMetadataRequest{Name: "double"}, grpc.Header(&header))
	wantCode(t, err, codes.OK)
	wantID(header)
	_, err = c.ModelMetadata(ctx, &pb.ModelMetadataRequest{Name: "nope"}, grpc.Header(&header))
	wantCode(t, err, codes.NotFound)
	wantID(header)
}
