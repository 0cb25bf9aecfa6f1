package batch_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

// wantFailed waits for a call that failed with errBadRow: a refusal if the version was found
// well, else an internal error.
func (c *call) wantFailed(t *testing.T, well bool) {
	t.Helper()
	if !well {
		c.wantMarked(t, infer.Internal, false)
		return
	}
	c.wantMarked(t, infer.Invalid, true)
	if got, want := infer.Message(c.err), "model 'lin' refused the values of the request: bad row"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// wantMarked waits for a call that failed with a code; well says whether the version was
// found well.
func (c *call) wantMarked(t *testing.T, code infer.Code, well bool) {
	t.Helper()
	c.wantCode(t, code)
	if got := errors.Is(c.err, infer.ErrVersionWell); got != well {
		t.Errorf("the version was found well: %v, want %v: %v", got, well, c.err)
	}
	if refused := errors.Is(c.err, infer.ErrRefused); refused != (code == infer.Invalid) {
		t.Errorf("refused: %v: %v", refused, c.err)
	}
}

// takeInTurn gives the runs of an instance these times, one after the other; later ones take as
// long as the last.
func takeInTurn(times ...time.Duration) func(int) time.Duration {
	return func(int) (d time.Duration) {
		d = times[0]
		if len(times) > 1 {
			times = times[1:]
		}
		return d
	}
}

// broken fails every run while it is set.
type broken bool

func (b *broken) compute(x matrix) (matrix, error) {
	if *b || x.row(0)[0] == bad {
		return matrix{}, errBadRow
	}
	return double(x)
}

const bad = 13

func TestBadValuesAreNotTheVersionsFault(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			failOn(bad)(o, instances)
			o.MaxSize = 1
		})
		s.send(request(bad, 1, 1)).wantFailed(t, false) // nothing has been answered yet
		s.send(request(1, 1, 2)).wantDoubled(t)
		s.send(request(2, 1, 1)).wantDoubled(t)
		for range 3 {
			s.send(request(bad, 1, 1)).wantFailed(t, true)
		}
		time.Sleep(time.Second)
		s.send(request(bad, 1, 1)).wantFailed(t, true)
		wantRuns(t, s.instances[0], []float32{bad}, []float32{1}, []float32{2},
			[]float32{bad}, []float32{1}, []float32{bad}, []float32{bad}, // once a second
			[]float32{bad}, []float32{1})
	})
}

// A failure that the values cannot have caused is not a refusal, even if the version is well.
func TestOtherFailuresStayInternal(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(_ *batch.Options, instances []*fake) {
			instances[0].compute = func(x matrix) (matrix, error) {
				if x.row(0)[0] == bad {
					return matrix{}, errors.New("no memory")
				}
				return double(x)
			}
		})
		s.send(request(1, 1, 1)).wantDoubled(t)
		for range 2 { // with a check and without one
			s.send(request(bad, 1, 1)).wantMarked(t, infer.Internal, true)
		}
	})
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(_ *batch.Options, instances []*fake) { instances[0].compute = poison(bad, true) })
		s.send(request(1, 1, 1)).wantDoubled(t)
		s.send(request(bad, 1, 1)).wantMarked(t, infer.Internal, true)
	})
}

// The check finds the first failure of a broken version, and its recovery.
func TestBrokenVersion(t *testing.T) {
	virtual(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		var b broken
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			slow(ms)(o, instances)
			instances[0].compute = b.compute
			o.Logger = zap.New(core)
		})
		s.send(request(1, 1, 1)).wantDoubled(t)
		b = true
		for range 2000 {
			s.send(request(2, 1, 1)).wantFailed(t, false)
		}
		checks := 0
		for _, run := range s.instances[0].history()[1:] {
			if run[0] == 1 {
				checks++
			}
		}
		if checks != 2 { // in a little more than two seconds
			t.Errorf("%d checks, want 2", checks)
		}
		b = false
		time.Sleep(time.Second)
		s.send(request(bad, 1, 1)).wantFailed(t, true)
		b = true
		s.send(request(2, 1, 1)).wantFailed(t, true) // the last finding holds
		if logs.Len() != 2 {
			t.Errorf("log: %v, want each change once", logs.All())
		}
	})
}

func TestWhatIsKnown(t *testing.T) {
	f := func(known bool, first *infer.Request, change func(*infer.Request)) {
		t.Helper()
		virtual(t, func(t *testing.T) {
			s := start(t, 1, func(o *batch.Options, instances []*fake) {
				failOn(bad)(o, instances)
				o.MaxBytes = 1 << 30
			})
			want := values(first.Inputs[0].Data)
			s.send(first).wantDoubled(t)
			if change != nil {
				change(first)
			}
			s.send(request(bad, 1, 1)).wantFailed(t, known)
			runs := s.instances[0].history()
			if !known && len(runs) != 2 || known && (len(runs) != 3 || !slices.Equal(runs[2], want[:1])) {
				t.Errorf("runs %v", runs)
			}
		})
	}
	f(true, request(1, 1, 1), nil)
	f(true, request(1, 1, 1<<18), nil)
	f(false, request(1, 1, 1<<18+1), nil) // more than 1 MiB
	f(false, request(1, 0, 1), nil)       // no rows: that shows nothing
	f(true, request(1, 1, 1), func(r *infer.Request) { copy(r.Inputs[0].Data, floats(bad)); r.Inputs[0].Shape[0] = 7 })
}

