package registry_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// slow returns a version whose load takes the given time and ignores its context.
func slow(n, size int64, takes time.Duration, began func(n int64)) *registry.Spec {
	return &registry.Spec{Version: version(n), Fingerprint: "x", Size: size, Load: func(context.Context) (registry.Servable, string, error) {
		began(n)
		time.Sleep(takes)
		return &fakeServable{model: infer.NewModel("m", n, nil, nil)}, fmt.Sprint("sha256:", n), nil
	}}
}

// order records which loads begin.
type order struct {
	mu   sync.Mutex
	list []int64
}

func (o *order) began(n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = append(o.list, n)
}

// are checks which loads have begun, in any order.
func (o *order) are(t *testing.T, want ...int64) {
	t.Helper()
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	if list := slices.Sorted(slices.Values(o.list)); !slices.Equal(list, want) {
		t.Errorf("began %v, want %v", list, want)
	}
}

const large = 100 << 20

// Plan does not wait for loads, and a small version never waits for a large one.
func TestSmallVersionsLoadFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o order
		ended := make(chan struct{}, 100)
		opts := options()
		opts.Ended = func() { ended <- struct{}{} }
		r := registry.New(opts)
		specs := []*registry.Spec{
			slow(1, 3*large, time.Minute, o.began), slow(2, 2*large, time.Minute, o.began), slow(3, large, time.Minute, o.began),
			slow(4, 2, time.Millisecond, o.began), slow(5, 1, time.Millisecond, o.began),
		}
		began := time.Now()
		p := r.Plan(specs, nil)
		if time.Since(began) != 0 || len(p.Awaits(nil)) != 5 || len(p.Serving()) != 0 {
			t.Errorf("%v, waits for %v", time.Since(began), p.Awaits(nil))
		}
		for range 2 {
			<-ended
		}
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Errorf("small versions took %v beside a large one", took)
		}
		next := r.Plan(specs, nil)
		p.Release()
		next.Commit()
		if got := next.Serving(); len(got) != 2 || got[version(4)] == nil || got[version(5)] == nil {
			t.Errorf("%v", got)
		}
		if s, _ := state(r, 2); s != api.StateLoading {
			t.Errorf("version 2 is %s", s)
		}
		time.Sleep(time.Hour)
		o.mu.Lock()
		rest := slices.DeleteFunc(slices.Clone(o.list), func(n int64) bool { return n > 3 })
		o.mu.Unlock()
		if !slices.Equal(rest, []int64{1, 3, 2}) { // the first had the lane before the others were queued
			t.Errorf("large versions began in the order %v", rest)
		}
		next.Release()
		_ = r.Shutdown(t.Context(), time.Hour)
	})
}

// Small versions that never end do not block others for long.
func TestSmallVersionsAreOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o order
		r := registry.New(options())
		var specs []*registry.Spec
		for n := range int64(6) {
			specs = append(specs, slow(n+1, 1, time.Hour, o.began))
		}
		p := r.Plan(append(specs, slow(7, 2, 0, o.began), slow(8, large, 0, o.began)), nil)
		time.Sleep(time.Second)
		o.are(t, 1, 2, 3, 4, 5, 6, 7, 8)
		p.Release()
		time.Sleep(2 * time.Hour)
		_ = r.Shutdown(t.Context(), time.Hour)
	})
}

// A load that exceeds its timeout fails and does not block others. If it returns a version
// later, that is closed.
func TestLoadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o order
		opts := options()
		opts.LoadTimeout = time.Minute
		r := registry.New(opts)
		late, attempts := &fakeServable{}, atomic.Int64{}
		hang := &registry.Spec{Version: version(1), Fingerprint: "x", Size: large, Load: func(context.Context) (registry.Servable, string, error) {
			attempts.Add(1)
			time.Sleep(time.Hour)
			return late, "sha256:1", nil
		}}
		specs := []*registry.Spec{hang, slow(2, large, time.Second, o.began)}
		began := time.Now()
		p := settle(r, specs, nil)
		if took := time.Since(began).Round(time.Second); took != 61*time.Second {
			t.Errorf("took %v", took)
		}
		p.Commit()
		if s, reason := state(r, 1); s != api.StateUnavailable || reason != "the load took longer than repository.load_timeout (1m0s)" {
			t.Errorf("%s %q", s, reason)
		}
		if s, _ := state(r, 2); s != api.StateReady {
			t.Errorf("version 2 is %s", s)
		}
		// The same files are not loaded while an attempt still runs. They are when it has ended.
		retry := func(infer.Version) bool { return true }
		again := settle(r, specs, retry)
		if err := again.Failed()[version(1)]; attempts.Load() != 1 || err == nil || !strings.HasPrefix(registry.Reason(err), "an earlier load of these files exceeded") {
			t.Errorf("%d attempts, %v", attempts.Load(), err)
		}
		again.Release()
		time.Sleep(time.Hour)
		if !late.closed.Load() {
			t.Error("the late version was not closed")
		}
		again = r.Plan(specs, retry)
		if synctest.Wait(); attempts.Load() != 2 {
			t.Errorf("%d attempts", attempts.Load())
		}
		again.Release()
		p.Release()
		_ = r.Shutdown(t.Context(), time.Hour)
		time.Sleep(time.Hour)
	})
}

