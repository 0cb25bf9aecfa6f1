package grpcapi

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/oip"
)

// exchange is one request and its answer, until that was written: a call, or one of the
// requests of a stream.
type exchange struct {
	srv      *Server
	call     *call
	conn     *conn
	method   string
	streamed bool // it is one of a stream's
	header   metadata.MD
	arrived  time.Time
	id       string // x-request-id
	handler  handler

	message  mem.Buffer // that the request aliases; nil: none
	request  request
	refused  error // why the request was not read
	decoded  int   // bytes that are reserved for it and the message
	received int   // bytes of the message
	served   infer.Served
	trace    *front.Trace
	caller   *callers.Caller // nil for an open method, and before the caller is known
	names    []string        // in the client's certificate

	memory front.Reservation
	answer []byte // the message
	remote net.Addr
}

// newExchange begins an exchange of a call.
func (s *Server) newExchange(ctx context.Context, method string) *exchange {
	x := &exchange{srv: s, method: method, arrived: time.Now()}
	s.front.Hold(&x.memory)
	if k := callOf(ctx); k != nil {
		x.call, x.conn, x.header, x.remote, x.names = k, k.conn, k.header, k.conn.RemoteAddr(), k.conn.names
	}
	given, _ := x.field(idHeader)
	x.id = string(s.front.AppendRequestID(make([]byte, 0, usualID), given))
	x.handler = handler{grpc.ServerTransportStreamFromContext(ctx), x.id}
	x.call.isHandled(&x.handler)
	return x
}

// usualID is a room for most request ids.
const usualID = 40

// next begins the exchange of a request of a stream.
func (x *exchange) next(n int) *exchange {
	y := &exchange{srv: x.srv, streamed: true, call: x.call, conn: x.conn, remote: x.remote, method: x.method, header: x.header, names: x.names}
	x.srv.front.Hold(&y.memory)
	y.id = x.id + "/" + strconv.Itoa(n)
	return y
}

// field returns the value of a header, whose name may be in any case; nil if it is absent,
// Invalid if it is given more than once.
func (x *exchange) field(name string) ([]byte, error) {
	switch values := x.header.Get(name); len(values) {
	case 0:
		return nil, nil
	case 1:
		return []byte(values[0]), nil
	default:
		return nil, infer.Errorf(infer.Invalid, "header '%s' is given more than once", name)
	}
}

// recovered makes an error of a panic.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = &infer.Error{Code: infer.Internal, Op: "panic", Msg: fmt.Sprintf("%v\n%s", v, debug.Stack())}
	}
}

// end logs the exchange, and gives back what it holds unless an answer is to be written.
func (x *exchange) end(err error, inference bool) {
	code := infer.CodeOf(err)
	model := x.request.model
	if code == infer.Internal {
		x.srv.front.LogFailure(err, []byte(x.id), model, x.served.Version.Number)
	}
	if err != nil && inference && x.served.Reason == "" {
		x.srv.front.CountUnrouted(code)
	}
	x.caller.Count(code)
	if x.srv.front.Logs(code, x.arrived) {
		x.log(err, code)
	}
	if x.trace != nil {
		x.record(err, code)
	}
	if x.answer == nil {
		x.memory.End()
	}
}

// record ends the trace of the exchange.
func (x *exchange) record(err error, code infer.Code) {
	t := x.trace
	t.RequestID, t.Served, t.Code = x.id, x.served, code
	if err != nil {
		t.Error = front.Printable(infer.Message(err))
	}
	agent, _ := x.field("user-agent")
	t.Method, t.GRPCStatus, t.Peer, t.UserAgent = x.method, x.srv.status(code).String(), x.remote, front.Printable(string(agent))
	if r, ok := x.remote.(remote); ok {
		t.Peer = r.Addr
	}
	t.BytesIn, t.BytesOut = x.received, len(x.answer)
	x.srv.front.Record(t)
}

// beginTrace begins the trace of a request that was read, if it is selected.
func (x *exchange) beginTrace() {
	if !x.srv.front.Tracing() {
		return
	}
	traceparent, _ := x.field("traceparent")
	tracestate := []byte(strings.Join(x.header.Get("tracestate"), ","))
	x.trace = x.srv.front.Trace(x.request.model, x.arrived, traceparent, tracestate)
	x.trace.Read()
}

