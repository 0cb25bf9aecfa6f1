package batch

import (
	"context"
	"sync/atomic"
	"time"

	"sluice.io/sluice/internal/infer"
)

// The states of an item, in order. A waiter that leaves while gathering is marked with the
// reason, and leaves when the inputs are copied.
const (
	queued uint32 = iota + 1
	gathering
	gatheringExpired
	gatheringCanceled
	running
	done

	stateBits = 7 // of the word that holds a state and, above it, the use
)

// item is one request in progress, or a piece of one that was split.
type item struct {
	batcher *Batcher
	state   atomic.Uint32 // of this use: state and use in one word
	ended   chan struct{} // of 1; receives the one end
	alarm   alarm         // of the deadline

	// Set by the owner before push, read-only until the end.
	use      uint32 // tells apart the requests that one item serves in turn
	req      *infer.Request
	rows     int
	requests int // 1; 0 in all pieces of a split request but the last
	bytes    int64
	priority int
	due      time.Duration // the deadline; all times count from the batcher's start
	since    time.Duration // when it was admitted
	solo     bool          // must run alone
	key      []byte        // names its bucket

	// Guarded by Batcher.mu until taken.
	bucket  *bucket
	seq     uint64
	startBy time.Duration // when its deliberate wait ends
	index   int           // in the bucket's heap

	worker *worker // the worker that runs it; set when gathering begins

	// The result, set by the goroutine that brought the state to done.
	resp *infer.Response
	err  error
	left bool // the waiter left: a worker may still refer to the item
}

// before orders by priority, deadline and arrival.
func (it *item) before(other *item) bool {
	switch {
	case it.priority != other.priority:
		return it.priority < other.priority
	case it.due != other.due:
		return it.due < other.due
	default:
		return it.seq < other.seq
	}
}

func (it *item) place() *int { return &it.index }

// begin starts a use of the item for a request with that deadline. Until it is queued, it
// cannot end.
func (it *item) begin(due time.Duration) {
	it.use += stateBits + 1
	it.due = due
	it.alarm.begin(due, it.req.Presence)
	it.state.Store(it.use | done)
}

// move brings the item from one state to the next; false if it was in another.
func (it *item) move(from, to uint32) bool {
	return it.state.CompareAndSwap(it.use|from, it.use|to)
}

func (it *item) isDone() bool { return it.state.Load()&stateBits == done }

// fail ends the item with an error. Only the goroutine that brought the state to done may end
// it, and may not touch it afterwards.
func (it *item) fail(err error) {
	it.err = err
	it.end()
}

// failRun ends the item with the error of a run that took compute, unless it has ended.
func (it *item) failRun(compute time.Duration, err error) {
	if it.move(running, done) {
		it.req.Timing.Compute = compute
		it.fail(err)
	}
}

// end tells the waiter that the result is set.
func (it *item) end() { it.ended <- struct{}{} }

// arm lets the deadline and ctx end the wait of an item that was just admitted. detach undoes
// it for ctx; it is nil if ctx never ends.
func (it *item) arm(ctx context.Context) (detach func() bool) {
	it.alarm.set(it)
	if ctx.Done() == nil {
		return nil
	}
	use := it.use
	leave := func() {
		mark := gatheringCanceled
		if infer.CodeOf(ctx.Err()) == infer.Deadline {
			mark = gatheringExpired
		}
		it.leave(use, mark)
	}
	if own, ok := ctx.(leaver); ok {
		return own.AfterLeave(leave)
	}
	return context.AfterFunc(ctx, leave)
}

// leaver is a context that knows when its caller leaves. context.AfterFunc, which does the same for every context, takes six allocations.
type leaver interface {
	// AfterLeave calls f in a goroutine of its own once the caller has left. The context's deadline does not count: the
	// item's alarm has it. stop undoes that; it is false if f was called.
	AfterLeave(f func()) (stop func() bool)
}

// wait returns when the item has ended.
func (it *item) wait(detach func() bool) {
	<-it.ended
	if detach != nil {
		detach()
	}
}

func (it *item) cancel() { it.leave(it.use, gatheringCanceled) }

// leave ends a use of the item early; mark records the reason for a later end. It does nothing
// if that use is over.
func (it *item) leave(use, mark uint32) {
	for {
		state := it.state.Load()
		if state&^stateBits != use {
			return
		}
		switch state & stateBits {
		case queued:
			if it.batcher.withdraw(it, use) {
				it.left = true
				it.fail(it.leaveError(mark, "while the request waited"))
				return
			}
		case gathering:
			if it.state.CompareAndSwap(use|gathering, use|mark) {
				return
			}
		case running:
			if it.state.CompareAndSwap(use|running, use|done) {
				worker := it.worker
				err := it.leaveError(mark, "while the request ran")
				err.Err = infer.ErrStarted
				it.left = true
				it.fail(err)
				worker.memberLeft()
				return
			}
		default:
			return
		}
	}
}

// startRunning ends the gathering; false if the waiter left meanwhile.
func (it *item) startRunning() bool {
	if it.move(gathering, running) {
		return true
	}
	mark := it.state.Swap(it.use|done) & stateBits
	it.left = true
	it.fail(it.leaveError(mark, "before the request ran"))
	return false
}

func (it *item) leaveError(mark uint32, when string) *infer.Error {
	if mark == gatheringExpired {
		return infer.Errorf(infer.Deadline, "deadline exceeded %s", when)
	}
	return infer.Errorf(infer.Canceled, "request canceled %s", when)
}
