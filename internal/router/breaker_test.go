package router_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/router"
)

// half is a route whose stable version has the lower half of the slots. Its canary, which has a
// breaker, has the upper half. There is no fallback.
func half(o router.BreakerOptions) (r *router.Router, canary *version) {
	stable := load(1)
	canary = load(2, o)
	return serving(iris(split(stable.variant(5000), canary.variant(5000)), stable, canary)), canary
}

// toCanary is a request for half's canary.
func toCanary() *infer.Request { return keyed(5000, api.TotalWeight) }

var (
	errBroken  = infer.Errorf(infer.Internal, "broken")
	errStarted = &infer.Error{Code: infer.Deadline, Msg: "deadline exceeded", Err: infer.ErrStarted}
)

func TestWhatOpensABreaker(t *testing.T) {
	f := func(opens bool, err error, timeout time.Duration) {
		t.Helper()
		r, canary := half(options())
		canary.err = err
		for range 100 {
			req := toCanary()
			req.Timeout = timeout
			_, _ = r.Predict(t.Context(), req)
		}
		if state := canary.target.Breaker.State(); opens != (state == "open") {
			t.Errorf("after many of %v with a timeout of %v: %s, want open %v", err, timeout, state, opens)
		}
	}
	for code := infer.OK + 1; code < infer.NumCodes; code++ {
		f(code == infer.Internal, infer.Errorf(code, "no"), 0)
	}
	f(false, nil, 0)
	f(true, errors.New("of an unknown kind"), 0)
	f(true, fmt.Errorf("wrapped: %w", errBroken), 0)
	f(true, errBroken, time.Second)
	f(false, &infer.Error{Code: infer.Internal, Msg: "no", Err: fmt.Errorf("%w: %w", infer.ErrVersionWell, errBroken)}, 0)
	f(false, infer.Refused("iris", "index", errors.New("index")), 0)
	f(false, infer.Refused("iris", "index", fmt.Errorf("%w: %w", infer.ErrVersionWell, errBroken)), 0)
	f(false, context.Canceled, 0)
	f(false, context.DeadlineExceeded, 0)
	f(true, errStarted, 0)
	f(true, errStarted, 30*time.Second)
	f(true, errStarted, time.Hour) // it only shortens
	f(false, errStarted, 30*time.Second-1)
}

func TestCallersDeadlineOpensNoBreaker(t *testing.T) {
	r, canary := half(options())
	canary.err = errStarted
	f := func(left time.Duration, want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), left)
		defer cancel()
		for range 100 {
			_, _ = r.Predict(ctx, toCanary())
		}
		if state := canary.target.Breaker.State(); state != want {
			t.Errorf("a context that ends in %v: %s, want %s", left, state, want)
		}
	}
	f(20*time.Second, "closed")
	f(time.Hour, "open")
}

func TestConsecutiveFailuresOpenABreaker(t *testing.T) {
	o := options()
	o.MinRequests = 1000
	r, canary := half(o)
	send := func(err error, n int) {
		canary.err = err
		for range n {
			_, _ = r.Predict(t.Context(), toCanary())
		}
	}
	f := func(want string) {
		t.Helper()
		if state := canary.target.Breaker.State(); state != want {
			t.Errorf("%s, want %s", state, want)
		}
	}
	send(errBroken, 4)
	send(nil, 1)
	send(errBroken, 4)
	send(infer.Errorf(infer.Invalid, "no"), 20) // these do not count, so the row goes on
	f("closed")
	send(errBroken, 1)
	f("open")
	calls := canary.calls
	send(nil, 10)
	if canary.calls != calls {
		t.Errorf("an open breaker let %d through", canary.calls-calls)
	}
}

func TestRatioOfFailuresOpensABreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, canary := half(options())
		send := func(err error) {
			canary.err = err
			_, _ = r.Predict(t.Context(), toCanary())
		}
		f := func(when, want string) {
			t.Helper()
			if state := canary.target.Breaker.State(); state != want {
				t.Errorf("%s: %s, want %s", when, state, want)
			}
		}
		for range 50 {
			send(infer.Errorf(infer.Overloaded, "full"))
		}
		for range 9 {
			send(nil)
			send(errBroken)
		}
		f("18 judged, and 50 that do not count", "closed")
		time.Sleep(11 * time.Second)
		send(nil)
		send(errBroken)
		f("the others are older than the window", "closed")
		for range 9 {
			send(nil)
			send(errBroken)
		}
		f("10 of 20 failed", "open")
	})
	r, canary := half(options())
	for i := range 1000 {
		canary.err = nil
		if i%5 < 2 {
			canary.err = errBroken
		}
		_, _ = r.Predict(t.Context(), toCanary())
	}
	if state := canary.target.Breaker.State(); state != "closed" {
		t.Errorf("2 of 5 failed: %s", state)
	}
}

func TestHalfOpenLetsProbesThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []string
		o := options()
		o.Changed = func(c router.BreakerChange) { changes = append(changes, c.To) }
		r, canary := half(o)
		canary.target.Observe = nil // the probes may come without a pause
		gate := make(chan error)
		probing := &gated{gate: gate}
		stable := load(1)
		variant := canary.variant(5000)
		variant.Observe = nil
		canary.open(t)
		canary.target.Leased = probing
		r.Swap(router.NewTable([]*router.Entry{iris(split(stable.variant(5000), variant), stable, canary)}))

		send := func() error { _, err := r.Predict(t.Context(), toCanary()); return err }
		refused := func(when string) {
			t.Helper()
			if err := send(); infer.CodeOf(err) != infer.Unavailable {
				t.Errorf("%s: got %v, want unavailable", when, err)
			}
		}
		probes := func(n int) {
			for range n {
				go send() //nolint:errcheck // the gate ends it; the bubble waits for it
			}
			synctest.Wait()
		}
		end := func(n int, err error) {
			for range n {
				gate <- err
			}
			synctest.Wait()
		}
		// It stays open for the same time each time, however often it opens.
		for range 4 {
			time.Sleep(5 * time.Second)
			refused("5s after it opened")
			time.Sleep(time.Nanosecond)
			probes(1)
			end(1, errBroken)
		}
		time.Sleep(5*time.Second + 1)
		probes(5)
		for range 100 {
			refused("with 5 probes in progress")
		}
		end(5, infer.Errorf(infer.Overloaded, "full")) // these do not count, and make room again
		probes(4)
		onTheWay := func(n int) {
			t.Helper()
			if got := probing.running(); got != n {
				t.Errorf("%d probes in progress, want %d", got, n)
			}
		}
		onTheWay(4)
		probes(3)
		onTheWay(5)
		end(4, nil)
		if state := canary.target.Breaker.State(); state != "half-open" {
			t.Errorf("%s after 4 of 5 probes", state)
		}
		end(1, nil)
		if state := canary.target.Breaker.State(); state != "closed" {
			t.Errorf("%s after 5 good probes", state)
		}
		want := []string{"open"}
		for range 4 {
			want = append(want, "half-open", "open")
		}
		if diff := cmp.Diff(append(want, "half-open", "closed"), changes); diff != "" {
			t.Errorf("changes (- wanted):\n%s", diff)
		}
	})
}

// gated answers a request when its gate lets it.
type gated struct {
	gate <-chan error
	mu   sync.Mutex
	now  int
}

func (g *gated) Predict(context.Context, *infer.Request) (*infer.Response, error) {
	g.add(1)
	defer g.add(-1)
	return nil, <-g.gate
}

func (g *gated) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now += n
}

func (g *gated) running() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}
func (g *gated) Acquire() bool { return true }
func (g *gated) Release()      {}

func TestInvalidProbeTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, canary := half(options())
		canary.open(t)
		time.Sleep(5*time.Second + 1)
		for range 20 {
			req := toCanary()
			req.Inputs[0].DType = infer.FP64
			if _, err := r.Predict(t.Context(), req); infer.CodeOf(err) != infer.Invalid || req.Served != by(2, infer.ReasonSticky) {
				t.Fatal(err, req.Served)
			}
		}
		for range 5 {
			if _, err := r.Predict(t.Context(), toCanary()); err != nil {
				t.Fatal(err)
			}
		}
		if state := canary.target.Breaker.State(); state != "closed" {
			t.Errorf("%s after 5 good probes", state)
		}
	})
}

func TestPanicsOpenABreaker(t *testing.T) {
	r, canary := half(options())
	canary.onCall = func() { panic("model") }
	for i := range 5 {
		if state := canary.target.Breaker.State(); state != "closed" {
			t.Fatalf("%s after %d panics", state, i)
		}
		if !panics(t.Context(), r, toCanary()) {
			t.Fatal("the panic was swallowed")
		}
	}
	if state := canary.target.Breaker.State(); state != "open" || canary.leases != 0 {
		t.Errorf("%s after 5 panics, %d leases left", state, canary.leases)
	}
}