// A check that hangs is terminated, and its instance goes on.
func TestCheckIsBounded(t *testing.T) {
	f := func(run, limit, want time.Duration) {
		t.Helper()
		virtual(t, func(t *testing.T) {
			s := start(t, 1, func(o *batch.Options, instances []*fake) {
				failOn(bad)(o, instances)
				instances[0].takes = takeInTurn(run, ms, time.Hour, ms)
				o.Timeout = limit
			})
			s.send(request(1, 1, 1)).wantDoubled(t)
			begin := time.Now()
			c := s.send(within(time.Hour, request(bad, 1, 2)))
			other := s.send(within(time.Hour, request(2, 1, 2)))
			if want < limit {
				c.wantFailed(t, true) // the last finding holds
				c.wantEnd(t, begin, ms+want)
				other.wantDoubled(t)
			} else {
				c.wantCode(t, infer.Deadline) // it need not wait for the check
				c.wantEnd(t, begin, limit)
			}
			time.Sleep(time.Minute)
			s.send(request(3, 1, 1)).wantDoubled(t)
		})
	}
	f(ms, time.Minute, time.Second)
	f(500*ms, time.Minute, 8*time.Second)
	f(10*time.Second, 20*time.Second, 20*time.Second)
}

// The others of the batch do not wait for the check, nor does a caller that leads.
func TestNobodyElseWaitsForACheck(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			failOn(bad)(o, instances)
			instances[0].takes = takeInTurn(ms, ms, ms, ms, ms, 500*ms, ms)
		})
		s.send(request(1, 1, 1)).wantDoubled(t)
		begin := time.Now()
		s.send(request(2, 1, 1))
		guilty, good := s.send(request(bad, 1, 1)), s.send(request(3, 1, 1))
		good.wantDoubled(t)
		good.wantEnd(t, begin, 4*ms)
		guilty.wantFailed(t, true)
		guilty.wantEnd(t, begin, 504*ms)
	})
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			failOn(bad)(o, instances)
			instances[0].takes = takeInTurn(ms, ms, 500*ms, ms)
		})
		s.send(request(1, 1, 1)).wantDoubled(t) // known to be short
		begin := time.Now()
		leads := s.send(within(10*ms, request(bad, 1, 1)))
		leads.wantCode(t, infer.Deadline)
		leads.wantEnd(t, begin, 10*ms)
		s.send(request(2, 1, 1)).wantDoubled(t)
	})
}

// While one worker checks, the last finding holds for the others, unless it is old and speaks
// against the version.
func TestOneCheckAtATime(t *testing.T) {
	virtual(t, func(t *testing.T) {
		var b broken
		s := start(t, 2, func(_ *batch.Options, instances []*fake) {
			for _, f := range instances {
				f.compute = b.compute
			}
		})
		s.send(request(1, 1, 1)).wantDoubled(t)
		begin := time.Now()
		check := func(well, other bool) {
			t.Helper()
			for _, f := range s.instances {
				f.takes = takeInTurn(ms, 200*ms)
			}
			first := s.send(request(bad, 1, 1))
			time.Sleep(2 * ms) // its check has begun
			second := s.send(request(bad, 1, 1))
			second.wantFailed(t, other)
			first.wantFailed(t, well)
			if first.ended.Sub(second.ended) < 150*ms {
				t.Error("the second waited for the check")
			}
			synctest.Wait()
		}
		check(true, true)
		time.Sleep(time.Second)
		b = true
		check(false, true)
		time.Sleep(time.Second)
		check(false, false) // it follows at once
		time.Sleep(time.Minute)
		check(false, true) // it may have recovered since
		if took := time.Since(begin); took > 2*time.Minute {
			t.Errorf("took %v", took)
		}
	})
}

func TestCutOffInACheck(t *testing.T) {
	virtual(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		s := build(t, 1, func(o *batch.Options, instances []*fake) {
			failOn(bad)(o, instances)
			instances[0].takes = takeInTurn(ms, ms, time.Hour)
			o.Logger = zap.New(core)
		})
		ran := make(chan error, 1)
		go func() { ran <- s.Run(t.Context()) }()
		s.send(request(1, 1, 1)).wantDoubled(t)
		c := s.send(request(bad, 1, 1))
		begin := time.Now()
		ctx, cancel := timeout(t, 50*ms)
		defer cancel()
		if err := s.Shutdown(ctx); err == nil {
			t.Error("Shutdown: no error")
		}
		c.wantFailed(t, true)
		if err := <-ran; err != nil || time.Since(begin) != 50*ms {
			t.Errorf("Run: %v after %v, want 50ms", err, time.Since(begin))
		}
		if logs.Len() != 0 {
			t.Errorf("log: %v; a check that was terminated finds nothing", logs.All())
		}
	})
}
