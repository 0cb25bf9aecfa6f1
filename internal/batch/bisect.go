package batch

import (
	"errors"
	"math/bits"
	"slices"
	"time"
)

// run takes members, all gathering since start, to their ends. If several fail together,
// the values of one may be the cause. It is found by bisection: each half is run again,
// and what fails is halved again, so that one request among n costs at most 2·log2 n
// further runs and the others get their answers. Each member that fails alone costs as
// much, so if there are many, halves that fail cost more than they save: after 2·log2 n
// further runs of several members the rest run one by one, which are at most n more.
//
// A panic is a bug of ours and no answer to values, so nothing is run again.
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

// again runs those of the members of a failed run that are still there, in parts of size.
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

// levels is how often n can be halved, rounded up: the logarithm of base 2.
func levels(n int) int { return bits.Len(uint(max(0, n-1))) } //nolint:gosec // not negative
