package tracing

import (
	"net"
	"time"

	"sluice.io/sluice/internal/infer"
)

// Request is a traced request that has ended. A time is zero if the request did not get there.
type Request struct {
	Span   infer.Span
	Parent infer.Span // the caller's; zero if there is none
	State  string     // the caller's tracestate

	Arrived  time.Time
	Received time.Time // the body was read
	Asked    time.Time // it was decoded, and given to the model
	Answered time.Time // by the model
	Ended    time.Time // the answer was encoded

	Model     string // the called name
	RequestID string
	Served    infer.Served
	Timing    infer.Timing
	Code      infer.Code
	Error     string // the text of the answer, if Code is not OK

	Method     string // of HTTP, or the full one of gRPC
	Route      string // of HTTP: the pattern of the path; empty for gRPC
	Path       string // of HTTP
	HTTPStatus int
	GRPCStatus string // as grpc-go names it
	Peer       net.Addr
	UserAgent  string
	BytesIn    int // of the body
	BytesOut   int
}

// Run is a run that joined several requests, some of which are traced.
type Run struct {
	Span    infer.Span
	Members []infer.Span // the traced requests
	Version infer.Version
	Started time.Time
	Ended   time.Time
	Joined  int // requests, traced or not
	Rows    int
	Err     error
}
