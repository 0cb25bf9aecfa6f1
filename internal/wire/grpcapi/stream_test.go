package grpcapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/grpcapi"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

type client = grpc.BidiStreamingClient[pb.ModelInferRequest, pb.ModelStreamInferResponse]

// open opens a stream, which ends with the test.
func (r *running) open(t testing.TB) client {
	t.Helper()
	st, err := r.dial(t).ModelStreamInfer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func send(t testing.TB, st client, m *pb.ModelInferRequest) {
	t.Helper()
	if err := st.Send(m); err != nil {
		t.Fatal(err)
	}
}

// ids reads n answers and returns their ids in order; those of errors with a "!".
func ids(t *testing.T, st client, n int) (list []string) {
	t.Helper()
	for range n {
		m, err := st.Recv()
		if err != nil {
			t.Fatal(err)
		}
		id := m.GetInferResponse().GetId()
		if m.GetErrorMessage() != "" {
			id += "!"
			if m.GetInferResponse().GetParameters()["sluice_status"].GetInt64Param() == 0 {
				t.Error("an error does not say its status")
			}
		} else if !m.GetInferResponse().GetParameters()["triton_final_response"].GetBoolParam() {
			t.Error("an answer is not marked as the final one")
		}
		list = append(list, id)
	}
	return list
}

// closed closes a stream and expects its end.
func closed(t *testing.T, st client) {
	t.Helper()
	if err := st.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if m, err := st.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, %v, want the end of the stream", m, err)
	}
}

