package registry_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeServable records its shutdown; hold keeps Shutdown from returning.
type fakeServable struct {
	model  *infer.Model
	closed atomic.Bool
	ended  atomic.Bool // the ctx of Shutdown had ended
	hold   chan struct{}
}

func (f *fakeServable) Predict(context.Context, *infer.Request) (*infer.Response, error) {
	return infer.NewResponse(), nil
}
func (f *fakeServable) Model() *infer.Model      { return f.model }
func (f *fakeServable) Detail() *api.ModelDetail { return &api.ModelDetail{} }
func (f *fakeServable) Queued() int              { return 0 }
func (f *fakeServable) Memory() api.ModelMemory  { return api.ModelMemory{} }
func (f *fakeServable) Shutdown(ctx context.Context) error {
	f.ended.Store(ctx.Err() != nil)
	if f.hold != nil {
		<-f.hold
	}
	f.closed.Store(true)
	return nil
}

func version(n int64) infer.Version { return infer.Version{Model: "m", Number: n} }

func spec(n int64, fingerprint string, s *fakeServable, err error) *registry.Spec {
	return &registry.Spec{Version: version(n), Fingerprint: fingerprint, Load: func(context.Context) (registry.Servable, string, error) {
		if err != nil {
			return nil, "", err
		}
		s.model = infer.NewModel("m", n, nil, nil)
		return s, "sha256:" + fingerprint, nil
	}}
}

func apply(t *testing.T, r *registry.Registry, specs ...*registry.Spec) *registry.Plan {
	t.Helper()
	p := settle(r, specs, nil)
	p.Commit()
	p.Release()
	return p
}

// options returns complete options, with one load at a time.
func options() registry.Options {
	return registry.Options{ParallelLoads: 1, LoadTimeout: 10 * time.Minute, UnloadTimeout: time.Second}
}

// settle plans until nothing is loading any more.
func settle(r *registry.Registry, specs []*registry.Spec, retry func(infer.Version) bool) *registry.Plan {
	p := r.Plan(specs, retry)
	for len(p.Awaits(nil)) > 0 {
		time.Sleep(time.Millisecond)
		next := r.Plan(specs, nil)
		p.Release()
		p = next
	}
	return p
}

func state(r *registry.Registry, n int64) (state, reason string) {
	for _, s := range r.Status() {
		if s.Version == n {
			return s.State, s.Reason
		}
	}
	return "", ""
}

func TestIncompleteOptionsAreABug(t *testing.T) {
	f := func(want string, change func(o *registry.Options)) {
		t.Helper()
		defer func() {
			if text, ok := recover().(string); !ok || !strings.Contains(text, want) {
				t.Errorf("%q, want %q", text, want)
			}
		}()
		o := options()
		change(&o)
		registry.New(o)
	}
	f("ParallelLoads is 0", func(o *registry.Options) { o.ParallelLoads = 0 })
	f("LoadTimeout is 0s", func(o *registry.Options) { o.LoadTimeout = 0 })
	f("UnloadTimeout is -1ns", func(o *registry.Options) { o.UnloadTimeout = -1 })
}

func TestUnchangedVersionsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry.New(options())
		a := &fakeServable{}
		p := apply(t, r, spec(1, "x", a, nil))
		leased := p.Serving()[version(1)]
		p = r.Plan([]*registry.Spec{spec(1, "x", &fakeServable{}, errors.New("must not be loaded again"))}, nil)
		if !p.Same() {
			t.Error("a plan of what serves is not the same")
		}
		if r.Plan(nil, nil).Same() {
			t.Error("a plan that unloads is the same")
		}
		p.Commit()
		if p.Serving()[version(1)] != leased || len(p.Tried()) != 0 {
			t.Error("an unchanged version was loaded again")
		}
		b := &fakeServable{}
		apply(t, r, spec(1, "y", b, nil))
		synctest.Wait()
		if !a.closed.Load() || b.closed.Load() {
			t.Error("a changed version must replace the old one, which then closes")
		}
		if err := r.Shutdown(t.Context(), time.Hour); err != nil || !b.closed.Load() {
			t.Errorf("shutdown: %v", err)
		}
	})
}

func TestFailedLoadKeepsTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry.New(options())
		a := &fakeServable{}
		apply(t, r, spec(1, "x", a, nil))
		broken := infer.Errorf(infer.Invalid, "not an ONNX model")
		p := apply(t, r, spec(1, "y", nil, broken), spec(2, "z", nil, broken))
		if len(p.Failed()) != 2 || len(p.Serving()) != 1 {
			t.Fatalf("failed %v, serving %v", p.Failed(), p.Serving())
		}
		if s, reason := state(r, 1); s != api.StateReady || reason == "" {
			t.Errorf("version 1 is %s %q", s, reason)
		}
		if s, reason := state(r, 2); s != api.StateUnavailable || reason != "not an ONNX model" {
			t.Errorf("version 2 is %s %q", s, reason)
		}
		// The same broken files are not tried again unless retry says so.
		loads := 0
		again := &registry.Spec{Version: version(2), Fingerprint: "z", Load: func(context.Context) (registry.Servable, string, error) {
			loads++
			return nil, "", broken
		}}
		apply(t, r, spec(1, "y", nil, broken), again)
		if loads != 0 {
			t.Error("a failed load was tried again without a change")
		}
		// Each plan with retry tries again, also while the plan before it is held.
		always := func(infer.Version) bool { return true }
		for range 3 {
			p := settle(r, []*registry.Spec{spec(1, "y", nil, broken), again}, always)
			p.Commit()
			defer p.Release()
		}
		if loads != 3 {
			t.Errorf("three plans with retry tried %d times", loads)
		}
		synctest.Wait()
		if a.closed.Load() {
			t.Error("the serving version was closed")
		}
		_ = r.Shutdown(t.Context(), time.Hour)
	})
}

func TestBrokenNewVersionDisplacesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry.New(options())
		a, c := &fakeServable{}, &fakeServable{}
		apply(t, r, spec(1, "x", a, nil))
		broken := spec(2, "y", nil, infer.Errorf(infer.Invalid, "not an ONNX model"))
		for range 2 { // the second plan tries nothing, and version 1 still serves
			if p := apply(t, r, broken); p.Serving()[version(1)] == nil {
				t.Fatal("version 1 was retired although its replacement does not load")
			}
		}
		if p := apply(t, r, spec(2, "z", c, nil)); len(p.Serving()) != 1 || p.Serving()[version(2)] == nil {
			t.Errorf("serving %v, want version 2 alone", p.Serving())
		}
		synctest.Wait()
		if !a.closed.Load() {
			t.Error("version 1 was not closed")
		}
		_ = r.Shutdown(t.Context(), time.Hour)
	})
}

func TestLeaseHoldsTheVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := options()
		opts.UnloadTimeout = time.Minute
		r := registry.New(opts)
		a := &fakeServable{}
		leased := apply(t, r, spec(1, "x", a, nil)).Serving()[version(1)]
		if !leased.Acquire() {
			t.Fatal("no lease on a live version")
		}
		apply(t, r) // unload
		time.Sleep(59 * time.Second)
		if a.closed.Load() {
			t.Fatal("closed under a lease")
		}
		if leased.Acquire() {
			t.Fatal("a lease on a retired version")
		}
		if s, _ := state(r, 1); s != api.StateUnloading {
			t.Errorf("state %s, want UNLOADING", s)
		}
		leased.Release()
		synctest.Wait()
		if !a.closed.Load() || a.ended.Load() {
			t.Error("not closed, or closed as if late")
		}
		if len(r.Status()) != 0 {
			t.Errorf("still listed: %v", r.Status())
		}
	})
}

func TestUnloadLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry.New(options())
		a := &fakeServable{hold: make(chan struct{})}
		leased := apply(t, r, spec(1, "x", a, nil)).Serving()[version(1)]
		leased.Acquire()
		apply(t, r)
		time.Sleep(2 * time.Second)
		if !a.ended.Load() {
			t.Error("the ctx of Shutdown had not ended after the limit")
		}
		if s, _ := state(r, 1); s != api.StateUnloading {
			t.Errorf("state %s while a run goes on, want UNLOADING", s)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Shutdown(ctx, time.Hour); err == nil {
			t.Error("Shutdown hid a version that still runs")
		}
		close(a.hold)
		leased.Release()
		synctest.Wait()
	})
}

// Shutdown gives work at most half of its own time. The other half is for terminating work.
func TestShutdownHurries(t *testing.T) {
	f := func(grace, want time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			opts := options()
			opts.UnloadTimeout = time.Hour
			r := registry.New(opts)
			a := &fakeServable{}
			leased := apply(t, r, spec(1, "x", a, nil)).Serving()[version(1)]
			leased.Acquire() // and does not release it before the end
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := r.Shutdown(ctx, grace); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took != want || !a.ended.Load() {
				t.Errorf("took %v, terminated %v", took, a.ended.Load())
			}
		})
	}
	f(time.Hour, 5*time.Second)
	f(time.Second, time.Second)
}

func TestReleaseClosesWhatWasLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry.New(options())
		a, b := &fakeServable{}, &fakeServable{}
		apply(t, r, spec(1, "x", a, nil))
		settle(r, []*registry.Spec{spec(1, "x", nil, nil), spec(2, "y", b, nil)}, nil).Release()
		synctest.Wait()
		if a.closed.Load() || !b.closed.Load() {
			t.Errorf("a closed %v, b closed %v", a.closed.Load(), b.closed.Load())
		}
		if got := r.Status(); len(got) != 1 {
			t.Errorf("listed: %v", got)
		}
		_ = r.Shutdown(t.Context(), time.Hour)
	})
}

func TestReleaseKeepsWhatWasListed(t *testing.T) {
	r := registry.New(options())
	broken := spec(1, "x", nil, infer.Errorf(infer.Invalid, "not an ONNX model"))
	apply(t, r, broken)
	settle(r, []*registry.Spec{broken}, func(infer.Version) bool { return true }).Release()
	if st, reason := state(r, 1); st != api.StateUnavailable || reason != "not an ONNX model" {
		t.Errorf("%s %q", st, reason)
	}
}

func TestIdleVersionsAreListed(t *testing.T) {
	r := registry.New(options())
	s := &registry.Spec{Version: version(1), Idle: "unloaded"}
	if p := apply(t, r, s); len(p.Failed()) != 0 {
		t.Errorf("failed: %v", p.Failed())
	}
	if st, reason := state(r, 1); st != api.StateUnavailable || reason != "unloaded" {
		t.Errorf("%s %q", st, reason)
	}
}
