package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/oip"
)

// retryAfter is the suggested delay, in seconds, of an answer that asks for a retry.
const retryAfter = "1"

// exchange is a request and its answer, until the answer was written. It is pooled. Its strings are
// views of its own buffers or of the request's.
type exchange struct {
	srv     *Server
	ctx     *fasthttp.RequestCtx
	conn    *conn
	arrived time.Time
	header  header
	target  target
	caller  *callers.Caller // nil for an open endpoint, and before the caller is known
	id      []byte          // X-Request-Id
	sticky  []byte          // the key in a header, a view of the connection's buffer
	served  infer.Served
	code    infer.Code // of the answer
	failure string     // the text of an error answer
	turn    bool       // it has a turn for a long computation: see takeTurn
	broken  bool       // a panic: something may still use its buffers
	trace   *front.Trace

	call           *oip.Call
	idBuf, pathBuf [front.MaxRequestID]byte
	bodyTaken      bool // the body is being read or was read
	received       int  // bytes of the request's body
	answered       int  // bytes of the answer's body

	// The memory of the request, all of it reserved.
	memory front.Reservation
	raw    []byte  // the body as received
	spare  []byte  // for decompressing a body or compressing an answer
	out    []byte  // the answer's body
	kept   []byte  // the largest outgrown buffer, for the next body
	probe  [1]byte // for reading beyond a full buffer
}

func (s *Server) newExchange(ctx *fasthttp.RequestCtx, arrived time.Time) *exchange {
	x := s.exchanges.Get().(*exchange) //nolint:forcetypeassert // nothing else is put there
	x.ctx, x.arrived = ctx, arrived
	x.conn = connOf(ctx.Conn())
	s.front.Hold(&x.memory)
	x.reserveKept()
	return x
}

func (x *exchange) newCall() {
	x.call = oip.NewCall()
	x.call.Grow = x.growAnswer
}

// end completes the answer's headers, logs the request and releases it. The connection writes the
// answer, and then calls written.
func (x *exchange) end() {
	h := &x.ctx.Response.Header
	h.SetCanonical([]byte("X-Request-Id"), x.id)
	if x.served.Reason != "" {
		var value [64]byte // on the stack, unless a value is longer
		h.SetCanonical([]byte("Sluice-Version"), strconv.AppendInt(value[:0], x.served.Version.Number, 10))
		h.SetCanonical([]byte("Sluice-Route"), append(value[:0], x.served.Route...))
		h.SetCanonical([]byte("Sluice-Reason"), append(value[:0], x.served.Reason...))
	}
	if x.srv.cors != nil {
		x.srv.cors.mark(h, x.header.origin)
	}
	if x.srv.draining.Load() {
		x.ctx.SetConnectionClose()
	}
	x.conn.answering()
	if !x.bodyTaken && x.hasBody() {
		x.conn.linger.Store(true) // fasthttp skips a small body, and closes the connection after a large one
	}
	if x.srv.front.Logs(x.code, x.arrived) {
		x.log()
	}
	if x.trace != nil {
		x.record()
	}
	x.caller.Count(x.code)
	x.endTurn()
	if !x.broken {
		x.dropBody()
	}
	x.conn.exchange.Store(x)
}

// written returns all memory: the answer was written, or could not be written.
func (x *exchange) written() {
	x.memory.End()
	if x.broken {
		return
	}
	s, call, raw, spare, out := x.srv, x.call, x.kept[:0], x.spare[:0], x.out[:0]
	if cap(out) > maxKeptBytes {
		s.spares.put(out)
		out = nil
	}
	*x = exchange{srv: s, call: call, raw: raw, spare: spare, out: out}
	s.exchanges.Put(x)
}

// log writes the access log line of the exchange.
func (x *exchange) log() {
	a := front.Access{
		Protocol: "http", Level: zapcore.InfoLevel, Arrived: x.arrived, Received: x.received, Answered: x.answered, RequestID: x.id,
		Traceparent: x.header.traceparent, Trace: x.trace, Remote: x.ctx.RemoteAddr(), Served: x.served, Caller: x.caller,
	}
	status := x.ctx.Response.StatusCode()
	if status >= fasthttp.StatusInternalServerError {
		a.Level = zapcore.WarnLevel
	}
	a.Fields = append(make([]zap.Field, 0, 20),
		zap.String("method", front.Printable(view(x.ctx.Method()))),
		zap.String("path", front.Printable(view(x.ctx.Request.URI().PathOriginal()))),
		zap.Int("status", status))
	if x.code != infer.OK {
		a.Fields = append(a.Fields, zap.Stringer("code", x.code), zap.String("error", front.Printable(x.failure)))
	}
	x.srv.front.LogAccess(&a)
}

