package batch_test

import (
	"sync/atomic"
	"testing"
	"time"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

// from returns a request whose caller goes when the function is called.
func from(req *infer.Request) (_ *infer.Request, leave func()) {
	var gone atomic.Bool
	req.Presence = &infer.Presence{Gone: gone.Load}
	return req, func() { gone.Store(true) }
}

// A caller that has gone without a word is noticed: its request leaves the queue, and a run whose callers have all gone
// is terminated.
func TestCallersThatHaveGone(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, slow(10*time.Second))
		begin := time.Now()
		one, leaveOne := from(request(1, 1, 1))
		two, leaveTwo := from(request(2, 1, 1))
		three, leaveThree := from(request(3, 1, 2))
		four, _ := from(request(4, 1, 2))
		s.send(request(0, 1, 9)) // it runs for 10 s
		a, b, waits, stays := s.send(one), s.send(two), s.send(three), s.send(four)
		time.Sleep(1010 * ms)
		leaveThree()
		waits.wantCode(t, infer.Canceled)
		waits.wantEnd(t, begin, 1100*ms)
		time.Sleep(10050 * ms) // one and two run
		leaveOne()
		a.wantCode(t, infer.Canceled)
		a.wantEnd(t, begin, 11200*ms)
		if s.instances[0].cut != 0 {
			t.Error("the run was terminated, although a caller waits for it")
		}
		time.Sleep(50 * ms)
		leaveTwo()
		b.wantCode(t, infer.Canceled)
		b.wantEnd(t, begin, 11300*ms)
		stays.wantDoubled(t)
		stays.wantEnd(t, begin, 21300*ms)
		if s.instances[0].cut != 1 {
			t.Errorf("%d runs were terminated, want 1", s.instances[0].cut)
		}
	})
}

// An item serves one request after another: that the caller of one has gone does not end the next one.
func TestGoneCallersOfEarlierRequests(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, slow(250*ms))
		for i := range 20 {
			req, leave := from(request(float32(i), 1, 1))
			if i%2 == 0 {
				leave()
				s.send(req).wantCode(t, infer.Canceled)
			} else {
				s.send(req).wantDoubled(t)
				leave()
			}
		}
	})
}

// A request with more rows than a run may have is one request.
func TestGoneCallersOfPieces(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			slow(time.Second)(o, instances)
			o.Split = true
		})
		begin := time.Now()
		req, leave := from(request(1, 20, 1))
		c := s.send(req)
		time.Sleep(1550 * ms)
		leave()
		c.wantCode(t, infer.Canceled)
		c.wantEnd(t, begin, 1600*ms)
		s.send(request(2, 1, 1)).wantDoubled(t)
	})
}
