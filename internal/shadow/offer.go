package shadow

import (
	"bytes"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Recorder counts for one route. It must not block. It may be called after Shutdown, by an
// Offer in progress.
type Recorder interface {
	// Dropped counts a request that was not copied, or whose copy was not run. reason is one of
	// the api package's.
	Dropped(reason string)
	// Answered counts a copy that was run, and may compare the answers.
	Answered(p *Pair)
}

// Tap takes the requests of one route.
type Tap struct {
	mirror *Mirror
	to     Recorder
	use    Use
}

// Use says what a tap does with copies besides running them. The zero value does nothing.
type Use struct {
	// Shape turns a copy into the request that is run, given the primary's outputs. It may keep
	// neither. The answer is then one to another request than the primary's.
	Shape func(req *infer.Request, primary []infer.Tensor) error
	// Done gets each copy that was answered. It must not block, and may keep neither.
	Done func(req *infer.Request, resp *infer.Response)
}

// Tap returns a tap that counts with to.
func (m *Mirror) Tap(to Recorder, use Use) *Tap { return &Tap{mirror: m, to: to, use: use} }

// sample is a copy in progress.
type sample struct {
	tap     *Tap
	req     infer.Request
	bytes   int64
	offered time.Time
	arrived time.Time // the request
	primary result
}

// result is a version's answer to a request. The outputs are the primary's.
type result struct {
	version infer.Version
	outputs []infer.Tensor
	elapsed time.Duration
	timing  infer.Timing
}

// Offer copies a request that the primary has answered with resp. If there is no room it counts
// the reason and returns. It keeps nothing of either, and never waits for the shadow. After
// Shutdown everything is dropped.
func (t *Tap) Offer(req *infer.Request, resp *infer.Response) {
	size := req.ByteSize() + outputBytes(resp)
	if reason := t.mirror.admit(req, size); reason != "" {
		t.to.Dropped(reason)
		return
	}
	t.add(req, resp, size)
}

// add copies a request for which there is room, and queues the copy.
func (t *Tap) add(req *infer.Request, resp *infer.Response, size int64) {
	m := t.mirror
	s := m.copy(req, resp)
	s.tap, s.bytes = t, size
	if !m.push(s) {
		m.waiting.Add(-1)
		m.drop([]*sample{s}, api.DropStopped)
	}
}

// admit reserves room for a request of that size, or returns the reason why there is none.
func (m *Mirror) admit(req *infer.Request, size int64) (reason string) {
	switch {
	case m.stopped():
		return api.DropStopped
	case m.opts.PauseAbove > 0 && req.Timing.Queue > m.opts.PauseAbove:
		return api.DropPrimaryBusy
	case !reserve(&m.waiting, 1, int64(m.opts.MaxRequests)):
		return api.DropQueueFull
	case !reserve(&m.held, size, m.opts.MaxBytes):
		m.waiting.Add(-1)
		return api.DropQueueBytes
	}
	return ""
}

// reserve adds n to v unless the sum would be more than most. Adding first and subtracting if
// it was too much could refuse another request that fits.
func reserve(v *atomic.Int64, n, most int64) bool {
	for {
		now := v.Load()
		if n > most-now {
			return false
		}
		if v.CompareAndSwap(now, now+n) {
			return true
		}
	}
}

// copy copies the parts of a request that the shadow needs. Nothing identifies its caller
// except for the request's own id.
func (m *Mirror) copy(req *infer.Request, resp *infer.Response) *sample {
	now := time.Now()
	s := &sample{
		offered: now, arrived: req.Arrived,
		req: infer.Request{
			Model: m.opts.Version.Model, Version: m.opts.Version.Number,
			Inputs: m.copyTensors(req.Inputs), RequestID: strings.Clone(req.RequestID),
			Segment: strings.Clone(req.Segment),
		},
		primary: result{version: req.Served.Version, timing: req.Timing},
	}
	s.req.Served.Route = req.Served.Route // for the pair; the shadow itself is not routed
	if len(req.Outputs) > 0 {
		s.req.Outputs = make([]infer.OutputRef, len(req.Outputs))
		for i := range req.Outputs {
			s.req.Outputs[i].Name = m.name(req.Outputs[i].Name)
		}
	}
	if resp != nil {
		s.primary.outputs = m.copyTensors(resp.Outputs)
	}
	if !req.Arrived.IsZero() {
		s.primary.elapsed = now.Sub(req.Arrived)
	}
	return s
}

func (m *Mirror) copyTensors(from []infer.Tensor) []infer.Tensor {
	to := slices.Clone(from)
	for i := range to {
		t := &to[i]
		t.Name, t.Shape, t.Data = m.name(t.Name), slices.Clone(t.Shape), bytes.Clone(t.Data)
	}
	return to
}

// name returns a copy of a name; a name of the signature is not copied again.
func (m *Mirror) name(s string) string {
	if own, ok := m.names[s]; ok {
		return own
	}
	return strings.Clone(s)
}

// push queues a copy; false if the mirror has stopped meanwhile.
func (m *Mirror) push(s *sample) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped() {
		return false
	}
	m.queue = append(m.queue, s)
	m.some.Signal()
	return true
}

func outputBytes(resp *infer.Response) (n int64) {
	if resp == nil {
		return 0
	}
	return tensorBytes(resp.Outputs)
}

func tensorBytes(tensors []infer.Tensor) (n int64) {
	for i := range tensors {
		n += int64(len(tensors[i].Data))
	}
	return n
}
