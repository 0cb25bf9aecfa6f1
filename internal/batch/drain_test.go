package batch_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

func slow(d time.Duration) func(*batch.Options, []*fake) {
	return func(_ *batch.Options, instances []*fake) {
		for _, f := range instances {
			f.takes = constant(d)
		}
	}
}

func wantRuns(t *testing.T, f *fake, want ...[]float32) {
	t.Helper()
	if diff := cmp.Diff(want, f.history()); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
}

func TestFreeInstanceTakesWhatWaits(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, slow(10*ms))
		var calls []*call
		for id := range 12 {
			calls = append(calls, s.send(request(float32(id), 1, 3)))
		}
		for _, c := range calls {
			c.wantDoubled(t)
		}
		wantRuns(t, s.instances[0], []float32{0}, []float32{1, 2, 3, 4, 5, 6, 7, 8}, []float32{9, 10, 11})
	})
}

func TestFirstRequestDoesNotWait(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 2, nil)
		begin := time.Now()
		c := s.send(request(1, 1, 1))
		c.wantDoubled(t)
		if waited := c.ended.Sub(begin); waited != 0 {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestFreeInstancesShareWhatWaits(t *testing.T) {
	f := func(instances, waiting int, want ...int) {
		t.Helper()
		virtual(t, func(t *testing.T) {
			s := build(t, instances, slow(ms))
			var calls []*call
			for id := range waiting {
				calls = append(calls, s.send(request(float32(id), 1, 1)))
			}
			s.run()
			for _, c := range calls {
				c.wantDoubled(t)
			}
			var got []int
			for _, f := range s.instances {
				for _, run := range f.history() {
					got = append(got, len(run))
				}
			}
			if diff := cmp.Diff(want, got, cmp.Transformer("sort", sorted)); diff != "" {
				t.Errorf("%d instances, %d waiting: sizes of runs (-want +got):\n%s", instances, waiting, diff)
			}
		})
	}
	f(2, 7, 4, 3)
	f(3, 7, 3, 2, 2)
	f(3, 2, 1, 1)
	f(1, 7, 7)
	f(2, 20, 8, 8, 4) // no more than MaxSize
}

func TestOddShapeDoesNotCutARun(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, slow(10*ms))
		calls := []*call{s.send(request(0, 1, 3))}
		for id := 1; id < 8; id++ {
			cols := 3
			if id == 4 {
				cols = 5
			}
			calls = append(calls, s.send(request(float32(id), 1, cols)))
		}
		for _, c := range calls {
			c.wantDoubled(t)
		}
		wantRuns(t, s.instances[0], []float32{0}, []float32{1, 2, 3, 5, 6, 7}, []float32{4})
	})
}

func TestRequestOfManyRowsCountsThem(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, slow(10*ms))
		first := s.send(request(0, 1, 1))
		a, b, c, d := s.send(request(1, 4, 1)), s.send(request(2, 3, 1)), s.send(request(3, 2, 1)), s.send(request(4, 1, 1))
		for _, c := range []*call{first, a, b, c, d} {
			c.wantDoubled(t)
		}
		// 3 does not fit beside 1 and 2, and 4 does not overtake it.
		wantRuns(t, s.instances[0], []float32{0}, []float32{1, 2}, []float32{3, 4})
		if got := a.req.Timing.Rows; got != 7 {
			t.Errorf("Timing.Rows = %d, want the rows of the whole run, 7", got)
		}
	})
}

func TestZeroRowsAnswerAnEmptyOutput(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, slow(10*ms))
		alone := s.send(request(0, 0, 3))
		joined, beside := s.send(request(0, 0, 3)), s.send(request(5, 2, 3))
		for _, c := range []*call{alone, joined, beside} {
			c.wantDoubled(t)
		}
		wantRuns(t, s.instances[0], nil, []float32{5})
	})
}

