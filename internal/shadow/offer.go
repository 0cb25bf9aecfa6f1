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

// Recorder counts for one route. It must not block. It may be called after
// Shutdown, by an Offer that was under way.
type Recorder interface {
	// Dropped counts a request that was not copied, or whose copy was not run, by
	// one of api's reasons.
	Dropped(reason string)
	// Answered counts a copy that was run. elapsed is how long the Predictor took,
	// 0 if the copy does not fit the version's signature.
	Answered(err error, elapsed time.Duration)
}

// Tap is where one route offers its requests.
type Tap struct {
	mirror *Mirror
	to     Recorder
}

// Tap returns a tap that counts with to.
func (m *Mirror) Tap(to Recorder) *Tap { return &Tap{mirror: m, to: to} }

// sample is a copy on its way.
type sample struct {
	tap     *Tap
	req     infer.Request
	bytes   int64
	offered time.Time
	primary result
}

// result is what a version made of a request.
type result struct {
	version infer.Version
	outputs []infer.Tensor
	elapsed time.Duration
	timing  infer.Timing
}

// Offer copies a request that the primary has answered with resp. Where there is
// no room it counts the reason and returns. It keeps nothing of either, and never
// waits for the shadow; after Shutdown everything is dropped.
func (t *Tap) Offer(req *infer.Request, resp *infer.Response) {
	size := req.ByteSize() + outputBytes(resp)
	if reason := t.mirror.admit(req, size); reason != "" {
		t.to.Dropped(reason)
		return
	}
	t.add(req, resp, size)
}

// add copies a request for which there is room, and lets the copy wait.
func (t *Tap) add(req *infer.Request, resp *infer.Response, size int64) {
	m := t.mirror
	s := m.copy(req, resp)
	s.tap, s.bytes = t, size
	if !m.push(s) {
		m.waiting.Add(-1)
		m.drop([]*sample{s}, api.DropStopped)
	}
}

// admit makes room for a request of that size, or says why there is none.
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

// reserve adds n to v unless the sum would be more than most. An addition that is
// taken back where it was too much could refuse another that fits.
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

// copy copies what the shadow needs of a request, and nothing that identifies
// its caller but the request's own id.
func (m *Mirror) copy(req *infer.Request, resp *infer.Response) *sample {
	now := time.Now()
	s := &sample{
		offered: now,
		req: infer.Request{
			Model: m.opts.Version.Model, Version: m.opts.Version.Number,
			Inputs: m.copyTensors(req.Inputs), RequestID: strings.Clone(req.RequestID),
		},
		primary: result{version: req.Served.Version, timing: req.Timing},
	}
	s.req.Served.Route = req.Served.Route // for the pair; the shadow itself was not routed to
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

// name returns a copy of a name, the signature's own where it has that name.
func (m *Mirror) name(s string) string {
	if own, ok := m.names[s]; ok {
		return own
	}
	return strings.Clone(s)
}

// push lets a copy wait; false if the mirror has stopped meanwhile.
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
