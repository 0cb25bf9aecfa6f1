package grpcclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// StreamOptions are what the requests of a stream have in common, because metadata belongs to a
// call. Their fields mean what those of client.InferRequest mean.
type StreamOptions struct {
	// RequestID is the id of the stream. Its requests have the ids "ID/1", "ID/2", …
	RequestID string
	// StickyKey is the key of all requests if Options.Sticky names a header.
	StickyKey     string
	Override      int64
	OverrideToken string
}

// Stream sends many requests over one call. The gateway answers each when it is ready. It bounds the
// number of requests in progress, and reads no further ones until one is answered. A Stream is safe
// for concurrent use.
//
// A stream ends if the gateway stops, or closes the connection because of its age. The requests of
// the stream then return its error, and the program opens a new one. Requests of a stream are not
// retried.
type Stream struct {
	c       *Client
	call    pb.GRPCInferenceService_ModelStreamInferClient
	ctx     context.Context //nolint:containedctx // that of the call
	outcome outcome
	queue   chan *pending // to the goroutine that sends
	close   sync.Once
	closing chan struct{} // closed by Close
	ended   chan struct{} // closed when no answer will come any more, after err was set
	err     error         // why
	tasks   sync.WaitGroup

	mu      sync.Mutex
	waiting map[string]*pending // requests in progress, by the id of their messages
}

// pending is a request of a stream.
type pending struct {
	message *pb.ModelInferRequest
	answer  chan *pb.ModelStreamInferResponse // has room for the one answer
}

var errClosed = errors.New("the stream is closed")

// Stream opens a stream. It ends with ctx, or with Close.
func (c *Client) Stream(ctx context.Context, o StreamOptions) (*Stream, error) {
	if o.StickyKey != "" && c.sticky.Header == "" {
		return nil, errors.New("the stream has a sticky key, but Options.Sticky names no header for it")
	}
	ctx, err := c.picked(ctx, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Stream{
		c: c, ctx: ctx, queue: make(chan *pending), closing: make(chan struct{}), ended: make(chan struct{}), waiting: map[string]*pending{},
	}
	err = c.retry.Do(ctx, func() (bool, time.Duration, error) {
		var err error
		if s.call, err = c.calls.ModelStreamInfer(s.outcome.watch(ctx)); err == nil {
			return false, 0, nil
		}
		return c.failure(ctx, &s.outcome, err)
	})
	if err != nil {
		cancel()
		return nil, err
	}
	s.tasks.Go(s.send)
	s.tasks.Go(func() {
		s.receive()
		cancel()
	})
	return s, nil
}

// Infer sends a request and waits for its answer, as Client.Infer does; many goroutines may call it
// at the same time. The request must not have what is in StreamOptions. The gateway does not see the
// end of ctx, but it gets its deadline as the request's timeout.
func (s *Stream) Infer(ctx context.Context, model string, r client.InferRequest) (*client.InferResult, error) {
	if r.RequestID != "" || r.Override != 0 || r.OverrideToken != "" || r.StickyKey != "" && s.c.sticky.Parameter == "" {
		return nil, errors.New("request id, override and the header of a sticky key belong to the whole stream: set them in StreamOptions")
	}
	if deadline, ok := ctx.Deadline(); ok {
		if left := max(time.Until(deadline), time.Microsecond); r.Timeout == 0 || left < r.Timeout {
			r.Timeout = left
		}
	}
	m, err := s.c.message(model, &r)
	if err != nil {
		return nil, err
	}
	p := &pending{m, make(chan *pb.ModelStreamInferResponse, 1)}
	select {
	case s.queue <- p:
	case <-ctx.Done():
		return nil, s.c.noAnswer(context.Cause(ctx))
	case <-s.closing:
		return nil, errClosed
	case <-s.ended:
		return nil, s.reason()
	}
	select {
	case answer := <-p.answer:
		return s.result(m.GetId(), answer)
	case <-ctx.Done():
		return nil, s.c.noAnswer(context.Cause(ctx))
	case <-s.ended:
	}
	select {
	case answer := <-p.answer: // it came before the end
		return s.result(m.GetId(), answer)
	default:
		return nil, s.reason()
	}
}

// reason returns why a stream that has ended gives no answer.
func (s *Stream) reason() error {
	select {
	case <-s.closing:
		return cmp.Or(s.err, errClosed)
	default:
		return cmp.Or(s.err, errors.New("the gateway has ended the stream"))
	}
}

// Close sends no more requests, and waits until those in progress are answered. It returns the
// error that ended the stream, if it was not Close. To end a stream at once, cancel its context.
func (s *Stream) Close() error {
	s.close.Do(func() { close(s.closing) })
	s.tasks.Wait()
	return s.err
}

// send sends requests until Close, or the end of the stream. It numbers them as the gateway does.
func (s *Stream) send() {
	for n := 1; ; n++ {
		select {
		case p := <-s.queue:
			p.message.Id = strconv.Itoa(n)
			s.mu.Lock()
			s.waiting[p.message.GetId()] = p
			s.mu.Unlock()
			if s.call.Send(p.message) != nil { // receive gets the reason
				return
			}
		case <-s.closing:
			_ = s.call.CloseSend() // it returns no error
			return
		case <-s.ended:
			return
		}
	}
}

// receive gives answers to those who wait for them, until the stream ends.
func (s *Stream) receive() {
	defer close(s.ended)
	for {
		m, err := s.call.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			s.outcome.header, _ = s.call.Header()
			s.outcome.trailer = s.call.Trailer()
			_, _, s.err = s.c.failure(s.ctx, &s.outcome, err)
			return
		}
		id := m.GetInferResponse().GetId()
		s.mu.Lock()
		p := s.waiting[id]
		delete(s.waiting, id)
		s.mu.Unlock()
		if p == nil {
			s.err = s.c.unexpected(fmt.Errorf("no request waits for an answer with the id %.40q", id))
			return
		}
		p.answer <- m
	}
}

// result reads the answer to the request with an id.
func (s *Stream) result(id string, m *pb.ModelStreamInferResponse) (*client.InferResult, error) {
	header, _ := s.call.Header() // it came before the answer
	requestID := first(header, "x-request-id")
	if requestID != "" {
		requestID += "/" + id
	}
	if m.GetErrorMessage() == "" {
		return s.c.result(m.GetInferResponse(), requestID)
	}
	e := &client.Error{Message: m.GetErrorMessage(), RequestID: requestID}
	if code := m.GetInferResponse().GetParameters()["sluice_status"].GetInt64Param(); code != 0 {
		e = answered(codes.Code(code), e.Message, requestID) //nolint:gosec // answered checks it
	}
	return nil, e
}
