package grpcclient_test

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/client/grpcclient"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

type serverStream = pb.GRPCInferenceService_ModelStreamInferServer

// reversed answers requests in groups of n, the last one first. The model "absent" is an error.
func reversed(n int) func(serverStream) error {
	return func(s serverStream) error {
		for {
			var group []*pb.ModelInferRequest
			for range n {
				m, err := s.Recv()
				if errors.Is(err, io.EOF) {
					return nil
				} else if err != nil {
					return err
				}
				group = append(group, m)
			}
			for i := range group {
				if err := s.Send(streamed(group[n-1-i])); err != nil {
					return err
				}
			}
		}
	}
}

func streamed(m *pb.ModelInferRequest) *pb.ModelStreamInferResponse {
	if m.GetModelName() != "absent" {
		return &pb.ModelStreamInferResponse{InferResponse: echo(m)}
	}
	return &pb.ModelStreamInferResponse{ErrorMessage: "unknown model", InferResponse: &pb.ModelInferResponse{
		Id: m.GetId(), Parameters: map[string]*pb.InferParameter{"sluice_status": integer(int64(codes.NotFound))},
	}}
}

func open(t *testing.T, c *grpcclient.Client, o grpcclient.StreamOptions) *grpcclient.Stream {
	t.Helper()
	s, err := c.Stream(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Each of many callers gets the answer to its own request, in whatever order answers come.
func TestStreamAnswersByID(t *testing.T) {
	const callers, rounds = 8, 50
	g := &gateway{stream: reversed(callers)}
	s := open(t, g.connect(t, grpcclient.Options{Token: "key"}), grpcclient.StreamOptions{RequestID: "mine"})
	var tasks sync.WaitGroup
	seen := make(chan string, callers*rounds)
	for i := range callers {
		tasks.Go(func() {
			for j := range rounds {
				if i == 0 {
					_, err := s.Infer(t.Context(), "absent", request())
					e, ok := errors.AsType[*client.Error](err)
					if !ok || e.Status != 404 || e.Code != "NOT_FOUND" || e.Message != "unknown model" || !strings.HasPrefix(e.RequestID, "r1/") {
						t.Errorf("got %#v", err)
						continue
					}
					seen <- e.RequestID
					continue
				}
				want := x(int16(i), int16(j))
				r, err := s.Infer(t.Context(), "iris", client.InferRequest{Inputs: []client.Tensor{want}})
				if err != nil || r.Version != 2 || !cmp.Equal(r.Outputs, []client.Tensor{want}) {
					t.Errorf("got %+v, %v, want %+v", r, err, want)
					continue
				}
				seen <- r.RequestID
			}
		})
	}
	tasks.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	ids := map[string]bool{}
	for range len(seen) {
		ids[<-seen] = true
	}
	if len(ids) != callers*rounds || !ids["r1/1"] || !ids["r1/"+strconv.Itoa(callers*rounds)] {
		t.Errorf("%d request ids", len(ids))
	}
	if md := g.asked()[0].metadata; md.Get("x-request-id")[0] != "mine" || md.Get("authorization")[0] != "Bearer key" {
		t.Errorf("metadata %v", md)
	}
	if _, err := s.Infer(t.Context(), "iris", request()); err == nil || err.Error() != "the stream is closed" {
		t.Errorf("after Close: %v", err)
	}
}

func TestStreamsEnd(t *testing.T) {
	f := func(stream func(serverStream) error, want string) error {
		t.Helper()
		s := open(t, (&gateway{stream: stream}).connect(t, grpcclient.Options{}), grpcclient.StreamOptions{})
		_, err := s.Infer(t.Context(), "iris", request())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if _, err := s.Infer(t.Context(), "iris", request()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("after the end: %v, want %q", err, want)
		}
		return s.Close()
	}
	err := f(func(serverStream) error { return status.Error(codes.Unavailable, "the server is stopping") }, "the server is stopping (UNAVAILABLE, request r1)")
	if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != 503 || e.RequestID != "r1" {
		t.Errorf("Close returns %#v", err)
	}
	if err := f(func(serverStream) error { return nil }, "the gateway has ended the stream"); err != nil {
		t.Errorf("Close returns %v", err)
	}
	err = f(func(s serverStream) error {
		_ = s.Send(&pb.ModelStreamInferResponse{InferResponse: &pb.ModelInferResponse{Id: "77"}})
		<-s.Context().Done()
		return nil
	}, `no request waits for an answer with the id "77"`)
	if err == nil {
		t.Error("Close returns no error")
	}
}

// Close waits for the answers of requests in progress.
func TestCloseWaits(t *testing.T) {
	received := make(chan struct{})
	g := &gateway{stream: func(s serverStream) error {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		close(received)
		if _, err := s.Recv(); !errors.Is(err, io.EOF) { // Close
			return err
		}
		return s.Send(streamed(m))
	}}
	s := open(t, g.connect(t, grpcclient.Options{}), grpcclient.StreamOptions{})
	answered := make(chan error, 1)
	go func() {
		_, err := s.Infer(t.Context(), "iris", request())
		answered <- err
	}()
	<-received
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestContextsEndStreams(t *testing.T) {
	timeouts := make(chan int64, 2)
	g := &gateway{stream: func(s serverStream) error {
		for {
			m, err := s.Recv()
			if err != nil {
				return err
			}
			timeouts <- m.GetParameters()["timeout"].GetInt64Param()
		}
	}}
	c := g.connect(t, grpcclient.Options{})
	all, stop := context.WithCancel(t.Context())
	s, err := c.Stream(all, grpcclient.StreamOptions{})
	if err != nil {
		t.Fatal(err)
	}
	one, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := s.Infer(one, "iris", request()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if us := <-timeouts; us <= 0 || us > 200_000 {
		t.Errorf("the gateway has got a timeout of %d µs", us)
	}
	go func() {
		<-timeouts // the next request has arrived
		stop()
	}()
	if _, err := s.Infer(t.Context(), "iris", request()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); !errors.Is(err, context.Canceled) {
		t.Errorf("Close returns %v", err)
	}
}

func TestStreamOptionsBelongToTheStream(t *testing.T) {
	g := &gateway{stream: reversed(1)}
	c := g.connect(t, grpcclient.Options{Sticky: api.Sticky{Header: "X-User-Id"}})
	s := open(t, c, grpcclient.StreamOptions{StickyKey: "u1", Override: 3, OverrideToken: "o"})
	for _, r := range []client.InferRequest{{RequestID: "a"}, {StickyKey: "u1"}, {Override: 1}, {OverrideToken: "o"}} {
		if _, err := s.Infer(t.Context(), "iris", r); err == nil || !strings.Contains(err.Error(), "StreamOptions") {
			t.Errorf("%+v gives %v", r, err)
		}
	}
	if _, err := s.Infer(t.Context(), "iris", request()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	md := g.asked()[0].metadata
	if md.Get("x-user-id")[0] != "u1" || md.Get("sluice-override")[0] != "3" || md.Get("authorization")[0] != "Bearer o" {
		t.Errorf("metadata %v", md)
	}
	c = g.connect(t, grpcclient.Options{Sticky: api.Sticky{Parameter: "user"}})
	if _, err := c.Stream(t.Context(), grpcclient.StreamOptions{StickyKey: "u1"}); err == nil {
		t.Error("a key that no header can have is accepted")
	}
	s = open(t, c, grpcclient.StreamOptions{})
	r := request()
	r.StickyKey = "u1"
	if _, err := s.Infer(t.Context(), "iris", r); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
