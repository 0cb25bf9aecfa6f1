package batch

import (
	"runtime"
	"time"
)

// longestLead is the longest run, as far as one knows, that a caller leads. It
// cannot leave while it does.
const longestLead = time.Millisecond

// mayLead reports whether the caller who submitted an item may lead its run.
func (b *Batcher) mayLead(it *item) bool {
	took := it.bucket.times.at(it.rows)
	return b.opts.Steady && took > 0 && took <= longestLead && !b.opts.Background
}

// lead does one run in the place of a worker that was taken off the idle ones, on
// the goroutine of the caller: it need not go to sleep and wake the worker's own
// first, nor be woken itself. What comes meanwhile is the worker's again.
//
// Callers who are about to submit are let go first, so that the run is fuller.
func (w *worker) lead() {
	runtime.Gosched()
	b := w.batcher
	b.mu.Lock()
	if again, ok := b.take(w); !ok {
		w.rest(again)
		return
	}
	other := b.takeIdle()
	b.mu.Unlock()
	other.rouse()
	w.process()
	b.mu.Lock()
	b.finish(w)
	w.rest(never)
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