// gates is a stub whose requests wait until the gate of their id opens.
func gates(n int) (*stub, []chan struct{}) {
	open := make([]chan struct{}, n)
	for i := range open {
		open[i] = make(chan struct{})
	}
	return &stub{predict: func(ctx context.Context, req *infer.Request) (*infer.Response, error) {
		i, err := strconv.Atoi(req.ID)
		if err != nil {
			return nil, err
		}
		select {
		case <-open[i]:
			return answer(req), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}, open
}

func number(i int) *pb.ModelInferRequest { return raw(strconv.Itoa(i), 1, 2, 3, 4) }

// Answers leave as they are ready, and an error is that of its request alone.
func TestStream(t *testing.T) {
	s, open := gates(4)
	st := start(t, s, nil).open(t)
	for i := range open {
		send(t, st, number(i))
	}
	bad := number(9)
	bad.ModelName = "nope"
	send(t, st, bad)
	got := ids(t, st, 1)
	for _, i := range []int{2, 0, 3, 1} {
		close(open[i])
		got = append(got, ids(t, st, 1)...)
	}
	if want := []string{"9!", "2", "0", "3", "1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	closed(t, st)
}

// Under compat: triton they keep the order of the requests, errors included.
func TestStreamInOrder(t *testing.T) {
	s, open := gates(3)
	st := start(t, s, func(o *options) { o.Triton = true }).open(t)
	send(t, st, number(0))
	bad := number(9)
	bad.ModelName = "nope"
	send(t, st, bad)
	send(t, st, number(1))
	send(t, st, number(2))
	for i := range open {
		close(open[len(open)-1-i])
	}
	if got, want := ids(t, st, 4), []string{"0", "9!", "1", "2"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	closed(t, st)
}

// Each request of a stream has an id of its own, by which copies for shadows are chosen.
func TestStreamRequestIDs(t *testing.T) {
	var seen sync.Map
	s := &stub{predict: func(_ context.Context, req *infer.Request) (*infer.Response, error) {
		if _, twice := seen.LoadOrStore(req.RequestID, true); twice || req.RequestID == "" {
			return nil, fmt.Errorf("request id %q", req.RequestID)
		}
		return answer(req), nil
	}}
	st := start(t, s, nil).open(t)
	for range 10 {
		send(t, st, raw("", 1, 2, 3, 4))
	}
	for _, id := range ids(t, st, 10) {
		if id != "" {
			t.Errorf("an id %q was made up or failed", id)
		}
	}
	closed(t, st)
}

// A stream has at most so many requests in progress: further ones are not read.
func TestStreamIsBounded(t *testing.T) {
	const most = 3
	var running, peak atomic.Int64
	release := make(chan struct{})
	s := &stub{predict: func(_ context.Context, req *infer.Request) (*infer.Response, error) {
		for now := running.Add(1); ; {
			if old := peak.Load(); now <= old || peak.CompareAndSwap(old, now) {
				break
			}
		}
		<-release
		running.Add(-1)
		return answer(req), nil
	}}
	r := start(t, s, func(o *options) { o.Limits.MaxStreamed = most })
	st := r.open(t)
	const n = 20
	for i := range n {
		send(t, st, number(i))
	}
	for running.Load() != most {
		time.Sleep(time.Millisecond)
	}
	close(release)
	ids(t, st, n)
	if got := peak.Load(); got != most {
		t.Errorf("%d requests were in progress, want %d", got, most)
	}
	closed(t, st)
}

// A message beyond the limit ends the stream.
func TestStreamMessageTooLarge(t *testing.T) {
	st := start(t, &stub{}, func(o *options) { o.Limits.MaxMessageBytes = 1 << 10 }).open(t)
	send(t, st, number(0))
	if got := ids(t, st, 1); !slices.Equal(got, []string{"0"}) {
		t.Errorf("got %v", got)
	}
	send(t, st, raw("1", make([]float32, 1<<10)...))
	_, err := st.Recv()
	wantCode(t, err, codes.ResourceExhausted)
}

// A client that does not read its answers is not read from, holds no more than its requests
// in progress, and loses its connection.
func TestStreamThatNeverReads(t *testing.T) {
	s := &stub{}
	r := start(t, s, func(o *options) {
		o.Limits.MaxMessageBytes = 8 << 20
		o.Limits.WriteTimeout = 300 * time.Millisecond
	})
	st := r.open(t)
	large := raw("", make([]float32, 1<<18)...) // an answer of 1 MiB, beyond every window
	err := st.Send(large)
	for err == nil { // until the connection is closed
		err = st.Send(large)
	}
	_, err = st.Recv()
	for err == nil { // what has arrived before
		_, err = st.Recv()
	}
	wantCode(t, err, codes.Unavailable)
	for r.front.Memory() != 0 || r.front.InFlight() != 0 {
		time.Sleep(time.Millisecond) // what it held is given back
	}
}

// So does one of single calls.
func TestCallsThatNeverRead(t *testing.T) {
	r := start(t, &stub{}, func(o *options) {
		o.Limits.MaxMessageBytes = 8 << 20
		o.Limits.WriteTimeout = 300 * time.Millisecond
	})
	reads := make(chan struct{})
	c := r.dial(t, grpc.WithContextDialer(stalling(reads)))
	ended := make(chan error, 1)
	go func() {
		_, err := c.ModelInfer(t.Context(), raw("", make([]float32, 1<<20)...), grpc.MaxCallRecvMsgSize(64<<20))
		ended <- err
	}()
	for r.front.Memory() == 0 {
		time.Sleep(time.Millisecond)
	}
	for r.front.Memory() != 0 { // the answer is given up
		time.Sleep(time.Millisecond)
	}
	close(reads)
	wantCode(t, <-ended, codes.Unavailable)
}

// A stop ends streams after what they have in progress.
func TestStopEndsStreams(t *testing.T) {
	s, open := gates(2)
	r := start(t, s, nil)
	st, idle := r.open(t), r.open(t)
	send(t, st, number(0))
	send(t, st, number(1))
	send(t, idle, raw("x", 1, 2, 3, 4)) // its id has no gate: an error
	ids(t, idle, 1)
	for r.front.InFlight() != 2 {
		time.Sleep(time.Millisecond)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	_, err := idle.Recv()
	wantCode(t, err, codes.Unavailable)
	close(open[1])
	close(open[0])
	got := ids(t, st, 2)
	slices.Sort(got)
	if !slices.Equal(got, []string{"0", "1"}) {
		t.Errorf("got %v", got)
	}
	_, err = st.Recv()
	wantCode(t, err, codes.Unavailable)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// A stop loses no call that was accepted: every failure is one that was never run.
func TestStopUnderLoad(t *testing.T) {
	var ran, answered atomic.Int64
	s := &stub{predict: func(_ context.Context, req *infer.Request) (*infer.Response, error) {
		ran.Add(1)
		return answer(req), nil
	}}
	r := start(t, s, nil)
	var callers sync.WaitGroup
	busy := make(chan struct{})
	var once sync.Once
	for range 8 {
		c := r.dial(t)
		callers.Go(func() {
			for {
				if _, err := c.ModelInfer(t.Context(), raw("", 1, 2, 3, 4)); err != nil {
					wantCode(t, err, codes.Unavailable)
					return
				}
				if answered.Add(1) == 200 {
					once.Do(func() { close(busy) })
				}
			}
		})
	}
	<-busy
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	callers.Wait()
	if ran.Load() != answered.Load() {
		t.Errorf("%d calls ran, %d were answered", ran.Load(), answered.Load())
	}
}

func TestManyStreams(t *testing.T) {
	r := start(t, &stub{}, nil)
	c := r.dial(t)
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() {
			st, err := c.ModelStreamInfer(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			for range 2 {
				if err := st.Send(raw("", 1, 2, 3, 4)); err != nil {
					t.Error(err)
				}
				if m, err := st.Recv(); err != nil || m.GetErrorMessage() != "" {
					t.Errorf("got %v, %v", m, err)
				}
			}
			if err := st.CloseSend(); err != nil {
				t.Error(err)
			}
			if _, err := st.Recv(); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// A caller that leaves cancels what it has in progress.
func TestStreamCanceled(t *testing.T) {
	ended := make(chan error, 4)
	s := &stub{predict: func(ctx context.Context, _ *infer.Request) (*infer.Response, error) {
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}}
	r := start(t, s, nil)
	ctx, cancel := context.WithCancel(t.Context())
	st, err := r.dial(t).ModelStreamInfer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		send(t, st, number(i))
	}
	for r.front.InFlight() != 4 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	for range 4 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

var _ grpcapi.Describer = (*stub)(nil)
