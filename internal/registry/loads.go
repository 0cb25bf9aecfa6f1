package registry

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"sluice.io/sluice/internal/infer"
)

const (
	// smallBytes is the size of a version's files below which it has a lane of its own.
	smallBytes = 10 << 20
	// smallTime is how long a small version holds its lane. It goes on beside it then,
	// so that a small version whose warm-up never ends keeps no other one waiting.
	smallTime = 250 * time.Millisecond
	// maxOvertaken is how many small versions at most go on beside their lane.
	maxOvertaken = 32
)

var errGivenUp = infer.Errorf(infer.Unavailable, "the load was given up")

// load is one attempt to make a version ready. Its outcome is written before done is
// closed and not changed afterwards.
type load struct {
	spec    *Spec
	ctx     context.Context //nolint:containedctx // of the attempt, which cancel ends
	cancel  context.CancelFunc
	holders int // plans that want it; belongs to the registry's owner

	lane     *lane // that it is in; loads.mu guards it
	returned bool  // nothing of it runs any more; loads.mu guards it

	once     sync.Once
	done     chan struct{}
	leased   *Leased // nil if err is set
	digest   string
	loadedAt time.Time
	err      error
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

// end sets the outcome; it is false if there is one already.
func (x *load) end(s Servable, digest string, err error) (first bool) {
	x.once.Do(func() {
		first = true
		if x.digest, x.err, x.loadedAt = digest, err, time.Now(); err == nil {
			x.leased = newLeased(s, digest)
		}
		close(x.done)
	})
	return first
}

// lane bounds how many loads run at the same time.
type lane struct{ width, busy int }

// loads runs attempts, the smallest version first, in two lanes: one for small
// versions alone, so that they are never behind large ones, and one for all.
type loads struct {
	timeout time.Duration
	ended   func()           // told of each attempt that has ended; must not block
	late    func(s Servable) // gets what an attempt made that had ended before

	mu        sync.Mutex
	waiting   []*load // by size
	all       lane
	small     lane
	overtaken int
	stuck     []*load        // that run past the timeout
	running   sync.WaitGroup // one for each attempt that was started
}

// start queues an attempt. One of the same files as an attempt that still runs past the
// timeout has failed already: each would take another thread that nothing can end.
func (l *loads) start(x *load) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.ContainsFunc(l.stuck, func(s *load) bool { return s.spec.key() == x.spec.key() }) {
		x.end(nil, "", infer.Errorf(infer.Unavailable, "an earlier load of these files took longer than repository.load_timeout (%v) and has still not returned", l.timeout))
		return
	}
	at, _ := slices.BinarySearchFunc(l.waiting, x.spec.Size+1, func(w *load, size int64) int { return cmp.Compare(w.spec.Size, size) })
	l.waiting = slices.Insert(l.waiting, at, x)
	l.dispatch()
}

// dispatch starts what has a lane. l.mu is held.
func (l *loads) dispatch() {
	l.waiting = slices.DeleteFunc(l.waiting, func(x *load) bool {
		if x.lane = l.laneOf(x); x.lane == nil {
			return false
		}
		x.lane.busy++
		l.running.Go(func() { l.run(x) }) // wait waits for it
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

// vacate gives an attempt's lane to others. l.mu is held.
func (l *loads) vacate(x *load) {
	if x.lane != nil {
		x.lane.busy--
		x.lane = nil
		l.dispatch()
	}
}

// overtake lets others pass a small version that takes long.
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

// run makes one attempt. One that exceeds the timeout has failed, and its lane is
// free, though it may be in a call that nothing can interrupt; what it makes in the
// end is given back.
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

// expire frees the lane of an attempt that runs past the timeout, also if it was given up.
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

// attempt calls Load. A panic fails the version, not the process.
func (s *Spec) attempt(ctx context.Context) (made Servable, digest string, err error) { //nolint:ireturn // as Load has it
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

// giveUp ends an attempt that nobody wants any more, and returns what it has made
// if it has ended before. One that runs keeps its lane until it has noticed.
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

// wait waits until nothing runs any more; it is false if ctx ended first.
func (l *loads) wait(ctx context.Context) bool {
	done := make(chan struct{})
	go func() { // ends with the last attempt; nothing can end it sooner
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
