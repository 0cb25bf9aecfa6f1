package infer

import (
	"time"
)

// Version identifies one immutable version of a model. It is comparable, so it can be a map's
// key.
type Version struct {
	Model  string
	Number int64
}

// Reason says why a version was picked for a request.
type Reason string

// The reasons, as in the header Sluice-Reason.
const (
	ReasonPinned   Reason = "pinned"   // the path named the version
	ReasonOverride Reason = "override" // a header named it
	ReasonSticky   Reason = "sticky"   // the slot of the request's key
	ReasonRandom   Reason = "random"   // a random slot, since the request has no key
	ReasonFallback Reason = "fallback" // the variant that was picked cannot serve
	ReasonDefault  Reason = "default"  // no route: the model's newest version
)

// Served says which version answered a request. The router fills it as soon as a version is
// picked, so errors have it too. The zero value means that none was picked.
type Served struct {
	Version Version
	Route   string // name and revision, "iris@7"; "iris@0" if there is no route
	Reason  Reason
}

// Timing says how long the stages of a request took. The batcher fills it. A stage that the
// request never reached stays 0.
type Timing struct {
	Queue   time.Duration // from admission to the start of its run
	Input   time.Duration // copying the inputs of the whole run
	Compute time.Duration // the runtime's call
	Output  time.Duration // copying this member's outputs
	Rows    int           // rows of the whole run, the sum over all members
	Batch   Span          // of the run, if it joined requests and this one is traced
}

// Request is one call of Predict. The code that builds it owns it, including the tensors, and
// must not change it before Predict has returned.
type Request struct {
	Model   string // the called name: a route or a model
	Version int64  // the pinned version, 0 for none
	ID      string // the caller's own id, echoed; empty for none
	Inputs  []Tensor
	// Outputs are the outputs that the caller asks for, in that order; none means all, in the
	// model's order. Check fills Index and Spec.
	Outputs  []OutputRef
	Priority int           // 1 is the highest; 0 is the model's default
	Timeout  time.Duration // the caller's own limit; 0 for none. It can only shorten the time.
	Arrived  time.Time     // when the front accepted the request; zero means now
	// Handle is that of Called, which saves another look-up of the name. It may be nil or out
	// of date.
	Handle any

	// The router picks by these besides Model and Version. Empty means none.
	RequestID string // X-Request-Id; copies for shadows are chosen by its hash
	StickyKey string // keeps its caller on a version
	Segment   string // the part of the traffic for which the quality of predictions is measured apart
	// DriftSegment is the value of Called.DriftParameter, empty for none.
	DriftSegment string
	Override     string // the version that a header asks for; the front has checked that its caller may

	// Captured traffic has these besides.
	Caller     string // who sent the request; empty if the front does not know
	Parameters []byte // of the request, a JSON object; nil for none, or if Called.KeepParameters is not set

	// Replay says that an operator repeats the request, so that it is in no statistics of callers.
	Replay bool

	// Presence is that of the caller; nil if only the end of the context tells that the caller has gone.
	Presence *Presence

	// Memory is the budget that the outputs are reserved from before they are allocated; nil if
	// they are not counted.
	Memory Memory

	// Span is that of the request if it is traced.
	Span Span

	// Served and Timing are results.
	Served Served
	Timing Timing
}

// Presence tells whether a caller still waits for its answer. It is for fronts whose network library does not report that.
// Code that holds a request for long asks from time to time.
type Presence struct {
	// Gone may be called from any goroutine, also after the request has ended. It must not wait.
	Gone func() bool
}

// Called is what a front needs to know of a called name before it reads the request.
type Called struct {
	Model   *Model   // the signature of the version that would serve it
	Columns *Columns // maps the columns of a data frame to the model's inputs
	// The place of the sticky key in the request: a header or a parameter. At most one is set.
	StickyHeader, StickyParameter string
	// SegmentParameter names the parameter that is the request's segment; empty for none.
	SegmentParameter string
	// DriftParameter names the parameter that is Request.DriftSegment; empty for none.
	DriftParameter string
	// KeepParameters asks the front to set Request.Parameters.
	KeepParameters bool
	// Handle is for Request.Handle.
	Handle any
}

// OutputRef is an output that the caller asks for, by name and by its index in the model's
// Outputs.
type OutputRef struct {
	Name  string
	Index int
	// Classes asks the front to answer with that many of the best classes in place of the
	// values; 0 asks for the values. Models always return the values.
	Classes int
	// Spec is the output in the signature of the version that answers, if Classes is not 0.
	Spec *TensorSpec
}

// Rows returns the first dimension of the first input, which is the number of rows if the model
// is batchable, or 1 if there is none.
func (r *Request) Rows() int64 {
	if len(r.Inputs) == 0 {
		return 1
	}
	return r.Inputs[0].Rows()
}

// ByteSize returns the sum of the bytes of all inputs.
func (r *Request) ByteSize() int64 {
	n := 0
	for i := range r.Inputs {
		n += len(r.Inputs[i].Data)
	}
	return int64(n)
}
