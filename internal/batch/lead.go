package batch

import (
	"runtime"
	"time"
)

// longestLead is the longest run, as far as one knows, that a caller leads. It
// cannot leave while it does.
const longestLead = time.Millisecond

// mayLead reports whether a caller may lead a run of so many rows of the bucket's.
func (b *Batcher) mayLead(of *bucket, rows int) bool {
	took := of.times.atMost(rows)
	return b.opts.Steady && took > 0 && took <= longestLead && !b.opts.Background
}

// lead does one run in the place of a worker that was taken off the idle ones, on
// the goroutine of the caller: it need not go to sleep and wake the worker's own
// first, nor be woken itself. What comes meanwhile is the worker's again.
//
// Callers who are about to submit are let go first, so that the run is fuller. Their
// requests may make it a long one, or be more urgent and long themselves: then it is
// the worker's, since the caller could not leave it.
func (w *worker) lead() {
	runtime.Gosched()
	b := w.batcher
	b.mu.Lock()
	if again, ok := b.take(w); !ok {
		w.rest(again)
		return
	}
	other := b.takeIdle()
	long := len(w.members) > 0 && !b.mayLead(w.members[0].bucket, rowsOf(w.members))
	w.handed = long
	b.mu.Unlock()
	other.rouse()
	if long {
		w.rouse()
		return
	}
	w.process()
	if len(w.failed) > 0 { // a check of the version may be long: it is the worker's own
		w.handed = true
		w.rouse()
		return
	}
	b.mu.Lock()
	b.finish(w)
	w.rest(never)
}

func rowsOf(members []*item) (rows int) {
	for _, it := range members {
		rows += it.rows
	}
	return rows
}

// rest makes the worker idle again, or wakes it where there is work. It unlocks
// the batcher.
func (w *worker) rest(again time.Duration) {
	b := w.batcher
	work := b.closing || again == never && len(b.queue.active) > 0
	if !work {
		b.wakeAt(again)
		b.idle = append(b.idle, w)
	}
	b.mu.Unlock()
	if work {
		w.rouse()
	}
}
