package batch

import (
	"context"
	"sync/atomic"
	"time"

	"sluice.io/sluice/internal/infer"
)

// The states of an item, in order. Who wants to leave while gathering is marked
// with the reason, and leaves when the inputs were copied.
const (
	queued uint32 = iota + 1
	gathering
	gatheringExpired
	gatheringCanceled
	running
	done

	stateBits = 7 // of the word that holds a state and, above it, the use
)

// item is one request on its way, or a piece of one that was split.
type item struct {
	batcher *Batcher
	state   atomic.Uint32 // of this use: the two in one word
	ended   chan struct{} // of 1; through it comes the one ending
	alarm   alarm         // of the deadline

	// Set by the owner before push, read-only until the end.
	use      uint32 // tells the requests apart that one item serves after each other
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
	startBy time.Duration // when it no longer waits on purpose
	index   int           // in the bucket's heap

	worker *worker // who runs it; set while gathering begins

	// The result, set by whoever brought the state to done.
	resp *infer.Response
	err  error
	left bool // the waiter left: a worker may still know the item
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

// begin takes the item into use for a request with that deadline. Until it is
// queued, nobody can end it.
func (it *item) begin(due time.Duration) {
	it.use += stateBits + 1
	it.due = due
	it.alarm.due.Store(int64(due))
	it.state.Store(it.use | done)
}

// move brings the item from one state to the next; false if it was elsewhere.
func (it *item) move(from, to uint32) bool {
	return it.state.CompareAndSwap(it.use|from, it.use|to)
}

func (it *item) isDone() bool { return it.state.Load()&stateBits == done }

// fail ends the item with an error. Only who brought the state to done may end
// it, and may not touch it afterwards.
func (it *item) fail(err error) {
	it.err = err
	it.end()
}

// failRun ends the item with the error of a run that took compute, if it is still there.
func (it *item) failRun(compute time.Duration, err error) {
	if it.move(running, done) {
		it.req.Timing.Compute = compute
		it.fail(err)
	}
}

// end tells the waiter that the result is set.
func (it *item) end() { it.ended <- struct{}{} }

// arm lets the deadline and ctx end the wait of an item that was just admitted.
// detach, nil if ctx never ends, takes that back.
func (it *item) arm(ctx context.Context) (detach func() bool) {
	it.alarm.set(it)
	if ctx.Done() == nil {
		return nil
	}
	use := it.use
	return context.AfterFunc(ctx, func() {
		mark := gatheringCanceled
		if infer.CodeOf(ctx.Err()) == infer.Deadline {
			mark = gatheringExpired
		}
		it.leave(use, mark)
	})
}

// wait returns the ending.
func (it *item) wait(detach func() bool) {
	<-it.ended
	if detach != nil {
		detach()
	}
}

func (it *item) cancel() { it.leave(it.use, gatheringCanceled) }

// leave ends a use of the item before its time; mark is how a later end would
// know why. Where that use is over it does nothing.
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
