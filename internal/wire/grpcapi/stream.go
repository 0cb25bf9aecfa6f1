package grpcapi

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// errStopping ends streams when the stop begins.
var errStopping = status.Error(codes.Unavailable, "the server is stopping")

// interceptStream wraps streams: who may open one, status of errors, panics.
func (s *Server) interceptStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	k := callOf(ss.Context())
	defer k.end()
	k.isStream()
	x := s.newExchange(ss.Context(), info.FullMethod)
	x.answerPlain(ss.Context())
	func() {
		defer recovered(&err)
		if need, known := s.needs[x.method]; known {
			err = x.identify(need, "")
		}
		if err == nil {
			err = handler(srv, &counted{ServerStream: ss, srv: s, call: k})
		}
	}()
	if e := (*infer.Error)(nil); errors.As(err, &e) {
		x.end(err, false)
		return x.fail(ss.Context(), err)
	}
	return err
}

// stream is one ModelStreamInfer.
type stream struct {
	grpc.ServerStream

	x     *exchange // what its requests have in common
	slots chan struct{}
	send  sync.Mutex
	tasks sync.WaitGroup
	// turn is closed when the answers before the next one were sent; nil if they are sent
	// as they are ready.
	turn chan struct{}
}

// ModelStreamInfer implements pb.GRPCInferenceServiceServer. Many requests may be in
// progress, each is answered when it is ready, and an error is that of its request alone.
// Under compat: triton answers keep the order of the requests. A client that does not read
// is not read from: requests in progress are bounded, and one whose answer was not written
// in time has its connection closed.
func (s *Server) ModelStreamInfer(ss grpc.BidiStreamingServer[pb.ModelInferRequest, pb.ModelStreamInferResponse]) error {
	ctx, cancel := context.WithCancel(ss.Context())
	defer cancel()
	st := &stream{
		ServerStream: ss, x: s.newExchange(ctx, pb.GRPCInferenceService_ModelStreamInfer_FullMethodName),
		slots: make(chan struct{}, s.opts.Limits.MaxStreamed),
	}
	st.x.tellID(ctx)
	if s.opts.Triton {
		st.turn = make(chan struct{})
		close(st.turn)
	}
	received := make(chan *exchange)
	ended := make(chan error, 1)
	s.receivers.Go(func() { ended <- st.receive(ctx, received) }) // it ends with the call, at the latest
	err := st.serve(ctx, received, ended)
	st.tasks.Wait()
	if err == nil {
		err = ss.Context().Err() // the deadline may pass here before it passes at the client
	}
	if err == nil || errors.Is(err, errStopping) {
		st.x.end(nil, false)
	} else {
		st.x.end(unread(err), false)
	}
	return err
}

// serve begins what is received, until no more comes or the stop begins.
func (st *stream) serve(ctx context.Context, received <-chan *exchange, ended <-chan error) error {
	for {
		select {
		case x := <-received:
			before, after := st.turn, make(chan struct{})
			if before != nil {
				st.turn = after
			}
			st.tasks.Go(func() { st.answer(ctx, x, before, after) })
		case err := <-ended:
			return err
		case <-st.x.srv.stopping:
			return errStopping
		}
	}
}

// receive reads requests, each once there is a slot for it, until the client ends.
func (st *stream) receive(ctx context.Context, to chan<- *exchange) error {
	for n := 1; ; n++ {
		select {
		case st.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		x := st.x.next(n)
		if err := st.RecvMsg(x); err != nil {
			x.memory.End()
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		x.arrived = time.Now()
		x.call.asked()
		select {
		case to <- x:
		case <-ctx.Done():
			x.memory.End()
			return ctx.Err()
		}
	}
}

// answer answers one request, after those before it if their order is to be kept, and
// frees its slot.
func (st *stream) answer(ctx context.Context, x *exchange, before <-chan struct{}, after chan<- struct{}) {
	defer func() { <-st.slots }()
	defer close(after)
	defer x.call.answered()
	err := x.infer(ctx)
	if err != nil { // its message is small, and must be sent when memory is short
		status := int64(x.srv.status(infer.CodeOf(err)))
		x.answer, _ = proto.MarshalOptions{}.MarshalAppend(make([]byte, 0, minAnswer), &pb.ModelStreamInferResponse{
			ErrorMessage: infer.Message(err),
			InferResponse: &pb.ModelInferResponse{Id: x.request.id, Parameters: map[string]*pb.InferParameter{
				"sluice_status": {ParameterChoice: &pb.InferParameter_Int64Param{Int64Param: status}},
			}},
		})
	}
	x.end(err, true)
	if before != nil {
		select {
		case <-before:
		case <-ctx.Done():
		}
	}
	st.send.Lock()
	defer st.send.Unlock()
	if st.SendMsg(x) != nil { // the client has left
		x.memory.End()
	}
}
