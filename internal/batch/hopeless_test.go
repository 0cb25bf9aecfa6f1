package batch_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

// taught starts a server whose runs take the time of the law, and that has learnt it. Requests
// have priority 1 unless they ask for 2.
func taught(t *testing.T, instances int, l law, change func(*batch.Options)) *server {
	t.Helper()
	s := start(t, instances, func(o *batch.Options, fakes []*fake) {
		o.DefaultPriority = 1
		for _, f := range fakes {
			f.takes = l.exact
		}
		if change != nil {
			change(o)
		}
	})
	for _, rows := range []int{1, 8} {
		s.send(request(0, rows, 1)).wantDoubled(t)
	}
	return s
}

func singles(o *batch.Options) { o.Batchable = false }

// last is a request behind all others.
func last(timeout time.Duration) *infer.Request {
	r := within(timeout, request(9, 1, 1))
	r.Priority = 2
	return r
}

// wantAtOnce checks that a request was refused as hopeless on arrival.
func (c *call) wantAtOnce(t *testing.T, begin time.Time) {
	t.Helper()
	c.wantCode(t, infer.Deadline)
	c.wantEnd(t, begin, 0)
	if errors.Is(c.err, infer.ErrStarted) {
		t.Error("the error says that the run had started")
	}
}

func TestHopelessIsRefusedWhenItComes(t *testing.T) {
	// In each case that many requests wait, and one behind them needs at least that long.
	f := func(what string, instances int, l law, change func(*batch.Options), waiting int, least time.Duration) {
		t.Helper()
		virtual(t, func(t *testing.T) {
			s := taught(t, instances, l, change)
			begin := time.Now()
			for range instances + waiting {
				s.send(request(0, 1, 1))
			}
			for range 1 + 10*waiting { // however many are refused, nothing changes
				s.send(last(least-us)).wantAtOnce(t, begin)
			}
			c := s.send(last(least + us))
			if requests, _, _, _ := s.Waiting(); requests != waiting+1 {
				t.Errorf("%s: %d requests wait, want the %d and one that may yet make it", what, requests, waiting)
			}
			<-c.done
		})
	}
	f("none waits", 1, law{10 * ms, 0, 0}, singles, 0, 10*ms)
	f("singles", 1, law{10 * ms, 0, 0}, singles, 3, 40*ms)
	f("two instances", 2, law{10 * ms, 0, 0}, singles, 5, 5*10*ms/2-5*ms+10*ms) // less the time that another instance may still run
	f("joined", 1, law{10 * ms, ms, 0}, nil, 17, 17*10*ms/8+17*ms-18*ms+11*ms)
	f("joined, of no fixed cost", 1, law{0, 10 * ms, 0}, nil, 17, 17*10*ms-80*ms+10*ms)
}

// Only requests that go first count.
func TestHopelessCountsThoseBefore(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := taught(t, 1, law{10 * ms, 0, 0}, singles)
		for range 10 {
			s.send(request(0, 1, 1))
		}
		begin := time.Now()
		sooner := s.send(within(25*ms, request(1, 1, 1)))
		s.send(last(25*ms)).wantAtOnce(t, begin)
		sooner.wantDoubled(t)
		sooner.wantEnd(t, begin, 20*ms)
	})
}

func TestHopelessSupposesNothingOfTheUnknown(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := taught(t, 1, law{10 * ms, 0, 0}, singles)
		s.send(request(0, 1, 1))
		for range 20 {
			s.send(request(0, 1, 7)) // of a shape that never ran
		}
		begin := time.Now()
		c := s.send(last(15 * ms))
		c.wantCode(t, infer.Deadline)
		c.wantEnd(t, begin, 15*ms)
	})
}

func TestFullQueueSaysWhenToTryAgain(t *testing.T) {
	f := func(instances int, l law, change func(*batch.Options), rows int, want time.Duration) {
		t.Helper()
		virtual(t, func(t *testing.T) {
			s := taught(t, instances, l, func(o *batch.Options) {
				o.MaxRequests = 6
				if change != nil {
					change(o)
				}
			})
			for range instances + 6 {
				s.send(request(0, rows, 1))
			}
			c := s.send(request(0, rows, 1))
			c.wantCode(t, infer.Overloaded)
			var e *infer.Error
			if !errors.As(c.err, &e) || e.RetryAfter != want {
				t.Errorf("%v: try again after %v, want %v", c.err, e.RetryAfter, want)
			}
		})
	}
	f(1, law{10 * ms, 0, 0}, singles, 1, 60*ms)
	f(2, law{10 * ms, 0, 0}, singles, 1, 30*ms)
	f(1, law{10 * ms, ms, 0}, nil, 3, 3*10*ms+18*ms) // 18 rows in three runs
}

