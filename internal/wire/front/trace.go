package front

import (
	"net"
	"time"

	"sluice.io/sluice/internal/infer"
)

// Tracer selects requests, and records them as spans of a distributed trace.
type Tracer interface {
	// Samples reports whether a request to a called name is traced. parent says that its caller has
	// decided, and sampled what. It must not wait.
	Samples(model string, parent, sampled bool) bool
	// Record takes a request that has ended. It must not wait, and may keep the request.
	Record(t *Trace)
}

// Trace is what is recorded of a traced request. nil is a request that is not traced: all methods
// then do nothing. A time is zero if the request did not get there.
type Trace struct {
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

// maxState is the max size of a tracestate that is kept, in bytes (Trace Context, section 3.3.1.5).
const maxState = 512

// Tracing reports whether requests may be traced.
func (f *Front) Tracing() bool { return f.tracer != nil }

// Trace begins the trace of a request if it is selected, by its caller in the headers traceparent
// and tracestate, or by the Tracer.
func (f *Front) Trace(model string, arrived time.Time, traceparent, tracestate []byte) *Trace {
	if f.tracer == nil {
		return nil
	}
	parent, sampled := parseTraceparent(traceparent)
	if !f.tracer.Samples(model, parent.Valid(), sampled) {
		return nil
	}
	t := &Trace{Arrived: arrived, Model: Printable(model)}
	if !parent.Valid() {
		t.Span = infer.NewSpan()
		return t
	}
	t.Span, t.Parent = infer.NewChild(parent), parent
	if len(tracestate) <= maxState {
		t.State = string(tracestate)
	}
	return t
}

// Read notes that the body was read.
func (t *Trace) Read() {
	if t != nil {
		t.Received = time.Now()
	}
}

// Ask notes that the request is given to the model.
func (t *Trace) Ask(req *infer.Request) {
	if t != nil {
		t.Asked, req.Span = time.Now(), t.Span
	}
}

// Answer notes what the model has answered.
func (t *Trace) Answer(req *infer.Request) {
	if t != nil {
		t.Answered, t.Served, t.Timing = time.Now(), req.Served, req.Timing
	}
}

// Record ends a trace. It must not be used any more.
func (f *Front) Record(t *Trace) {
	t.Ended = time.Now()
	f.tracer.Record(t)
}
