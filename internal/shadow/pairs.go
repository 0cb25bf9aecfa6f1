package shadow

import (
	"slices"
	"sync"
	"time"

	"sluice.io/sluice/internal/infer"
)

// Pair has the answers of two versions to one request.
type Pair struct {
	RequestID string
	Route     string // name and revision, as Request.Served has them
	Time      time.Time
	// The primary's time counts from the request's arrival, the shadow's from the moment its
	// copy left the queue.
	Primary, Shadow               infer.Version
	PrimaryOutputs, ShadowOutputs []infer.Tensor
	PrimaryElapsed, ShadowElapsed time.Duration
	PrimaryTiming, ShadowTiming   infer.Timing
	// Code and Err are the shadow's. It has no outputs if it failed. The primary has always
	// answered.
	Code infer.Code
	Err  error
}

func (p *Pair) bytes() int64 { return tensorBytes(p.PrimaryOutputs) + tensorBytes(p.ShadowOutputs) }

// pairs keeps the newest results within its limits.
type pairs struct {
	most      int
	mostBytes int64
	keepFor   time.Duration

	mu   sync.Mutex
	kept []Pair // by time
	held int64  // bytes of all outputs
}

// keep keeps the results of a copy that was run; resp is nil if it failed.
func (m *Mirror) keep(s *sample, shadow result, resp *infer.Response, err error) {
	if m.opts.KeepPairs == 0 {
		return
	}
	if tensorBytes(s.primary.outputs)+outputBytes(resp) > m.opts.KeepBytes {
		return // it would displace all others and not fit
	}
	if resp != nil {
		shadow.outputs = m.copyTensors(resp.Outputs)
	}
	m.pairs.add(Pair{
		RequestID: s.req.RequestID, Route: s.req.Served.Route,
		Primary: s.primary.version, Shadow: shadow.version,
		PrimaryOutputs: s.primary.outputs, ShadowOutputs: shadow.outputs,
		PrimaryElapsed: s.primary.elapsed, ShadowElapsed: shadow.elapsed,
		PrimaryTiming: s.primary.timing, ShadowTiming: shadow.timing,
		Code: infer.CodeOf(err), Err: err,
	})
}

// add adds a pair and drops the oldest while there are too many.
func (p *pairs) add(pair Pair) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pair.Time = time.Now() // set here, so that the order is that of the times
	p.kept = append(p.kept, pair)
	p.held += pair.bytes()
	for len(p.kept) > p.most || p.held > p.mostBytes {
		p.dropOldest()
	}
}

func (p *pairs) dropOldest() {
	p.held -= p.kept[0].bytes()
	p.kept[0] = Pair{}
	p.kept = p.kept[1:]
}

// expire drops the pairs that are too old. It returns how long the oldest of the others may
// stay.
func (p *pairs) expire(now time.Time) (again time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.expireLocked(now)
}

func (p *pairs) expireLocked(now time.Time) (again time.Duration) {
	for len(p.kept) > 0 {
		if age := now.Sub(p.kept[0].Time); age < p.keepFor {
			return p.keepFor - age
		}
		p.dropOldest()
	}
	return p.keepFor
}

func (p *pairs) list(now time.Time) []Pair {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expireLocked(now)
	return slices.Clone(p.kept)
}
