package batch_test

import (
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

// poison fails, or panics, if a row begins with bad.
func poison(bad float32, panics bool) func(matrix) (matrix, error) {
	return func(x matrix) (matrix, error) {
		for i := range x.rows {
			if x.row(i)[0] == bad {
				if panics {
					panic("bad row")
				}
				return matrix{}, errBadRow
			}
		}
		return double(x)
	}
}

func TestOnlyTheGuiltyMemberFails(t *testing.T) {
	virtual(t, func(t *testing.T) {
		var failed int
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			slow(10*ms)(o, instances)
			instances[0].compute = poison(2, false)
			o.ObserveRun = func(r batch.Run) {
				if r.Err != nil {
					failed++
				}
			}
		})
		s.send(request(0, 1, 9))
		a, b, c := s.send(request(1, 1, 1)), s.send(request(2, 1, 1)), s.send(request(3, 2, 1))
		gone := s.send(within(15*ms, request(4, 1, 1))) // leaves before the joined run fails
		b.wantFailed(t, true)
		a.wantDoubled(t)
		c.wantDoubled(t)
		gone.wantCode(t, infer.Deadline)
		wantRuns(t, s.instances[0], []float32{0}, []float32{4, 1, 2, 3}, []float32{1}, []float32{2, 3}, []float32{2}, []float32{3}, []float32{0})
		if failed != 3 { // both that were joined, and the guilty alone
			t.Errorf("%d failed runs were observed, want 3", failed)
		}
	})
}

func TestFailureAloneIsFinal(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(_ *batch.Options, instances []*fake) { instances[0].compute = poison(2, false) })
		s.send(request(2, 1, 1)).wantFailed(t, false)
		wantRuns(t, s.instances[0], []float32{2})
		s.send(request(1, 1, 1)).wantDoubled(t)
	})
}

func TestErrorOfTheRuntimeKeepsItsCode(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(_ *batch.Options, instances []*fake) {
			instances[0].compute = func(matrix) (matrix, error) { return matrix{}, infer.Errorf(infer.TooLarge, "too much") }
		})
		s.send(request(2, 1, 1)).wantCode(t, infer.TooLarge)
	})
}

func TestPanicBecomesInternalAndTheInstanceGoesOn(t *testing.T) {
	virtual(t, func(t *testing.T) {
		core, logs := observer.New(zap.ErrorLevel)
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			slow(10*ms)(o, instances)
			instances[0].compute = poison(2, true)
			o.Logger = zap.New(core)
		})
		s.send(request(0, 1, 1))
		a, b := s.send(request(1, 1, 1)), s.send(request(2, 1, 1))
		a.wantCode(t, infer.Internal) // nothing is run again: values do not cause a panic
		b.wantCode(t, infer.Internal)
		s.send(request(3, 1, 1)).wantDoubled(t)
		wantRuns(t, s.instances[0], []float32{0}, []float32{1, 2}, []float32{0}, []float32{3})
		if logs.Len() != 1 || logs.All()[0].ContextMap()["stack"] == "" {
			t.Errorf("log: %v, want one entry with a stack", logs.All())
		}
	})
}

func TestPanicsInGatherAndScatter(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(_ *batch.Options, instances []*fake) {
			instances[0].gather = func() { panic("gather") }
		})
		s.send(request(0, 1, 1)).wantCode(t, infer.Internal)
		s.instances[0].gather = nil
		s.instances[0].compute = func(x matrix) (matrix, error) { return matrix{rows: x.rows, cols: 99}, nil } // too few data
		s.send(request(0, 1, 1)).wantCode(t, infer.Internal)
		s.instances[0].compute = nil
		s.send(request(0, 1, 1)).wantDoubled(t)
	})
}

func TestShutdownFinishesAcceptedWork(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 2, func(o *batch.Options, instances []*fake) {
			slow(time.Second)(o, instances)
			o.MaxSize = 1
		})
		var calls []*call
		for id := range 7 {
			calls = append(calls, s.send(request(float32(id), 1, 1)))
		}
		begin := time.Now()
		down := make(chan error, 1)
		go func() { down <- s.Shutdown(t.Context()) }()
		time.Sleep(ms)
		s.send(request(9, 1, 1)).wantCode(t, infer.Unavailable)
		for _, c := range calls {
			c.wantDoubled(t)
		}
		if err := <-down; err != nil || time.Since(begin) != 4*time.Second {
			t.Errorf("Shutdown: %v after %v, want 4s", err, time.Since(begin))
		}
	})
}

func TestShutdownCutsOffWhenItsTimeIsUp(t *testing.T) {
	f := func(deaf bool, wantEnd time.Duration) {
		t.Helper()
		virtual(t, func(t *testing.T) {
			s := build(t, 1, func(o *batch.Options, instances []*fake) {
				slow(10*time.Second)(o, instances)
				instances[0].deaf = deaf
				instances[0].compute = func(x matrix) (matrix, error) {
					if deaf {
						return matrix{}, errTerminated
					}
					return double(x)
				}
			})
			ran := make(chan error, 1)
			go func() { ran <- s.Run(t.Context()) }()
			begin := time.Now()
			runs, waits := s.send(request(0, 1, 1)), s.send(request(1, 1, 1))
			ctx, cancel := timeout(t, time.Second)
			defer cancel()
			if err := s.Shutdown(ctx); err == nil {
				t.Error("Shutdown: no error")
			}
			waits.wantCode(t, infer.Unavailable)
			waits.wantEnd(t, begin, time.Second)
			runs.wantCode(t, infer.Unavailable)
			if err := <-ran; err != nil || time.Since(begin) != wantEnd {
				t.Errorf("Run: %v after %v, want %v", err, time.Since(begin), wantEnd)
			}
			s.checkEmpty()
		})
	}
	f(false, time.Second)
	f(true, 10*time.Second) // the instance is closed when the runtime lets go, not before
}

func TestEndOfRunsContextCutsOff(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := build(t, 1, slow(10*time.Second))
		ctx, cancel := timeout(t, time.Second)
		defer cancel()
		runs, waits := s.send(request(0, 1, 1)), s.send(request(1, 1, 2))
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
		runs.wantCode(t, infer.Unavailable)
		waits.wantCode(t, infer.Unavailable)
		s.send(request(2, 1, 1)).wantCode(t, infer.Unavailable)
		if s.instances[0].closed != 1 {
			t.Error("the instance is open")
		}
	})
}

func TestCutOffWhileGatheringStartsNoRun(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := build(t, 1, func(_ *batch.Options, instances []*fake) {
			instances[0].gather = func() { time.Sleep(2 * time.Second) }
		})
		ctx, cancel := timeout(t, time.Second)
		defer cancel()
		c := s.send(request(0, 1, 1))
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
		c.wantCode(t, infer.Unavailable)
		if len(s.instances[0].ends) != 0 {
			t.Error("a run was started")
		}
	})
}

func TestShutdownBeforeRun(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := build(t, 2, nil)
		down := make(chan error, 1)
		go func() { down <- s.Shutdown(t.Context()) }()
		time.Sleep(ms)
		if err := s.Run(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-down; err != nil {
			t.Error(err)
		}
	})
}
