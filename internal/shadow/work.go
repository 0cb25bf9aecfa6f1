package shadow

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// errPanicked is the cause of an error that was made from a panic.
var errPanicked = errors.New("panic")

// work runs waiting copies until there will be no more.
func (m *Mirror) work(ctx context.Context) {
	for {
		s := m.next()
		switch {
		case s == nil:
			return
		case m.tooOld(s, time.Now()):
			m.drop([]*sample{s}, api.DropExpired)
		default:
			m.run(ctx, s)
		}
	}
}

// next waits for a copy and takes it; nil if there will be no more.
func (m *Mirror) next() *sample {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.queue) == 0 {
		if m.stopped() {
			return nil
		}
		m.some.Wait()
	}
	return m.take()
}

// take takes the oldest copy off the queue, which must be locked and not empty.
func (m *Mirror) take() *sample {
	s := m.queue[0]
	m.queue[0] = nil
	m.queue = m.queue[1:]
	m.waiting.Add(-1)
	return s
}

func (m *Mirror) tooOld(s *sample, now time.Time) bool { return now.Sub(s.offered) >= m.opts.MaxAge }

// drop counts copies that were taken off the queue and will not be run.
func (m *Mirror) drop(samples []*sample, reason string) {
	for _, s := range samples {
		m.held.Add(-s.bytes)
		s.tap.to.Dropped(reason)
	}
}

// run runs a copy and has the answer counted. It frees the room before: a reader that sees the count finds the
// rest.
func (m *Mirror) run(ctx context.Context, s *sample) {
	shadow, resp, err := m.predict(ctx, s)
	if err != nil && ctx.Err() != nil { // the gateway's doing, not the version's
		m.drop([]*sample{s}, api.DropStopped)
		return
	}
	m.held.Add(-s.bytes)
	if resp != nil && s.tap.use.Done != nil {
		req := s.req // the Predictor may still read the other one
		req.Arrived = s.arrived
		s.tap.use.Done(&req, resp)
	}
	s.tap.to.Answered(s.pair(shadow, resp, err))
	if resp != nil {
		resp.Release()
	}
	if err != nil && !errors.Is(err, errPanicked) { // a panic was logged with its stack
		m.complain(int(infer.CodeOf(err)), "the shadow failed", s, zap.Error(err))
	}
}

// predict checks the copy against the version's signature and calls the Predictor, within the
// time limit of one run. A panic becomes an error.
func (m *Mirror) predict(ctx context.Context, s *sample) (shadow result, resp *infer.Response, err error) {
	shadow.version = m.opts.Version
	var began time.Time
	defer func() {
		if !began.IsZero() {
			shadow.elapsed, shadow.timing = time.Since(began), s.req.Timing
		}
		if p := recover(); p != nil {
			m.complain(causePanic, "panic in the shadow", s, zap.Any("panic", p))
			resp, err = nil, &infer.Error{Code: infer.Internal, Op: "shadow", Msg: "the shadow failed", Err: errPanicked}
		}
	}()
	if shape := s.tap.use.Shape; shape != nil {
		if err := shape(&s.req, s.primary.outputs); err != nil {
			return shadow, nil, err
		}
	}
	if err := m.opts.Model.Check(&s.req); err != nil {
		return shadow, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, m.opts.Timeout)
	defer cancel()
	began = time.Now()
	s.req.Arrived = began
	resp, err = m.opts.Predictor.Predict(ctx, &s.req)
	return shadow, resp, err
}

// sweep drops copies that have become too old, also while all workers are busy.
func (m *Mirror) sweep(ctx context.Context) {
	// A copy that arrives while the queue is empty cannot become too old before the timer
	// fires, so the sweeper need not be woken.
	timer := time.NewTimer(m.opts.MaxAge)
	defer timer.Stop()
	for {
		select {
		case <-m.stopping:
			return
		case <-ctx.Done():
			m.stop()
			return
		case <-timer.C:
		}
		timer.Reset(m.expire(time.Now()))
	}
}

// expire drops the copies that have waited too long. It returns how long the oldest of the
// others may still wait.
func (m *Mirror) expire(now time.Time) (again time.Duration) {
	var expired []*sample
	again = m.opts.MaxAge
	m.mu.Lock()
	for len(m.queue) > 0 {
		if !m.tooOld(m.queue[0], now) {
			again = m.opts.MaxAge - now.Sub(m.queue[0].offered)
			break
		}
		expired = append(expired, m.take())
	}
	m.mu.Unlock()
	m.drop(expired, api.DropExpired)
	return again
}
