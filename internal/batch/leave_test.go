package batch_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

func within(timeout time.Duration, r *infer.Request) *infer.Request {
	r.Timeout = timeout
	return r
}

func (c *call) wantEnd(t *testing.T, begin time.Time, after time.Duration) {
	t.Helper()
	<-c.done
	if got := c.ended.Sub(begin); got != after {
		t.Errorf("ended after %v, want %v", got, after)
	}
}

func TestDeadlineIsTheEarliestLimit(t *testing.T) {
	f := func(modelLimit, own, sinceArrival, ctxLimit, want time.Duration) {
		t.Helper()
		virtual(t, func(t *testing.T) {
			s := start(t, 1, func(o *batch.Options, instances []*fake) {
				slow(time.Hour)(o, instances)
				o.Timeout = modelLimit
			})
			req := within(own, request(1, 1, 1))
			if sinceArrival > 0 {
				req.Arrived = time.Now().Add(-sinceArrival)
			}
			ctx, cancel := context.Background(), func() {}
			if ctxLimit > 0 {
				ctx, cancel = context.WithTimeout(ctx, ctxLimit)
			}
			defer cancel()
			if err := s.model.Check(req); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			_, err := s.Predict(ctx, req)
			if got := time.Since(begin); infer.CodeOf(err) != infer.Deadline || got != want {
				t.Errorf("%v after %v, want deadline after %v", err, got, want)
			}
		})
	}
	f(10*time.Second, 0, 0, 0, 10*time.Second)
	f(10*time.Second, 3*time.Second, 0, 0, 3*time.Second)
	f(10*time.Second, 30*time.Second, 0, 0, 10*time.Second) // it only shortens
	f(10*time.Second, 0, 4*time.Second, 0, 6*time.Second)
	f(10*time.Second, 0, 0, 2*time.Second, 2*time.Second)
	f(10*time.Second, 0, 11*time.Second, 0, 0) // late at arrival
}

func TestLongestTimeoutDoesNotOverflow(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, _ []*fake) { o.Timeout = 1<<63 - 1 })
		time.Sleep(ms)
		s.send(request(0, 1, 1)).wantDoubled(t)
	})
}

func TestWaitersAreAnsweredOnTimeWhenAllInstancesAreBusy(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, slow(time.Second))
		begin := time.Now()
		busy := s.send(request(0, 1, 1))
		expires := s.send(within(30*ms, request(1, 1, 1)))
		canceled := s.send(request(2, 1, 1))
		stays := s.send(request(3, 1, 1))
		time.Sleep(10 * ms)
		canceled.cancel()
		canceled.wantCode(t, infer.Canceled)
		canceled.wantEnd(t, begin, 10*ms)
		expires.wantCode(t, infer.Deadline)
		expires.wantEnd(t, begin, 30*ms)
		if requests, rows, _, _ := s.Waiting(); requests != 1 || rows != 1 {
			t.Errorf("%d requests of %d rows wait, want 1: requests that left are not counted", requests, rows)
		}
		busy.wantDoubled(t)
		stays.wantDoubled(t)
		wantRuns(t, s.instances[0], []float32{0}, []float32{3})
		if expires.req.Timing != (infer.Timing{}) {
			t.Errorf("Timing %+v of a request that did not run", expires.req.Timing)
		}
	})
}

func TestLeavingWhileRunningSparesTheOthers(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, slow(time.Second))
		begin := time.Now()
		s.send(request(0, 1, 9)) // another shape, so that no time of runs is known
		canceled, expires, stays := s.send(request(1, 1, 1)), s.send(within(1500*ms, request(2, 1, 1))), s.send(request(3, 2, 1))
		time.Sleep(1200 * ms)
		canceled.cancel()
		canceled.wantCode(t, infer.Canceled)
		canceled.wantEnd(t, begin, 1200*ms)
		expires.wantCode(t, infer.Deadline)
		expires.wantEnd(t, begin, 1500*ms)
		stays.wantDoubled(t)
		stays.wantEnd(t, begin, 2*time.Second)
		if s.instances[0].cut != 0 {
			t.Error("the run was terminated")
		}
	})
}