func TestUnknownQueueSaysNotWhen(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			slow(10*ms)(o, instances)
			o.MaxRequests = 1
		})
		s.send(request(0, 1, 1))
		s.send(request(0, 1, 1))
		c := s.send(request(0, 1, 1))
		c.wantCode(t, infer.Overloaded)
		if e, ok := errors.AsType[*infer.Error](c.err); !ok || e.RetryAfter != 0 {
			t.Errorf("%v: try again after %v, want 0", c.err, e.RetryAfter)
		}
	})
}

// behind makes a random crowd of requests arrive, and then one request after all of them. It
// returns whether that one was refused on arrival, and otherwise how long it took.
func behind(t *testing.T, seed uint64, timeout time.Duration) (atOnce bool, took time.Duration) {
	t.Helper()
	virtual(t, func(t *testing.T) {
		rng := newRand(seed)
		l := law{time.Duration(rng.IntN(20)) * ms, time.Duration(1+rng.IntN(10)) * ms, 0}
		s := taught(t, 1+rng.IntN(4), l, func(o *batch.Options) { o.Batchable = rng.IntN(4) > 0 })
		for range 30 { // so that the fit decides whether to join
			s.send(request(0, 1+rng.IntN(8), 1)).wantDoubled(t)
		}
		for range rng.IntN(60) {
			r := request(1, 1+rng.IntN(4)*rng.IntN(3), 1+rng.IntN(2))
			r.Timeout = time.Duration(30+rng.IntN(30)) * time.Second
			s.sendOnly(r)
			time.Sleep(time.Duration(rng.IntN(5)) * ms)
		}
		synctest.Wait()
		begin := time.Now()
		c := s.send(last(timeout))
		<-c.done
		took = c.ended.Sub(begin)
		atOnce = infer.CodeOf(c.err) == infer.Deadline && took == 0
	})
	return atOnce, took
}

// A request that would have ended in time is never refused on arrival.
func TestNobodyInTimeIsRefused(t *testing.T) {
	refused, late := 0, 0
	for seed := range uint64(60) {
		_, needed := behind(t, seed, 0)
		for _, share := range []float64{0.3, 0.7, 0.9, 1} {
			limit := time.Duration(share * float64(needed))
			atOnce, _ := behind(t, seed, limit)
			switch {
			case atOnce && limit >= needed:
				t.Errorf("seed %d: refused at once with %v, though it needs %v", seed, limit, needed)
			case atOnce:
				refused++
			case limit < needed:
				late++
			}
		}
	}
	t.Logf("%d refused at once, %d not before it was too late", refused, late)
	if refused < 30 {
		t.Errorf("only %d were refused at once", refused)
	}
}

// With half as much load again as the model can serve, it still serves in time, and most
// requests that it cannot serve are refused on arrival.
func TestOverloadKeepsItsGoodput(t *testing.T) {
	f := func(what string, instances int, l law, change func(*batch.Options), every time.Duration, best int) {
		t.Helper()
		virtual(t, func(t *testing.T) {
			s := taught(t, instances, l, change)
			const timeout = 150 * ms
			var calls []*call
			var begins []time.Time
			for range 3000 {
				begins = append(begins, time.Now())
				calls = append(calls, s.sendOnly(within(timeout, request(1, 1, 1))))
				time.Sleep(every)
			}
			served, soon, late := 0, 0, 0
			for i, c := range calls {
				<-c.done
				switch {
				case c.err == nil:
					served++
				case c.ended.Sub(begins[i]) < ms:
					soon++
				default:
					late++
				}
			}
			t.Logf("%s: %d served, %d refused at once, %d later", what, served, soon, late)
			if served < best*9/10 {
				t.Errorf("%s: %d served, want about %d", what, served, best)
			}
			if late > soon {
				t.Errorf("%s: %d refused at once, but %d later", what, soon, late)
			}
		})
	}
	f("singles", 1, law{10 * ms, 0, 0}, singles, 10*ms*2/3, 2000)
	f("two instances", 2, law{10 * ms, 0, 0}, singles, 5*ms*2/3, 2000)
	f("joined", 1, law{10 * ms, ms, 0}, nil, 18*ms/8*2/3, 2000)
}