// A load that no plan waits for is canceled.
func TestReleaseGivesUpLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry.New(options())
		gone := make(chan error, 1)
		loading := &registry.Spec{Version: version(1), Fingerprint: "x", Size: large, Load: func(ctx context.Context) (registry.Servable, string, error) {
			<-ctx.Done()
			gone <- ctx.Err()
			return nil, "", ctx.Err()
		}}
		queued := slow(2, large, 0, func(int64) { t.Error("a canceled load began") })
		p := r.Plan([]*registry.Spec{loading, queued}, nil)
		other := r.Plan([]*registry.Spec{loading}, nil)
		p.Release()
		synctest.Wait()
		if len(gone) != 0 {
			t.Error("a load that another plan waits for was canceled")
		}
		other.Release()
		if err := <-gone; err == nil {
			t.Error("the context of a canceled load has not ended")
		}
		if list := r.List(); len(list) != 0 {
			t.Errorf("%v", list)
		}
		_ = r.Shutdown(t.Context(), time.Hour)
	})
}

// A canceled load that does not return occupies its lane for at most load_timeout.
func TestLoadsGivenUpLeaveTheirLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o order
		opts := options()
		opts.ParallelLoads, opts.LoadTimeout = 1, time.Minute
		r := registry.New(opts)
		p := r.Plan([]*registry.Spec{slow(1, large, time.Hour, o.began)}, nil)
		o.are(t, 1)
		p.Release()
		next := r.Plan([]*registry.Spec{slow(2, large, time.Second, o.began)}, nil)
		o.are(t, 1)
		time.Sleep(time.Minute)
		o.are(t, 1, 2)
		next.Release()
		_ = r.Shutdown(t.Context(), time.Hour)
		time.Sleep(time.Hour)
	})
}

// A panic of a load fails its version.
func TestLoadsThatPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry.New(options())
		p := apply(t, r, &registry.Spec{Version: version(1), Load: func(context.Context) (registry.Servable, string, error) { panic("boom") }})
		if err := p.Failed()[version(1)]; infer.CodeOf(err) != infer.Internal {
			t.Errorf("%v", err)
		}
		_ = r.Shutdown(t.Context(), time.Hour)
	})
}

// Shutdown does not wait for a load that nothing can interrupt.
func TestShutdownLeavesLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry.New(options())
		var o order
		r.Plan([]*registry.Spec{slow(1, 1, time.Hour, o.began)}, nil)
		o.are(t, 1)
		began := time.Now()
		if err := r.Shutdown(t.Context(), time.Hour); err != nil || r.Idle() {
			t.Errorf("%v, idle %v", err, r.Idle())
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v", took)
		}
		time.Sleep(2 * time.Hour)
	})
}

// A version that a plan has loaded retires once, whether Commit or Release is first.
func TestVersionsRetireOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry.New(options())
		a := &fakeServable{}
		loaded := settle(r, []*registry.Spec{spec(1, "x", a, nil)}, nil)
		loaded.Commit()
		r.Plan(nil, nil).Commit()
		loaded.Release()
		synctest.Wait()
		if !a.closed.Load() || len(r.List()) != 0 {
			t.Errorf("closed %v, listed %v", a.closed.Load(), r.List())
		}
		if err := r.Shutdown(t.Context(), time.Hour); err != nil {
			t.Error(err)
		}
	})
}
