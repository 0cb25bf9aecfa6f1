package batch

import (
	"errors"
	"math/bits"
	"slices"
	"time"
)

// run runs members, all in the state gathering since start, until each has ended. If several
// fail together, the values of one may be the cause. Bisection finds it: each half is run
// again, and a half that fails is halved again. One bad request among n costs at most 2·log2 n
// further runs, and the others get their answers. If there are many bad requests, halves that
// fail cost more than they save: after 2·log2 n further runs of several members the rest run
// one by one, in at most n more runs.
//
// A panic is a bug and is not caused by values, so nothing is run again.
func (w *worker) run(members []*item, start time.Duration) {
	compute, err := w.try(members, start)
	switch {
	case err == nil:
	case len(members) == 1 || errors.Is(err, errPanicked) || w.batcher.stopped.Load():
		w.fail(members, compute, err)
	default:
		w.again(members, (len(members)+1)/2)
	}
}

// again runs the members of a failed run that have not left, in parts of size members.
func (w *worker) again(members []*item, size int) {
	for part := range slices.Chunk(members, size) {
		if len(part) > 1 {
			if w.joint <= 0 {
				w.again(part, 1)
				continue
			}
			w.joint--
		}
		part = slices.DeleteFunc(part, func(it *item) bool { return !it.move(running, gathering) })
		if len(part) > 0 {
			w.run(part, w.batcher.now())
		}
	}
}

// levels is the logarithm of n to the base 2, rounded up.
func levels(n int) int { return bits.Len(uint(max(0, n-1))) } //nolint:gosec // not negative
