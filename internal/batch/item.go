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
	queued uint32 = iota
	gathering
	gatheringExpired
	gatheringCanceled
	running
	done
)

// item is one request on its way, or a piece of one that was split.
type item struct {
	batcher *Batcher
	state   atomic.Uint32
	ended   chan struct{} // of 1; through it comes the one ending
	timer   *time.Timer   // of the deadline; nil in a new item

	// Set by the owner before push, read-only until the end.
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

// move brings the item from one state to the next; false where it was elsewhere.
func (it *item) move(from, to uint32) bool { return it.state.CompareAndSwap(from, to) }

// fail ends the item with an error. Only who brought the state to done may end
// it, and may not touch it afterwards.
func (it *item) fail(err error) {
	it.err = err
	it.end()
}

// end tells the waiter that the result is set.
func (it *item) end() { it.ended <- struct{}{} }

// arm lets the deadline and ctx end the wait of an item that was just admitted.
// detach, nil where ctx never ends, reports whether ctx had not.
func (it *item) arm(ctx context.Context) (detach func() bool) {
	left := it.due - it.since
	if it.timer == nil {
		it.timer = time.AfterFunc(left, it.expire)
	} else {
		it.timer.Reset(left)
	}
	if ctx.Done() == nil {
		return nil
	}
	return context.AfterFunc(ctx, func() {
		if infer.CodeOf(ctx.Err()) == infer.Deadline {
			it.expire()
		} else {
			it.cancel()
		}
	})
}

// wait returns the ending, and whether nothing but the worker knows of the item
// any more.
func (it *item) wait(detach func() bool) (quiet bool) {
	<-it.ended
	quiet = it.timer.Stop()
	if detach != nil && !detach() {
		quiet = false
	}
	return quiet
}

func (it *item) expire() { it.leave(gatheringExpired) }
func (it *item) cancel() { it.leave(gatheringCanceled) }

// leave ends the item before its time; mark is how a later end would know why.
func (it *item) leave(mark uint32) {
	for {
		switch it.state.Load() {
		case queued:
			if it.batcher.withdraw(it) {
				it.fail(it.leaveError(mark, "while the request waited"))
				return
			}
		case gathering:
			if it.move(gathering, mark) {
				return
			}
		case running:
			if it.move(running, done) {
				worker := it.worker
				err := it.leaveError(mark, "while the request ran")
				err.Err = infer.ErrStarted
				it.fail(err)
				worker.memberLeft()
				return
			}
		default:
			return
		}
	}
}

// startRunning ends the gathering; false where the waiter left meanwhile.
func (it *item) startRunning() bool {
	if it.move(gathering, running) {
		return true
	}
	mark := it.state.Swap(done)
	it.fail(it.leaveError(mark, "before the request ran"))
	return false
}

func (it *item) leaveError(mark uint32, when string) *infer.Error {
	if mark == gatheringExpired {
		return infer.Errorf(infer.Deadline, "deadline exceeded %s", when)
	}
	return infer.Errorf(infer.Canceled, "request canceled %s", when)
}
