package batch

import (
	"sync"
	"sync/atomic"
	"time"

	"sluice.io/sluice/internal/infer"
)

// askEvery is how often a caller is asked whether it is still there.
const askEvery = 100 * time.Millisecond

// alarm ends the wait of an item when its deadline passes, or its caller has gone. An item serves one request after
// another, and few deadlines pass. To set and stop a timer for each request took 0.2 µs of 10.
// So the timer is changed only if it would fire too late. It may then fire for a request that
// ended long ago, and is set again for the current one.
type alarm struct {
	due      atomic.Int64                   // the deadline of the current use
	presence atomic.Pointer[infer.Presence] // of its caller
	armed    atomic.Int64                   // when the timer fires; 0 is never

	mu    sync.Mutex // held while the timer is set
	timer *time.Timer
}

// begin begins a use, whose state is set later.
func (a *alarm) begin(due time.Duration, presence *infer.Presence) {
	a.due.Store(int64(due))
	if a.presence.Load() != presence {
		a.presence.Store(presence)
	}
}

// set makes sure that the timer fires no later than the item's deadline, and soon enough to ask its caller. The
// item's use must have begun.
func (a *alarm) set(it *item) {
	at := next(it.since, it.due, it.req.Presence)
	if armed := a.armed.Load(); armed == 0 || armed > int64(at) {
		a.mu.Lock()
		a.reset(it, at)
		a.mu.Unlock()
	}
}

// next returns when the timer must fire at the latest.
func next(now, due time.Duration, presence *infer.Presence) time.Duration {
	if presence == nil {
		return due
	}
	return min(due, now+askEvery)
}

// reset sets the timer. mu is held.
func (a *alarm) reset(it *item, at time.Duration) {
	a.armed.Store(int64(at))
	left := at - it.batcher.now()
	if a.timer == nil {
		a.timer = time.AfterFunc(left, func() { a.ring(it) })
	} else {
		a.timer.Reset(left)
	}
}

// stop is for an item that serves no further request: a timer would keep the item in memory
// until it fires.
func (a *alarm) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != nil {
		a.timer.Stop()
	}
}

// ring ends the current use if its deadline has passed, or its caller has gone. A use that begins after armed was set
// to 0 sets the timer itself; one that began before is seen here.
func (a *alarm) ring(it *item) {
	a.mu.Lock()
	a.armed.Store(0)
	state := it.state.Load() // first: what is read of a later use does not end this one
	due, presence, now := time.Duration(a.due.Load()), a.presence.Load(), it.batcher.now()
	late, waits := due <= now, state&stateBits != done
	if !late && waits {
		a.reset(it, next(now, due, presence))
	}
	a.mu.Unlock()
	switch {
	case late:
		it.leave(state&^stateBits, gatheringExpired)
	case waits && presence != nil && presence.Gone():
		it.leave(state&^stateBits, gatheringCanceled)
	}
}
