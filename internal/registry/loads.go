package registry

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

const (
	// smallBytes is the size below which a version is small and uses the lane of small ones.
	smallBytes = 10 << 20
	// smallTime is how long a small version occupies its lane. After that it continues
	// outside of the lane, so that a warm-up that never ends does not block other versions.
	smallTime = 250 * time.Millisecond
	// maxOvertaken is the max number of small versions that continue outside of their lane.
	maxOvertaken = 32
)

var errGivenUp = infer.Errorf(infer.Unavailable, "the load was canceled")

// load is one attempt to make a version ready. Its outcome is set before done is closed, and
// does not change after that.
type load struct {
	spec    *Spec
	ctx     context.Context //nolint:containedctx // cancel ends the attempt
	cancel  context.CancelFunc
	holders int // the number of plans that wait for it; only the registry's owner uses it

	lane     *lane // the lane that it occupies; loads.mu guards it
	returned bool  // nothing of it runs any more; loads.mu guards it

	once     sync.Once
	done     chan struct{}
	leased   *Leased // nil if err is set
	digest   string
	loadedAt time.Time
	err      error

	validation *api.Validation // of the version, as the load has ended; may be nil
}

// ended reports whether the outcome is known.
func (x *load) ended() bool {
	select {
	case <-x.done:
		return true
	default:
		return false
	}
}

// end sets the outcome. It returns false if there was one.
func (x *load) end(s Servable, digest string, err error) (first bool) {
	x.once.Do(func() {
		first = true
		if x.digest, x.err, x.loadedAt = digest, err, time.Now(); err == nil {
			x.leased = newLeased(s, digest)
			if d := s.Detail(); d != nil {
				x.validation = d.Validation
			}
		}
		close(x.done)
	})
	return first
}

// lane limits the number of loads that run at the same time.
type lane struct{ width, busy int }

// loads runs attempts, the smallest version first, in two lanes: one for small versions
// only, so that they never wait for large ones, and one for all.
type loads struct {
	timeout time.Duration
	ended   func()           // called after each attempt; must not block
	late    func(s Servable) // gets the version of an attempt that had already timed out

	mu        sync.Mutex
	waiting   []*load // by size
	all       lane
	small     lane
	overtaken int
	stuck     []*load        // attempts that still run after the timeout
	running   sync.WaitGroup // counts the attempts that were started
}

// start queues an attempt. It fails the attempt if an earlier one of the same files still
// runs after the timeout, since each would block another thread that nothing can end.
func (l *loads) start(x *load) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.ContainsFunc(l.stuck, func(s *load) bool { return s.spec.key() == x.spec.key() }) {
		x.end(nil, "", infer.Errorf(infer.Unavailable, "an earlier load of these files exceeded repository.load_timeout (%v) and is still running", l.timeout))
		return
	}
	at, _ := slices.BinarySearchFunc(l.waiting, x.spec.Size+1, func(w *load, size int64) int { return cmp.Compare(w.spec.Size, size) })
	l.waiting = slices.Insert(l.waiting, at, x)
	l.dispatch()
}

// dispatch starts waiting attempts that have a free lane. l.mu must be held.
func (l *loads) dispatch() {
	l.waiting = slices.DeleteFunc(l.waiting, func(x *load) bool {
		if x.lane = l.laneOf(x); x.lane == nil {
			return false
		}
		x.lane.busy++
		l.running.Go(func() { l.run(x) }) // loads.wait waits for it
		return true
	})
}

func (l *loads) laneOf(x *load) *lane {
	if x.spec.Size < smallBytes && l.small.busy < l.small.width {
		return &l.small
	}
	if l.all.busy < l.all.width {
		return &l.all
	}
	return nil
}

// vacate frees an attempt's lane for others. l.mu must be held.
func (l *loads) vacate(x *load) {
	if x.lane != nil {
		x.lane.busy--
		x.lane = nil
		l.dispatch()
	}
}

// overtake frees the lane of a small version that takes long.
func (l *loads) overtake(x *load) (passed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if x.lane == nil || x.spec.Size >= smallBytes || l.overtaken >= maxOvertaken {
		return false
	}
	l.overtaken++
	l.vacate(x)
	return true
}

// run makes one attempt. After the timeout the attempt has failed and its lane is free, even
// if it is in a call that nothing can interrupt. If it returns a version after that, late
// closes it.
func (l *loads) run(x *load) {
	expire := time.AfterFunc(l.timeout, func() {
		x.cancel()
		l.expire(x)
		if x.end(nil, "", infer.Errorf(infer.Deadline, "the load took longer than repository.load_timeout (%v)", l.timeout)) {
			l.ended()
		}
	})
	passed := make(chan bool, 1)
	overtake := time.AfterFunc(smallTime, func() { passed <- l.overtake(x) })
	s, digest, err := x.spec.attempt(x.ctx)
	expire.Stop()
	if !overtake.Stop() && <-passed {
		l.mu.Lock()
		l.overtaken--
		l.mu.Unlock()
	}
	first := x.end(s, digest, err)
	l.leave(x)
	if first {
		l.ended()
	} else if err == nil {
		l.late(s)
	}
}

// expire frees the lane of an attempt that runs longer than the timeout, also if it was
// canceled.
func (l *loads) expire(x *load) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !x.returned {
		l.stuck = append(l.stuck, x)
		l.vacate(x)
	}
}

// leave frees the lane of an attempt that has returned.
func (l *loads) leave(x *load) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x.returned = true
	l.stuck = slices.DeleteFunc(l.stuck, func(s *load) bool { return s == x })
	l.vacate(x)
}

// attempt calls Load. It turns a panic into an error of the version.
func (s *Spec) attempt(ctx context.Context) (made Servable, digest string, err error) { //nolint:ireturn // as Load does
	defer func() {
		if v := recover(); v != nil {
			err = &infer.Error{Code: infer.Internal, Op: "registry: load", Msg: "the load failed; the log has the details", Err: fmt.Errorf("panic: %v\n%s", v, debug.Stack())}
		}
	}()
	if ctx.Err() != nil {
		return nil, "", errGivenUp
	}
	return s.Load(ctx)
}

// giveUp cancels an attempt that no plan waits for. If the attempt has ended, it returns its
// version. A running attempt occupies its lane until it returns.
func (l *loads) giveUp(x *load) *Leased {
	x.cancel()
	l.mu.Lock()
	if i := slices.Index(l.waiting, x); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
	l.mu.Unlock()
	if x.end(nil, "", errGivenUp) {
		return nil
	}
	return x.leased
}

// wait waits until no attempt runs any more. It returns false if ctx ends first.
func (l *loads) wait(ctx context.Context) bool {
	done := make(chan struct{})
	go func() { // ends with the last attempt, which nothing can interrupt
		l.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}