// hasBody reports whether a body follows the headers.
func (x *exchange) hasBody() bool {
	length := x.ctx.Request.Header.ContentLength()
	return length > 0 || length == -1 // chunks
}

// handle answers a request that fasthttp could parse.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	x := s.newExchange(ctx, ctx.Time())
	if err := x.answer(); err != nil {
		x.fail(err)
	}
	x.end()
}

// answer serves the request. A panic becomes an Internal error and closes the connection, since the
// code that used its buffers may still run.
func (x *exchange) answer() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &infer.Error{Code: infer.Internal, Op: "panic", Msg: fmt.Sprintf("%v\n%s", v, debug.Stack())}
			x.broken = true
			x.hangUp()
		}
	}()
	req := &x.ctx.Request
	err = x.header.scan(req.Header.RawHeaders())
	x.id = x.srv.front.AppendRequestID(x.idBuf[:0], x.header.requestID)
	if err != nil {
		x.hangUp()
		return err
	}
	if x.header.claims(x.srv.limits.MaxBodyBytes) {
		return x.bodyTooLarge(x.srv.limits.MaxBodyBytes) // on every endpoint: the bytes that follow are the body, not a request
	}
	if req.Header.IsOptions() && string(req.Header.RequestURI()) == "*" {
		x.options("GET, HEAD, POST, OPTIONS") // of the server as a whole
		return nil
	}
	path, ok := requestPath(req)
	if !ok {
		return infer.Errorf(infer.Invalid, "the path has a fragment; write a '#' in a name as %%23")
	}
	if x.target, err = parsePath(path, x.pathBuf[:0]); err != nil {
		return err
	}
	if x.target.endpoint == noEndpoint {
		return infer.Errorf(infer.NotFound, "Not Found")
	}
	if req.Header.IsOptions() {
		x.options(x.target.endpoint.allow())
		return nil
	}
	if !x.target.endpoint.takes(&req.Header) {
		x.ctx.Response.Header.Set(fasthttp.HeaderAllow, x.target.endpoint.allow())
		x.write(fasthttp.StatusMethodNotAllowed, infer.NotFound, "Method Not Allowed") // scanners ask for these, as for unknown paths
		return nil
	}
	return x.dispatch()
}

// requestPath returns the path as received, and false if it has a fragment. Only an absolute URI
// goes through fasthttp's parser, whose decoded path is not used.
func requestPath(req *fasthttp.Request) (path []byte, ok bool) {
	raw := req.Header.RequestURI()
	if len(raw) == 0 || raw[0] != '/' {
		uri := req.URI()
		return uri.PathOriginal(), len(uri.Hash()) == 0
	}
	if bytes.IndexByte(raw, '#') >= 0 {
		return nil, false
	}
	path, _, _ = bytes.Cut(raw, []byte{'?'})
	return path, true
}

func (x *exchange) dispatch() error {
	if err := x.authorize(); err != nil {
		return err
	}
	if err := x.findLabel(); err != nil {
		return err
	}
	switch x.target.endpoint {
	case endpointInfer:
		return x.infer()
	case endpointPredict, endpointInvocations:
		return x.predictRows()
	case endpointLabels:
		return x.labels()
	case endpointV1Predict:
		return x.inference(x.v1Predict)
	case endpointV1Live:
		return x.document(append(x.body(), `{"status":"alive"}`...))
	case endpointV1Models, endpointV1Status, endpointV1Metadata:
		return x.v1Document()
	case endpointPing:
		return x.ping()
	case endpointOpenAPI:
		return x.document(append(x.body(), api.OpenAPI...))
	case endpointServer:
		return x.serverMetadata()
	case endpointLive:
		return x.live()
	case endpointReady:
		return x.ready()
	case endpointModel:
		return x.modelMetadata()
	case endpointModelReady:
		return x.modelReady()
	case endpointModelStatistics, endpointAllStatistics:
		return x.statistics()
	case endpointModelConfig:
		return x.modelConfig()
	default:
		return x.dispatchControl()
	}
}

