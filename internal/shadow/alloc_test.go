//go:build !race

package shadow_test

import (
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/shadow"
)

type lastDrop struct{ reason string }

func (l *lastDrop) Dropped(reason string) { l.reason = reason }
func (l *lastDrop) Answered(*shadow.Pair) {}

func TestADropAllocatesNothing(t *testing.T) {
	f := func(want string, change func(o *shadow.Options), prepare func(m *shadow.Mirror, tap *shadow.Tap)) {
		t.Helper()
		o := options()
		o.PauseAbove = time.Second
		if change != nil {
			change(&o)
		}
		m, got := newMirror(t, o), &lastDrop{}
		tap, req, resp := m.Tap(got, shadow.Use{}), request("r", 100), respond(3, 8)
		if prepare != nil {
			prepare(m, tap)
		}
		if want == api.DropPrimaryBusy {
			req.Timing.Queue = time.Hour
		}
		if n := testing.AllocsPerRun(200, func() { tap.Offer(req, resp) }); n != 0 || got.reason != want {
			t.Errorf("%v allocations for %q, want 0 for %q", n, got.reason, want)
		}
	}
	f(api.DropQueueBytes, func(o *shadow.Options) { o.MaxBytes = 10 }, nil)
	f(api.DropQueueFull, func(o *shadow.Options) { o.MaxRequests = 1 },
		func(_ *shadow.Mirror, tap *shadow.Tap) { tap.Offer(request("r", 1), nil) })
	f(api.DropPrimaryBusy, nil, nil)
	f(api.DropStopped, nil, func(m *shadow.Mirror, _ *shadow.Tap) {
		go func() { _ = m.Run(t.Context()) }() // Shutdown waits for it
		if err := m.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A copy has a cost, at most this: itself, the request's id, the two lists of tensors, and data
// and shape of each of the three tensors.
func TestACopyAllocatesLittle(t *testing.T) {
	const runs = 500
	o := options()
	o.MaxRequests = runs + 1
	m := newMirror(t, o)
	tap, req, resp := m.Tap(&lastDrop{}, shadow.Use{}), request("r", 100), respond(3, 8)
	if n := testing.AllocsPerRun(runs, func() { tap.Offer(req, resp) }); n > 10 {
		t.Errorf("%v allocations, want at most 10", n)
	}
}
