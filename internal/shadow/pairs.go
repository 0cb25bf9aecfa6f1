package shadow

import (
	"time"

	"sluice.io/sluice/internal/infer"
)

// Pair has the answers of two versions to one request. It, and all that it refers to, may be used only until the
// Recorder returns.
type Pair struct {
	Request *infer.Request // the copy; Served.Route has the route's name and revision
	// The primary's time counts from the request's arrival, the shadow's from the moment its
	// copy left the queue. It is 0 if the copy does not match the version's signature.
	Primary, Shadow               infer.Version
	PrimaryOutputs, ShadowOutputs []infer.Tensor
	PrimaryElapsed, ShadowElapsed time.Duration
	PrimaryTiming, ShadowTiming   infer.Timing
	// Err is the shadow's. It has no outputs if it failed. The primary has always answered.
	Err error
}

// pair returns the answers to a copy that was run; resp is nil if it failed.
func (s *sample) pair(shadow result, resp *infer.Response, err error) *Pair {
	p := &Pair{
		Request: &s.req, Primary: s.primary.version, Shadow: shadow.version, PrimaryOutputs: s.primary.outputs,
		PrimaryElapsed: s.primary.elapsed, ShadowElapsed: shadow.elapsed, PrimaryTiming: s.primary.timing, ShadowTiming: shadow.timing, Err: err,
	}
	if resp != nil {
		p.ShadowOutputs = resp.Outputs
	}
	return p
}
