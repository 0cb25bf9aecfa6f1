package batch

import (
	"math"
	"time"

	"sluice.io/sluice/internal/infer"
)

// The most shapes, and requests of each, that an arrival looks at. Those beyond are counted as
// no work.
const (
	mostShapes  = 16
	mostScanned = 128
)

// rank orders items by priority and deadline.
type rank struct {
	priority int
	due      time.Duration
}

func (it *item) rank() rank { return rank{it.priority, it.due} }

func (r rank) before(other rank) bool {
	if r.priority != other.priority {
		return r.priority < other.priority
	}
	return r.due < other.due
}

// hopeless reports whether an item that arrives now would be too late, so that its caller can
// be told immediately. It is certain if the items before it stay and are served:
//
//	wait = work/instances - longest/instances·(instances-1) - longest/instances
//	too late if wait + its own run > time left
//
// where work is the least that the requests before it can cost, in runs that are all full, and
// longest is the longest run that may be among them. The first term supposes that all instances
// are busy with nothing else from now on. But when the item's run begins, those of the other
// instances need not have ended: that is the second term. Part of the work may be in the item's
// own run: that is the third term, which is left out if requests run alone. So the estimate is
// low by one such run, and by the current runs, which are not counted. Shapes without an
// estimate count as no work. The worker that takes an item checks again, with later estimates.
func (q *queue) hopeless(it *item, now time.Duration, instances int) bool {
	left := it.due - now
	c := &it.bucket.times
	own := c.at(it.rows)
	if left < own {
		c.refused()
		return true
	}
	// Nearly all items come after all others or find little work, so nothing is scanned.
	return q.requests > 0 && left < own+q.wait(it, true, instances) && left < own+q.wait(it, false, instances)
}

// wait is the least time until the run of a new item begins. With all, every waiting item
// counts as coming before it.
func (q *queue) wait(it *item, all bool, instances int) time.Duration {
	work, longest := 0., 0.
	for _, b := range q.active[:min(len(q.active), mostShapes)] {
		rows, items := b.rows, len(b.items)
		if first := it.rider(b); !all && first.rank().before(b.last) {
			rows, items = b.ahead(first)
		}
		c := &b.times
		if b.solo {
			work += c.work(rows, float64(items))
			longest = max(longest, c.line(float64(c.hi)))
		} else {
			work += c.work(rows, float64(rows)/float64(q.maxSize))
			longest = max(longest, c.line(float64(min(rows, q.longest(b)))))
		}
	}
	if it.solo {
		work += longest
	}
	return time.Duration(max(0, work/float64(instances)-longest))
}

// rider returns the item that an item of b must precede to run before the new one: the new
// item, or the first of its shape, since the new one may join its run.
func (it *item) rider(b *bucket) *item {
	if own := it.bucket; own != b && !own.solo && len(own.items) > 0 {
		return own.items.top()
	}
	return it
}

// work is the estimated time of that many runs with that many rows in total.
func (c *cost) work(rows int, runs float64) float64 {
	return c.trust * (c.a*runs + c.b*float64(rows))
}

// ahead counts the rows and items that come before an item.
func (b *bucket) ahead(it *item) (rows, items int) {
	for _, other := range b.items[:min(len(b.items), mostScanned)] {
		if other.before(it) {
			rows += other.rows
			items++
		}
	}
	return rows, items
}

// drainTime estimates how long the instances are busy with the waiting requests.
func (q *queue) drainTime(instances int) time.Duration {
	work := 0.
	for _, b := range q.active[:min(len(q.active), mostShapes)] {
		runs := float64(len(b.items))
		if !b.solo && !b.times.alone {
			most := q.most(b)
			runs = float64((b.rows + most - 1) / most)
		}
		work += b.times.work(b.rows, runs)
	}
	return time.Duration(math.Round(work / float64(instances)))
}

// overloaded is the error of a request that finds the queue full.
func (b *Batcher) overloaded() error {
	err := infer.Errorf(infer.Overloaded, "the queue of model '%s' is full, try again later", b.model.Name)
	err.RetryAfter = b.queue.drainTime(len(b.workers))
	return err
}

// tooLate is the error of a request that would not end in time.
func tooLate() error {
	return infer.Errorf(infer.Deadline, "deadline exceeded: the time left is shorter than the wait and the run would take")
}
