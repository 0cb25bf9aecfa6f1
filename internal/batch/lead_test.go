package batch_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

// If run times do not follow from the shapes, a caller that was served quickly before can still
// leave in time.
func TestWaitersLeaveRunsThatWereQuickBefore(t *testing.T) {
	virtual(t, func(t *testing.T) {
		takes := time.Duration(0)
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			o.Steady = false
			instances[0].takes = func(int) time.Duration { return takes }
		})
		for range 10 {
			s.send(request(0, 1, 1)).wantDoubled(t)
		}
		takes = time.Hour
		begin := time.Now()
		c := s.send(within(30*ms, request(1, 1, 1)))
		c.wantEnd(t, begin, 30*ms)
		c.wantCode(t, infer.Deadline)
	})
}

// hooked is a context that calls a function when it is watched: between a request's
// admission and its run.
type hooked struct {
	context.Context
	watched func()
}

func (h hooked) Done() <-chan struct{} {
	h.watched()
	return h.Context.Done()
}

// A caller that finds a worker idle may meet a long run when it is about to lead a short one,
// since others came first. It can leave that one like any other.
func TestWaitersLeaveLongRunsOfOthers(t *testing.T) {
	f := func(name string, other *infer.Request) {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				s := start(t, 1, func(_ *batch.Options, instances []*fake) {
					instances[0].takes = func(rows int) time.Duration { return time.Duration(rows*rows) * ms }
				})
				for range 10 {
					s.send(request(0, 1, 1)).wantDoubled(t)
				}
				var long *call
				ctx := hooked{context.Background(), func() {
					long = s.sendOnly(other)
					for s.Queued() < 2 {
						runtime.Gosched()
					}
				}}
				req := within(30*ms, request(1, 1, 1))
				if err := s.model.Check(req); err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				_, err := s.Predict(ctx, req)
				if took := time.Since(begin); took != 30*ms || infer.CodeOf(err) != infer.Deadline {
					t.Errorf("ended after %v with %v", took, err)
				}
				long.wantDoubled(t)
			})
		})
	}
	f("larger than any before", request(2, 7, 1))
	urgent := request(2, 7, 2)
	urgent.Priority = 1
	f("of another shape", urgent)
}