func TestRunHasNoMoreMembersThanRows(t *testing.T) {
	virtual(t, func(t *testing.T) {
		most := 0
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			slow(10*ms)(o, instances)
			o.ObserveRun = func(r batch.Run) { most = max(most, r.Members) }
		})
		var calls []*call
		for range 20 {
			calls = append(calls, s.send(request(0, 0, 1)))
		}
		for _, c := range calls {
			c.wantDoubled(t)
		}
		if most != 8 {
			t.Errorf("a run of %d requests without rows, want at most 8", most)
		}
	})
}

func TestNotBatchableRunsAloneInParallel(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 2, func(o *batch.Options, instances []*fake) {
			slow(10*ms)(o, instances)
			o.Batchable, o.MaxSize = false, 0
		})
		begin := time.Now()
		var calls []*call
		for id := range 4 {
			calls = append(calls, s.send(request(float32(id), 100, 1))) // rows are not limited
		}
		for i, c := range calls {
			c.wantDoubled(t)
			if want := time.Duration(1+i/2) * 10 * ms; c.ended.Sub(begin) != want {
				t.Errorf("call %d ended after %v, want %v", i, c.ended.Sub(begin), want)
			}
			if c.req.Timing.Rows != 1 {
				t.Errorf("Timing.Rows = %d, want 1", c.req.Timing.Rows)
			}
		}
	})
}

func TestOrderIsPriorityThenDeadlineThenArrival(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			slow(10*ms)(o, instances)
			o.MaxSize, o.PriorityLevels, o.DefaultPriority = 1, 3, 2
		})
		calls := []*call{s.send(request(0, 1, 1))}
		add := func(id float32, priority int, timeout time.Duration) {
			r := request(id, 1, 1)
			r.Priority, r.Timeout = priority, timeout
			calls = append(calls, s.send(r))
		}
		add(9, 100, time.Second)    // beyond the levels: the lowest
		add(8, 3, time.Second)      // the same, later
		add(7, 3, 900*ms)           // sooner due
		add(5, 2, 5*time.Second)    //
		add(6, 0, 6*time.Second)    // the default, 2
		add(2, 1, 30*time.Second)   // strictly first, though due last
		add(1, 1, 30*time.Second-1) //
		for _, c := range calls {
			c.wantDoubled(t)
		}
		wantRuns(t, s.instances[0], []float32{0}, []float32{1}, []float32{2}, []float32{5}, []float32{6}, []float32{7}, []float32{9}, []float32{8})
	})
}

func TestMostUrgentShapeGoesFirst(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, slow(10*ms))
		calls := []*call{s.send(request(0, 1, 1)), s.send(request(1, 1, 2)), s.send(request(2, 1, 2))}
		urgent := request(3, 1, 3)
		urgent.Priority = 1
		calls = append(calls, s.send(urgent))
		for _, c := range calls {
			c.wantDoubled(t)
		}
		wantRuns(t, s.instances[0], []float32{0}, []float32{3}, []float32{1, 2})
	})
}

func TestShapesAreForgottenWhenIdle(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, nil)
		for cols := range 10 * batch.MaxBuckets {
			s.send(request(1, 1, cols)).wantDoubled(t)
		}
		if _, _, _, buckets := s.Waiting(); buckets > batch.MaxBuckets {
			t.Errorf("%d shapes are remembered, want at most %d", buckets, batch.MaxBuckets)
		}
	})
}

// A shape that is requested now and then keeps its estimate, however many odd ones arrive.
func TestPopularShapeIsRemembered(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, slow(ms))
		for cols := range 10 * batch.MaxBuckets {
			if cols%(batch.MaxBuckets/2) == 0 {
				s.send(request(1, 1, 10_000)).wantDoubled(t)
			}
			s.send(request(1, 1, cols)).wantDoubled(t)
		}
		if fits := s.Fits(1); len(fits) != 1 || fits[0].Shape != "x[-1,10000]" || fits[0].Runs != 20 {
			t.Errorf("got %+v, want 20 runs of x[-1,10000]", fits)
		}
	})
}