func TestRunIsTerminatedWhenAllMembersHaveLeft(t *testing.T) {
	virtual(t, func(t *testing.T) {
		var codes []infer.Code
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			slow(time.Second)(o, instances)
			o.ObserveRun = func(r batch.Run) { codes = append(codes, infer.CodeOf(r.Err)) }
		})
		begin := time.Now()
		s.send(request(0, 1, 9))
		a, b := s.send(within(1100*ms, request(1, 1, 1))), s.send(within(1200*ms, request(2, 1, 1)))
		next := s.send(request(3, 1, 2))
		a.wantCode(t, infer.Deadline)
		b.wantCode(t, infer.Deadline)
		next.wantDoubled(t)
		next.wantEnd(t, begin, 2200*ms) // the next run is not cut
		if s.instances[0].cut != 1 {
			t.Errorf("%d runs were terminated, want 1", s.instances[0].cut)
		}
		if len(codes) != 3 || codes[1] != infer.Canceled {
			t.Errorf("observed %v, want the second run canceled", codes)
		}
	})
}

func TestInstanceStaysBusyUntilRunReturns(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			slow(time.Second)(o, instances)
			instances[0].deaf = true
		})
		begin := time.Now()
		s.send(within(100*ms, request(0, 1, 1))).wantCode(t, infer.Deadline)
		if s.Free() != 0 {
			t.Error("the instance counts as free while its run goes on")
		}
		next := s.send(request(1, 1, 2))
		next.wantDoubled(t)
		next.wantEnd(t, begin, 2*time.Second)
	})
}

// Only the time of a run is the version's fault, so code that counts failures must be able to
// tell the difference.
func TestDeadlineWhileRunningIsToldFromOneInTheQueue(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := func(c *call, code infer.Code, started bool) {
			t.Helper()
			c.wantCode(t, code)
			if got := errors.Is(c.err, infer.ErrStarted); got != started {
				t.Errorf("%v: started %t, want %t", c.err, got, started)
			}
		}
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			slow(time.Second)(o, instances)
			o.Split = true
		})
		late := within(time.Second, request(0, 1, 1))
		late.Arrived = time.Now().Add(-time.Minute)
		f(s.send(late), infer.Deadline, false)

		runs := s.send(within(100*ms, request(1, 1, 1)))
		waits := s.send(within(50*ms, request(2, 1, 2)))
		f(waits, infer.Deadline, false)
		f(runs, infer.Deadline, true)

		canceled, waiting := s.send(request(3, 1, 3)), s.send(request(4, 1, 4))
		waiting.cancel()
		f(waiting, infer.Canceled, false)
		canceled.cancel()
		f(canceled, infer.Canceled, true)

		f(s.send(within(1500*ms, request(5, 12, 5))), infer.Deadline, true) // in its second piece
	})
}

// A deadline that passes while inputs are copied was spent in the queue.
func TestDeadlineWhileGatheringIsNotStarted(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(_ *batch.Options, instances []*fake) {
			instances[0].gather = func() { time.Sleep(100 * ms) }
		})
		c := s.send(within(50*ms, request(0, 1, 1)))
		c.wantCode(t, infer.Deadline)
		if errors.Is(c.err, infer.ErrStarted) {
			t.Errorf("%v: started, but nothing ran", c.err)
		}
	})
}

// While inputs are copied no waiter can leave; one that wanted to leaves right after.
func TestLeavingWhileGatheringTakesEffectAfterwards(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			slow(time.Second)(o, instances)
			instances[0].gather = func() { time.Sleep(100 * ms) }
		})
		begin := time.Now()
		expires := s.send(within(50*ms, request(0, 1, 1)))
		expires.wantCode(t, infer.Deadline)
		expires.wantEnd(t, begin, 100*ms)
		synctest.Wait()
		if len(s.instances[0].ends) != 0 || s.Free() != 1 {
			t.Error("a run without waiters was begun")
		}
		begin = time.Now()
		canceled := s.send(request(1, 1, 1))
		time.Sleep(10 * ms)
		canceled.cancel()
		canceled.wantCode(t, infer.Canceled)
		canceled.wantEnd(t, begin, 100*ms)
	})
}

func TestEndedContextIsRefusedAtOnce(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, nil)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := s.Predict(ctx, request(0, 1, 1)); infer.CodeOf(err) != infer.Canceled {
			t.Errorf("got %v, want canceled", err)
		}
		wantRuns(t, s.instances[0])
	})
}