// dispatchControl is dispatch for the calls that list, load and unload models.
func (x *exchange) dispatchControl() error {
	switch x.target.endpoint {
	case endpointIndex:
		return x.index()
	case endpointLoad, endpointUnload:
		return x.control()
	case endpointTraceSetting, endpointModelTraceSetting, endpointLogging:
		return x.setting()
	case endpointMemoryStatus, endpointMemoryRegister, endpointMemoryUnregister:
		return x.sharedMemory()
	default:
		panic("BUG: an endpoint without a handler")
	}
}

// fail answers with an error. The details of an internal error are only logged.
func (x *exchange) fail(err error) {
	if body := (*bodyError)(nil); errors.As(err, &body) {
		x.failBroken(body.err)
		return
	}
	code := infer.CodeOf(err)
	if code == infer.Internal {
		x.srv.front.LogFailure(err, x.id, x.target.model, x.served.Version.Number)
	}
	unreadable := x.target.endpoint == noEndpoint && (code == infer.Invalid || code == infer.TooLarge)
	if unreadable || x.target.endpoint.isInference() && x.served.Reason == "" {
		x.srv.front.CountUnrouted(code)
	}
	if code == infer.Unauthenticated {
		x.ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, callers.Challenge(err))
	}
	if wire.Retry(code) {
		x.ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(wire.RetryAfter(err)))
	}
	x.write(x.status(code), code, infer.Message(err))
}

// hangUp closes the connection after the answer. The caller may still be sending.
func (x *exchange) hangUp() {
	x.ctx.SetConnectionClose()
	x.conn.linger.Store(true)
}

func (x *exchange) status(code infer.Code) int {
	if x.srv.triton {
		return wire.TritonHTTPStatus(code)
	}
	return wire.HTTPStatus(code)
}

// write answers with a status and an error text.
func (x *exchange) write(status int, code infer.Code, text string) {
	x.code, x.failure = code, text
	x.ctx.SetStatusCode(status)
	x.setBody(oip.AppendError(x.body(), text), "application/json")
}

// handleBroken answers data that fasthttp could not parse as a request, and closes the connection.
func (s *Server) handleBroken(ctx *fasthttp.RequestCtx, err error) {
	x := s.newExchange(ctx, time.Now())
	defer x.end()
	_ = x.header.scan(ctx.Request.Header.RawHeaders()) // the part that fasthttp has kept
	x.id = x.srv.front.AppendRequestID(x.idBuf[:0], x.header.requestID)
	x.failBroken(err)
}

// failBroken answers a request that could not be read, and closes the connection.
func (x *exchange) failBroken(err error) {
	status, text := x.srv.describeBroken(err)
	x.ctx.SetConnectionClose()
	if status != fasthttp.StatusRequestTimeout {
		x.hangUp()
	}
	code := infer.Invalid
	if status == fasthttp.StatusRequestEntityTooLarge {
		code = infer.TooLarge
	}
	x.srv.front.CountUnrouted(code)
	x.write(status, code, text)
}

// describeBroken returns the status and the text for a request that could not be read.
func (s *Server) describeBroken(err error) (status int, text string) {
	var small *fasthttp.ErrSmallBuffer
	var chunk fasthttp.ErrBrokenChunk
	var netErr net.Error
	switch {
	case errors.As(err, &small):
		return fasthttp.StatusRequestHeaderFieldsTooLarge, fmt.Sprintf("the request line and headers take more than the limit of %d bytes", s.limits.MaxHeaderBytes)
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return fasthttp.StatusRequestEntityTooLarge, tooLargeText(s.limits.MaxBodyBytes)
	case errors.As(err, &netErr) && netErr.Timeout():
		return fasthttp.StatusRequestTimeout, fmt.Sprintf("the request did not arrive within %v", s.limits.ReadTimeout)
	case errors.As(err, &chunk):
		return fasthttp.StatusBadRequest, "the chunked body is malformed"
	case errors.Is(err, fasthttp.ErrDuplicateContentLength):
		return fasthttp.StatusBadRequest, "more than one Content-Length header"
	case errors.Is(err, fasthttp.ErrUnsupportedTransferEncoding):
		return fasthttp.StatusBadRequest, "Transfer-Encoding must be chunked, once, over HTTP/1.1"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fasthttp.StatusBadRequest, "the request ended before its body was complete"
	default:
		return fasthttp.StatusBadRequest, "malformed request line, header or chunk size"
	}
}