// Shapes with waiting requests are kept, however many, and forgotten afterwards.
func TestShapesThatWaitAreRemembered(t *testing.T) {
	virtual(t, func(t *testing.T) {
		const n = 3 * batch.MaxBuckets
		s := start(t, 1, slow(ms))
		calls := []*call{s.send(request(0, 1, 1))}
		for cols := range n {
			calls = append(calls, s.send(request(1, 1, 2+cols)))
		}
		if _, _, _, buckets := s.Waiting(); buckets < n {
			t.Errorf("%d shapes are remembered while %d wait", buckets, n)
		}
		for _, c := range calls {
			c.wantDoubled(t)
		}
		for cols := range n {
			s.send(request(1, 1, 1000+cols)).wantDoubled(t)
		}
		if _, _, _, buckets := s.Waiting(); buckets > batch.MaxBuckets {
			t.Errorf("%d shapes are remembered, want at most %d", buckets, batch.MaxBuckets)
		}
	})
}

func TestTimingIsFilled(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			slow(10*ms)(o, instances)
			instances[0].gather = func() { time.Sleep(2 * ms) }
		})
		first, second := s.send(request(0, 1, 1)), s.send(request(1, 3, 1))
		first.wantDoubled(t)
		second.wantDoubled(t)
		want := infer.Timing{Queue: 12 * ms, Input: 2 * ms, Compute: 10 * ms, Rows: 3}
		if diff := cmp.Diff(want, second.req.Timing); diff != "" {
			t.Errorf("Timing (-want +got):\n%s", diff)
		}
	})
}

func TestRunsAreObservedBeforeTheLastAnswer(t *testing.T) {
	virtual(t, func(t *testing.T) {
		var runs []batch.Run
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			slow(10*ms)(o, instances)
			o.ObserveRun = func(r batch.Run) { runs = append(runs, r) }
		})
		a, b, c := s.send(request(0, 1, 1)), s.send(request(1, 1, 1)), s.send(request(2, 2, 1))
		a.wantDoubled(t)
		b.wantDoubled(t)
		c.wantDoubled(t)
		want := []batch.Run{{Members: 1, Rows: 1, Compute: 10 * ms}, {Members: 2, Rows: 3, Compute: 10 * ms}}
		if diff := cmp.Diff(want, runs); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

func TestMaxDelayWaitsForAFullerRun(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 2, func(o *batch.Options, _ []*fake) { o.MaxDelay = 50 * ms })
		begin := time.Now()
		at := func(c *call, want time.Duration) {
			t.Helper()
			c.wantDoubled(t)
			if got := c.ended.Sub(begin); got != want {
				t.Errorf("ended after %v, want %v", got, want)
			}
		}
		a := s.send(request(1, 1, 1))
		time.Sleep(20 * ms)
		b := s.send(request(2, 1, 1))
		at(a, 50*ms) // its own delay, and b goes along
		at(b, 50*ms)

		begin = time.Now()
		a = s.send(request(3, 4, 1))
		time.Sleep(10 * ms)
		odd := s.send(request(4, 1, 2))
		time.Sleep(10 * ms)
		b = s.send(request(5, 4, 1)) // full
		at(a, 20*ms)
		at(b, 20*ms)
		at(odd, 60*ms)

		begin = time.Now()
		gone := s.send(request(6, 1, 1))
		time.Sleep(30 * ms)
		b = s.send(request(7, 1, 1))
		gone.cancel()
		gone.wantCode(t, infer.Canceled)
		at(b, 80*ms) // the oldest that is still there

		begin = time.Now()
		hurried := request(8, 1, 1)
		hurried.Timeout = 20 * ms
		at(s.send(hurried), 10*ms) // half of its time
	})
}

func TestMaxDelayEndsWithShutdown(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, _ []*fake) { o.MaxDelay = 50 * ms })
		begin := time.Now()
		c := s.send(request(1, 1, 1))
		if err := s.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.wantDoubled(t)
		if c.ended != begin {
			t.Errorf("waited %v", c.ended.Sub(begin))
		}
		synctest.Wait()
	})
}