func TestHopelessIsRefusedBeforeItRuns(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(_ *batch.Options, instances []*fake) {
			instances[0].takes = func(rows int) time.Duration { return time.Duration(rows) * 100 * ms }
		})
		s.send(request(0, 1, 1)).wantDoubled(t)                             // now the time of one row is known
		s.send(within(90*ms, request(0, 3, 1))).wantCode(t, infer.Deadline) // more rows take no less
		s.send(request(0, 4, 1)).wantDoubled(t)                             // now that of four is known too
		begin := time.Now()
		hopeless := s.send(within(90*ms, request(1, 1, 1)))
		hopeless.wantCode(t, infer.Deadline)
		hopeless.wantEnd(t, begin, 0)
		s.send(within(110*ms, request(2, 1, 1))).wantDoubled(t)
		s.send(within(110*ms, request(3, 4, 1))).wantCode(t, infer.Deadline) // too short for its size
		s.send(within(50*ms, request(4, 1, 2))).wantCode(t, infer.Deadline)  // another shape: tried, and cut off
		wantRuns(t, s.instances[0], []float32{0}, []float32{0}, []float32{2}, []float32{4})
	})
}

func TestRunsThatOutlastTheTimeoutRefuseNobodyFresh(t *testing.T) {
	virtual(t, func(t *testing.T) {
		took := time.Minute
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			o.Timeout = time.Second
			instances[0].takes = func(int) time.Duration { return took }
		})
		c := s.send(request(0, 1, 1))
		if c.wantCode(t, infer.Deadline); !errors.Is(c.err, infer.ErrStarted) {
			t.Error("it was not tried")
		}
		synctest.Wait()
		took = ms
		time.Sleep(time.Minute)                                              // the fake's run has no end before
		s.send(within(500*ms, request(1, 1, 1))).wantCode(t, infer.Deadline) // has less time than the last one took
		s.send(request(2, 1, 1)).wantDoubled(t)
	})
}

func TestOneSlowRunLocksNobodyOutForEver(t *testing.T) {
	virtual(t, func(t *testing.T) {
		took := time.Minute
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			o.Timeout = time.Hour
			instances[0].takes = func(int) time.Duration { return took }
		})
		s.send(request(0, 1, 1)).wantDoubled(t)
		took = ms
		for refused := range 200 {
			c := s.send(within(100*ms, request(1, 1, 1)))
			<-c.done
			if c.err == nil {
				t.Logf("served after %d refusals", refused)
				s.send(within(100*ms, request(1, 1, 1))).wantDoubled(t)
				return
			}
		}
		t.Error("still refused after 200 requests")
	})
}

// Runs that never end in time are learnt from too.
func TestTerminatedRunsAreLearntFrom(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, slow(time.Second))
		for range 20 {
			s.send(within(100*ms, request(1, 1, 1))).wantCode(t, infer.Deadline)
		}
		if ran := len(s.instances[0].history()); ran > 12 {
			t.Errorf("%d of 20 requests ran in vain", ran)
		}
	})
}

// caller is a context that knows when its caller leaves, and that never ends itself.
type caller struct {
	context.Context

	leaves chan struct{}
}

func (c caller) Done() <-chan struct{} { return c.leaves }

func (c caller) AfterLeave(f func()) (stop func() bool) {
	stopped := make(chan struct{})
	go func() {
		select {
		case <-c.leaves:
			f()
		case <-stopped:
		}
	}()
	return func() bool { close(stopped); return true }
}

// A context that knows when its caller leaves is asked for that, and not watched.
func TestCallersThatTellThatTheyLeave(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, slow(time.Second))
		busy := s.send(request(0, 1, 1))
		c := caller{context.Background(), make(chan struct{})}
		begin := time.Now()
		time.AfterFunc(300*ms, func() { close(c.leaves) })
		req := request(1, 1, 1)
		if err := s.model.Check(req); err != nil {
			t.Fatal(err)
		}
		_, err := s.Predict(c, req)
		if got := time.Since(begin); infer.CodeOf(err) != infer.Canceled || got != 300*ms {
			t.Errorf("%v after %v, want a cancellation after 300 ms", err, got)
		}
		busy.wantDoubled(t)
		stays := caller{context.Background(), make(chan struct{})}
		req = request(2, 1, 1)
		if err := s.model.Check(req); err != nil {
			t.Fatal(err)
		}
		if _, err = s.Predict(stays, req); err != nil {
			t.Error(err)
		}
	})
}
