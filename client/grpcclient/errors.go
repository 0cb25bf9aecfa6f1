package grpcclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"sluice.io/sluice/client"
)

// statusClientClosedRequest is the gateway's HTTP status for a caller that has left.
const statusClientClosedRequest = 499

// statuses are the names of gRPC's statuses, and the HTTP statuses of the same errors.
var statuses = [...]struct {
	name string
	http int
}{
	codes.OK:                 {"OK", http.StatusOK},
	codes.Canceled:           {"CANCELLED", statusClientClosedRequest},
	codes.Unknown:            {"UNKNOWN", http.StatusInternalServerError},
	codes.InvalidArgument:    {"INVALID_ARGUMENT", http.StatusBadRequest},
	codes.DeadlineExceeded:   {"DEADLINE_EXCEEDED", http.StatusGatewayTimeout},
	codes.NotFound:           {"NOT_FOUND", http.StatusNotFound},
	codes.AlreadyExists:      {"ALREADY_EXISTS", http.StatusConflict},
	codes.PermissionDenied:   {"PERMISSION_DENIED", http.StatusForbidden},
	codes.ResourceExhausted:  {"RESOURCE_EXHAUSTED", http.StatusTooManyRequests},
	codes.FailedPrecondition: {"FAILED_PRECONDITION", http.StatusPreconditionFailed},
	codes.Aborted:            {"ABORTED", http.StatusConflict},
	codes.OutOfRange:         {"OUT_OF_RANGE", http.StatusBadRequest},
	codes.Unimplemented:      {"UNIMPLEMENTED", http.StatusNotImplemented},
	codes.Internal:           {"INTERNAL", http.StatusInternalServerError},
	codes.Unavailable:        {"UNAVAILABLE", http.StatusServiceUnavailable},
	codes.DataLoss:           {"DATA_LOSS", http.StatusInternalServerError},
	codes.Unauthenticated:    {"UNAUTHENTICATED", http.StatusUnauthorized},
}

// answered returns the error for a status of the gateway.
func answered(code codes.Code, message, requestID string) *client.Error {
	if int(code) >= len(statuses) {
		code = codes.Unknown
	}
	s := statuses[code]
	return &client.Error{Status: s.http, Code: s.name, Message: message, RequestID: requestID}
}

// outcome is what is known of a call beside its message.
type outcome struct {
	sent, answered  atomic.Bool // whether a connection took the call; whether the gateway ended it with a status
	header, trailer metadata.MD
}

type outcomeKey struct{}

// watch returns the context with which a call must be made.
func (o *outcome) watch(ctx context.Context) context.Context {
	return context.WithValue(ctx, outcomeKey{}, o)
}

// watcher notes in outcomes what grpc-go does. The status of a call does not tell whether it is
// that of the gateway.
type watcher struct{}

// HandleRPC implements stats.Handler.
func (watcher) HandleRPC(ctx context.Context, event stats.RPCStats) {
	o, ok := ctx.Value(outcomeKey{}).(*outcome)
	if !ok {
		return
	}
	switch event.(type) {
	case *stats.OutHeader:
		o.sent.Store(true)
	case *stats.InTrailer:
		o.answered.Store(true)
	}
}

// TagRPC implements stats.Handler.
func (watcher) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// TagConn implements stats.Handler.
func (watcher) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (watcher) HandleConn(context.Context, stats.ConnStats) {}

// tooLarge begins the text with which grpc-go refuses a message that is longer than its limit, in
// the client and in the gateway.
const tooLarge = "grpc: received message larger than max ("

// failure returns the error of a call that failed. again reports whether the call may be repeated,
// after the time that the answer asked for, because no model has seen it.
func (c *Client) failure(ctx context.Context, o *outcome, err error) (again bool, asked time.Duration, _ error) {
	s := status.Convert(err)
	code, text := s.Code(), s.Message()
	switch {
	case (code == codes.Canceled || code == codes.DeadlineExceeded) && over(ctx) != nil:
		return false, 0, c.noAnswer(over(ctx))
	case strings.HasPrefix(text, tooLarge) && strings.HasSuffix(text, fmt.Sprintf(" vs. %d)", c.maxAnswer)):
		return false, 0, fmt.Errorf("the answer of %s is longer than %d bytes", c.address, c.maxAnswer)
	case !o.answered.Load():
		return !o.sent.Load() && code == codes.Unavailable, 0, c.noAnswer(errors.New(text))
	}
	e := answered(code, text, cmp.Or(first(o.header, "x-request-id"), first(o.trailer, "x-request-id")))
	if strings.HasPrefix(text, tooLarge) {
		e.Status = http.StatusRequestEntityTooLarge
	}
	// The gateway sends it with each refusal after which a retry can help. A negative number
	// forbids retries.
	ms, err := strconv.ParseUint(first(o.trailer, "grpc-retry-pushback-ms"), 10, 31)
	if err != nil {
		return false, 0, e
	}
	e.RetryAfter = time.Duration(ms) * time.Millisecond //nolint:gosec // at most 31 bits
	return true, e.RetryAfter, e
}

// over returns why a context has ended, or nil. The gateway has the deadline too, and can notice it
// before the context does.
func over(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok && ctx.Err() == nil && time.Now().After(deadline) {
		return context.DeadlineExceeded
	}
	return context.Cause(ctx)
}

// noAnswer returns the error of a call to which the gateway gave no answer.
func (c *Client) noAnswer(cause error) error {
	return fmt.Errorf("no answer from %s: %w", c.address, cause)
}

// unexpected returns the error for an answer that cannot be decoded.
func (c *Client) unexpected(err error) error {
	return fmt.Errorf("the answer of %s cannot be decoded: %w", c.address, err)
}
