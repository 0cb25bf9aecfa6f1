package batch

import (
	"runtime"
	"time"
)

// longestLead is the longest expected run that a caller leads. The caller cannot return while
// it does.
const longestLead = time.Millisecond

// mayLead reports whether a caller may lead a run of that many rows of the bucket.
func (b *Batcher) mayLead(of *bucket, rows int) bool {
	took := of.times.atMost(rows)
	return b.opts.Steady && took > 0 && took <= longestLead && !b.opts.Background
}

// lead does one run in place of an idle worker, on the goroutine of the caller. So the caller
// need not sleep, wake the worker's goroutine and be woken itself. The worker takes the
// requests that arrive meanwhile.
//
// lead first yields to callers that are about to submit, so that the run is fuller. Their
// requests may make it a long run, or be more urgent and long themselves. Then the worker runs
// it, since the caller could not leave.
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
	if len(w.failed) > 0 { // a check of the version may take long: the worker does it
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

// rest makes the worker idle again, or wakes it if there is work. It unlocks the batcher.
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