func (x *exchange) log(err error, code infer.Code) {
	a := front.Access{
		Protocol: "grpc", Level: zapcore.InfoLevel, Arrived: x.arrived, Received: x.received, Answered: len(x.answer),
		RequestID: []byte(x.id), Trace: x.trace, Remote: x.remote, Served: x.served, Caller: x.caller,
	}
	a.Traceparent, _ = x.field("traceparent")
	if code == infer.Internal || code == infer.Unavailable || code == infer.Deadline {
		a.Level = zapcore.WarnLevel
	}
	a.Fields = append(make([]zap.Field, 0, 20),
		zap.String("method", front.Printable(x.method)),
		zap.String("model", front.Printable(x.request.model)),
		zap.Stringer("status", x.srv.status(code)))
	if err != nil {
		a.Fields = append(a.Fields, zap.Stringer("code", code), zap.String("error", front.Printable(infer.Message(err))))
	}
	x.srv.front.LogAccess(&a)
}

// status returns what a call that ended with a code answers.
func (s *Server) status(code infer.Code) codes.Code {
	if s.opts.Triton {
		return wire.TritonGRPCCode(code)
	}
	return wire.GRPCCode(code)
}

// fail returns the status of a call that failed, and sets its header and its trailers.
func (x *exchange) fail(ctx context.Context, err error) error {
	x.tellID(ctx)
	code := infer.CodeOf(err)
	if wire.Retry(code) {
		ms := strconv.Itoa(int(time.Duration(wire.RetryAfter(err)) * time.Second / time.Millisecond))
		_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", ms))
	}
	answer := x.srv.status(code)
	if code == infer.Deadline && ctx.Err() != nil {
		answer = codes.DeadlineExceeded // also under compat: triton: the call's own deadline, which the client's library reports so
	}
	return status.Error(answer, infer.Message(err))
}

// intercept wraps the calls that are not inferences: log, request id, status of errors.
func (s *Server) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	x := s.newExchange(ctx, info.FullMethod)
	defer x.call.end()
	x.answerPlain(ctx)
	func() {
		defer recovered(&err)
		if err = x.admitCall(req); err == nil {
			resp, err = handler(context.WithValue(ctx, exchangeKey{}, x), req)
		}
	}()
	if err == nil {
		err = x.encode(resp.(proto.Message)) //nolint:forcetypeassert // the generated code has no other
	}
	x.end(err, false)
	if err != nil {
		return nil, x.fail(ctx, err)
	}
	x.sendID(ctx)
	return x, nil
}

// answerPlain keeps grpc-go from compressing the answers of a call whose requests are compressed: it would
// put them where nobody counts them.
func (x *exchange) answerPlain(ctx context.Context) {
	st, ok := x.handler.ServerTransportStream.(interface{ RecvCompress() string })
	if !ok || st.RecvCompress() != "" { // what follows reads headers again
		_ = grpc.SetSendCompressor(ctx, encoding.Identity)
	}
}

// idHeader is the name of the metadata with a request id.
const idHeader = "x-request-id"

// tellID lets grpc-go send the request id with the header of whatever it answers.
func (x *exchange) tellID(ctx context.Context) {
	_ = grpc.SetHeader(ctx, metadata.Pairs(idHeader, x.id))
}

// idHeaders has headers with a request id. grpc-go has encoded them when SendHeader returns.
var idHeaders = sync.Pool{New: func() any {
	return &metadata.MD{idHeader: {""}}
}}

// sendID sends the header with the request id: the answer follows. SetHeader would make a copy of it, which takes three allocations.
func (x *exchange) sendID(ctx context.Context) {
	header := idHeaders.Get().(*metadata.MD) //nolint:forcetypeassert // nothing else is put there
	(*header)[idHeader][0] = x.id
	_ = grpc.SendHeader(ctx, *header)
	idHeaders.Put(header)
}

// exchangeKey is the key of a call's exchange in its context.
type exchangeKey struct{}

// exchangeOf returns the exchange of a call that intercept wraps.
func exchangeOf(ctx context.Context) *exchange {
	return ctx.Value(exchangeKey{}).(*exchange) //nolint:forcetypeassert // intercept has put it there
}

// limits returns those of what is inside a request.
func (x *exchange) limits() *oip.Limits { return &x.srv.opts.Limits.Tensors }
