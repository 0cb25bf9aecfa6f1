package shadow_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/shadow"
)

func oneAtOnce(o *shadow.Options) { o.Concurrency = 1 }

func TestShutdownFinishesWhatRunsAndDropsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := build(t, takes(time.Second), oneAtOnce)
		m.run()
		m.offer("runs", 1)
		m.offer("waits", 1)
		began := time.Now()
		if err := m.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v, want 1s", took)
		}
		m.wantEnded()
		m.wantRun("runs")
		m.offer("late", 1)
		m.got.want(t, drops{api.DropStopped: 2}, codes{infer.OK: 1})
		m.wantQueued(0, 0)
		if err := m.Shutdown(t.Context()); err != nil {
			t.Errorf("once more: %v", err)
		}
	})
}

func TestShutdownCutsOffWhatHangs(t *testing.T) {
	f := func(p predictor, want time.Duration, d drops, c codes) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			m := build(t, p, oneAtOnce)
			m.run()
			m.offer("runs", 1)
			m.offer("waits", 1)
			ctx, cancel := context.WithTimeout(t.Context(), 100*ms)
			defer cancel()
			began := time.Now()
			if err := m.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want deadline exceeded", err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("took %v, want %v", took, want)
			}
			m.wantEnded()
			m.got.want(t, d, c)
		})
	}
	f(hangs, 100*ms, drops{api.DropStopped: 2}, codes{})
	f(takes(3*time.Second), 3*time.Second, drops{api.DropStopped: 1}, codes{infer.OK: 1}) // it is still in use until then
}

func TestTheContextOfRunCutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := build(t, hangs, oneAtOnce)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { m.ran <- m.Run(ctx) }()
		synctest.Wait()
		m.offer("runs", 1)
		m.offer("waits", 1)
		cancel()
		m.wantEnded()
		m.offer("late", 1)
		m.got.want(t, drops{api.DropStopped: 3}, codes{})
	})
}

func TestACopyThatIsMadeDuringShutdownIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := build(t, answers, nil)
		m.run()
		m.tap.OfferAround(request("r", 1), nil, func() {
			m.wantQueued(1, 2)
			if err := m.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
		m.wantEnded()
		m.got.want(t, drops{api.DropStopped: 1}, codes{})
	})
}

func TestRunAfterShutdownEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := build(t, answers, nil)
		m.offer("r", 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		down := make(chan error, 1)
		go func() { down <- m.Shutdown(ctx) }()
		synctest.Wait()
		m.run()
		m.wantEnded()
		if err := <-down; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want canceled", err)
		}
		m.got.want(t, drops{api.DropStopped: 1}, codes{})
		if err := m.Run(t.Context()); err == nil {
			t.Error("a second Run was accepted")
		}
	})
}

// In real time, with threads: every request is counted once, whenever the end comes.
func TestOffersRaceWithShutdown(t *testing.T) {
	for round := range 20 {
		var inUse atomic.Int32
		var over atomic.Bool
		o := options()
		o.MaxRequests, o.MaxBytes, o.Concurrency = 8, 400, 3
		o.Predictor = predictor(func(ctx context.Context, req *infer.Request) (*infer.Response, error) {
			inUse.Add(1)
			defer inUse.Add(-1)
			if over.Load() {
				t.Error("the Predictor was called after Shutdown")
			}
			if len(req.RequestID) > 0 {
				panic("shadow")
			}
			return answers(ctx, req)
		})
		m, got := newMirror(t, o), newRecorder()
		ran := make(chan error, 1)
		go func() { ran <- m.Run(context.Background()) }()
		const offerers, each = 4, 200
		var wg sync.WaitGroup
		begun := make(chan struct{}, offerers)
		for range offerers {
			wg.Go(func() {
				tap := m.Tap(got, shadow.Use{})
				for i := range each {
					resp := respond(3, 8)
					tap.Offer(request("panics"[:i%2*6], i%20), resp)
					resp.Release()
					if i == round*8 {
						begun <- struct{}{}
					}
				}
			})
		}
		<-begun
		if err := m.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		over.Store(true)
		if n := inUse.Load(); n != 0 {
			t.Errorf("%d calls after Shutdown", n)
		}
		wg.Wait()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if n := got.counted(); n != offerers*each {
			t.Errorf("%d of %d were counted", n, offerers*each)
		}
		if n, bytes := m.Queued(); n != 0 || bytes != 0 {
			t.Errorf("%d copies of %d bytes are left", n, bytes)
		}
	}
}
