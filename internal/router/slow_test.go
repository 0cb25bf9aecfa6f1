package router_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/internal/infer"
)

// TestSlowRunsCount has runs that take longer than the window, like those of a hung version
// with the default timeout.
func TestSlowRunsCount(t *testing.T) {
	f := func(name string, want string, took time.Duration, n int, failed func(i int) bool) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			slow := load(2, options())
			stable := load(1)
			loaded := &sleeper{took: took}
			slow.target.Leased = loaded
			slow.target.Observe = nil
			variant := slow.variant(5000)
			variant.Observe = nil
			r := serving(iris(split(stable.variant(5000), variant), stable, slow))
			var all sync.WaitGroup
			for i := range n {
				req := toCanary()
				if failed(i) {
					req.Priority = 1
				}
				all.Go(func() { _, _ = r.Predict(t.Context(), req) })
				time.Sleep(time.Millisecond)
			}
			all.Wait()
			if state := slow.target.Breaker.State(); state != want {
				t.Errorf("%s: %s, want %s", name, state, want)
			}
		})
	}
	for _, took := range []time.Duration{0, 900 * time.Millisecond, 5 * time.Second, 9500 * time.Millisecond, 10 * time.Second, 30 * time.Second, time.Hour} {
		f(fmt.Sprint("5 that fail after ", took), "open", took, 5, func(int) bool { return true })
		f(fmt.Sprint("4 that fail after ", took), "closed", took, 4, func(int) bool { return true })
		f(fmt.Sprint("4 of 10 that fail after ", took), "closed", took, 100, func(i int) bool { return i%5 < 2 })
		f(fmt.Sprint("6 of 10 that fail after ", took), "open", took, 100, func(i int) bool { return i%5 < 3 })
	}
}

// sleeper takes its time, and fails requests of priority 1.
type sleeper struct{ took time.Duration }

func (s *sleeper) Predict(_ context.Context, req *infer.Request) (*infer.Response, error) {
	time.Sleep(s.took)
	if req.Priority == 1 {
		return nil, errStarted
	}
	return nil, nil //nolint:nilnil // the response is not used
}
func (s *sleeper) Acquire() bool { return true }
func (s *sleeper) Release()      {}

// TestStragglersOpenNothing: a request that began before a breaker opened says nothing about
// the version, which has recovered since.
func TestStragglersOpenNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stable, canary := load(1), load(2, options())
		hung := &sleeper{took: 30 * time.Second}
		canary.target.Leased, canary.target.Observe = hung, nil
		variant := canary.variant(5000)
		variant.Observe = nil
		r := serving(iris(split(stable.variant(5000), variant), stable, canary))
		var all sync.WaitGroup
		send := func(n, priority int) {
			for range n {
				req := toCanary()
				req.Priority = priority
				all.Go(func() { _, _ = r.Predict(t.Context(), req) })
			}
			synctest.Wait()
		}
		send(50, 1)
		hung.took = 0
		send(5, 1)
		f := func(want string) {
			t.Helper()
			if state := canary.target.Breaker.State(); state != want {
				t.Errorf("%s, want %s", state, want)
			}
		}
		f("open")
		time.Sleep(5*time.Second + 1)
		send(5, 0)
		f("closed")
		all.Wait()
		f("closed")
	})
}

func TestSlowProbes(t *testing.T) {
	f := func(want string, priorities ...int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			stable, canary := load(1), load(2, options())
			canary.open(t)
			time.Sleep(5*time.Second + time.Nanosecond)
			canary.target.Leased, canary.target.Observe = &sleeper{took: 12 * time.Second}, nil
			variant := canary.variant(5000)
			variant.Observe = nil
			r := serving(iris(split(stable.variant(5000), variant), stable, canary))
			var all sync.WaitGroup
			for _, priority := range priorities {
				req := toCanary()
				req.Priority = priority
				all.Go(func() { _, _ = r.Predict(t.Context(), req) })
				synctest.Wait()
			}
			all.Wait()
			if state := canary.target.Breaker.State(); state != want {
				t.Errorf("after probes of %v: %s, want %s", priorities, state, want)
			}
		})
	}
	f("closed", 0, 0, 0, 0, 0)
	f("half-open", 0, 0, 0, 0)
	f("open", 0, 1, 0, 0, 0)
	f("open", 1)
}
