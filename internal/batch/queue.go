package batch

import (
	"math"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxBuckets is how many shapes are remembered, besides those with waiting requests.
const maxBuckets = 64

// never is a time that is never reached.
const never = time.Duration(math.MaxInt64)

// bucket holds the waiting items of one shape, and the estimate of its runs.
type bucket struct {
	solo    bool // each item runs alone
	items   heap[*item]
	rows    int
	startBy time.Duration // no later than the earliest startBy of its items
	last    rank          // no item has a later one
	widest  int           // no item has more rows
	times   cost
	index   int // in queue.active
}

func (b *bucket) before(other *bucket) bool { return b.items.top().before(other.items.top()) }
func (b *bucket) place() *int               { return &b.index }

// queue holds the waiting items. Batcher.mu guards it.
type queue struct {
	maxSize  int           // rows of a run
	maxDelay time.Duration // how long an item may wait for others
	timeout  time.Duration // the longest that an item may take

	buckets map[string]*bucket
	recent  *simplelru.LRU[*bucket, string] // the buckets' keys, by use; it has no limit of its own, see newBucket
	latest  *bucket                         // the one that was used last
	active  heap[*bucket]                   // those that are not empty
	lastSeq uint64
	drain   bool // there is no deliberate wait any more

	requests, rows int
	bytes          int64
}

func newQueue(maxSize int, maxDelay, timeout time.Duration) queue {
	recent, err := simplelru.NewLRU[*bucket, string](math.MaxInt, nil)
	if err != nil {
		panic("BUG: " + err.Error()) // only for a size below 1
	}
	return queue{maxSize: maxSize, maxDelay: maxDelay, timeout: timeout, buckets: map[string]*bucket{}, recent: recent}
}

// enter gives an item its bucket and its place in the order of arrival, for push.
func (q *queue) enter(it *item) {
	it.bucket = q.buckets[string(it.key)]
	if it.bucket == nil {
		it.bucket = q.newBucket(it)
	} else if it.bucket != q.latest { // nearly all have the shape of the item before
		q.recent.Get(it.bucket)
	}
	q.latest = it.bucket
	q.lastSeq++
	it.seq = q.lastSeq
}

// push adds an item and reports whether a run could start with the waiting items.
func (q *queue) push(it *item, now time.Duration) (ready bool) {
	b := it.bucket
	if q.maxDelay > 0 {
		// At most half of the time that the run leaves is spent waiting for others.
		spare := (it.due - now - b.times.at(b.rows+it.rows)) / 2
		it.startBy = now + max(0, min(q.maxDelay, spare))
		if len(b.items) == 0 || it.startBy < b.startBy {
			b.startBy = it.startBy
		}
	}
	it.state.Store(it.use | queued)
	if len(b.items) == 0 {
		b.last, b.widest = it.rank(), 0
	} else if at := it.rank(); b.last.before(at) {
		b.last = at
	}
	b.widest = max(b.widest, it.rows)
	b.items.push(it)
	b.rows += it.rows
	q.rows += it.rows
	q.requests += it.requests
	q.bytes += it.bytes
	if len(b.items) == 1 {
		q.active.push(b)
	} else {
		q.active.fix(b.index)
	}
	return q.full(b) || b.startBy <= now
}

// longest bounds the rows of a run of the bucket.
func (q *queue) longest(b *bucket) int {
	return min(q.maxSize, q.most(b)-1+b.widest)
}

// newBucket makes room first if there are too many shapes: it forgets the least recently used
// shape and its estimate. A shape with waiting requests is in use. It looks at two shapes, so
// that an arrival does little and the shapes of a burst are still forgotten faster than new
// ones arrive.
func (q *queue) newBucket(it *item) *bucket {
	for range 2 {
		if len(q.buckets) < maxBuckets {
			break
		}
		if oldest, key, _ := q.recent.GetOldest(); len(oldest.items) > 0 {
			q.recent.Get(oldest)
		} else {
			q.recent.RemoveOldest()
			delete(q.buckets, key)
		}
	}
	b, key := &bucket{solo: it.solo}, string(it.key)
	q.buckets[key] = b
	q.recent.Add(b, key)
	return b
}

// remove takes out an item that leaves.
func (q *queue) remove(it *item) {
	b := it.bucket
	q.unlink(it)
	q.settle(b)
}

// unlink removes an item from its bucket; settle then restores the bucket's place.
func (q *queue) unlink(it *item) {
	b := it.bucket
	b.items.remove(it)
	b.rows -= it.rows
	q.rows -= it.rows
	q.requests -= it.requests
	q.bytes -= it.bytes
}

func (q *queue) settle(b *bucket) {
	if len(b.items) == 0 {
		q.active.remove(b)
	} else {
		q.active.fix(b.index)
	}
}

// full reports whether a longer wait would not make the bucket's next run larger.
func (q *queue) full(b *bucket) bool {
	return q.maxDelay == 0 || b.solo || b.rows >= q.maxSize
}

// pick returns the bucket with the most urgent item among those that may start. If there is
// none, next says when the first one may.
func (q *queue) pick(now time.Duration) (b *bucket, next time.Duration) {
	if q.maxDelay == 0 || q.drain {
		if len(q.active) == 0 {
			return nil, never
		}
		return q.active.top(), 0
	}
	next = never
	for _, c := range q.active { // linear in the shapes that wait, only with MaxDelay
		switch {
		case !q.full(c) && c.waitUntil(now) > now:
			next = min(next, c.startBy)
		case b == nil || c.before(b):
			b = c
		}
	}
	return b, next
}

// waitUntil returns when the deliberate wait of the first item ends. The stored bound may be
// that of an item that left, so it is computed again before it is used.
func (b *bucket) waitUntil(now time.Duration) time.Duration {
	if b.startBy <= now {
		b.startBy = never
		for _, it := range b.items {
			b.startBy = min(b.startBy, it.startBy)
		}
	}
	return b.startBy
}

// take moves the items of one run to members, in the state gathering, and those with too little
// time left to refused, in the state done. If both are empty, next says when to look again.
// free counts the instances that share the waiting items.
func (q *queue) take(now time.Duration, free int, members, refused []*item) (_, _ []*item, next time.Duration) {
	for len(members) == 0 {
		var b *bucket
		if b, next = q.pick(now); b == nil {
			break
		}
		members, refused = q.fill(b, q.goal(b, free), now, members, refused)
		q.settle(b)
	}
	return members, refused, next
}

// goal is how many rows a run should have: all that wait, shared by the free instances, if the
// shares are worth a run of their own. With MaxDelay fuller runs are wanted, so they are not
// shared.
func (q *queue) goal(b *bucket, free int) int {
	if q.maxDelay > 0 {
		return q.maxSize
	}
	share := (q.rows + free - 1) / free
	return max(1, min(q.most(b), max(share, b.times.worth(q.maxSize))))
}

// most is the most rows that a run of the bucket should have. If requests are joined at all,
// joinFew may always run together.
func (q *queue) most(b *bucket) int {
	few := (joinFew*b.rows + len(b.items) - 1) / max(1, len(b.items))
	return min(q.maxSize, max(few, q.grown(&b.times)))
}

// grown is how many rows a run grows to under load.
func (q *queue) grown(c *cost) int {
	if q.maxDelay > 0 {
		return q.maxSize
	}
	return c.enough(q.maxSize)
}

// fill takes the items of one run from b, the most urgent first. It does not skip an item that
// has more rows than still fit.
func (q *queue) fill(b *bucket, goal int, now time.Duration, members, refused []*item) (_, _ []*item) {
	most, doubted := q.members(b, goal), false
	likely, rows := min(goal, b.rows, most*b.rows/len(b.items)), 0 // rows of this run
	for len(b.items) > 0 {
		it := b.items.top()
		if len(members) > 0 && (rows >= goal || rows+it.rows > q.maxSize || len(members) >= most) {
			break
		}
		q.unlink(it)
		left, size := it.due-now, max(likely, it.rows)
		if most == 1 {
			size = it.rows
		}
		if left <= 0 || left < b.times.at(size) {
			it.state.Store(it.use | done)
			refused = append(refused, it)
			doubted = doubted || left > 0
			continue
		}
		it.state.Store(it.use | gathering)
		members = append(members, it)
		rows += it.rows
	}
	if doubted { // once for all of them: many that were too late do not make the estimate less likely
		b.times.refused()
	}
	return members, refused
}

// members is how many of the bucket's items the next run may have.
func (q *queue) members(b *bucket, goal int) int {
	switch {
	case b.solo:
		return 1
	case q.maxDelay > 0 || goal == 1 || len(b.items) == 1:
		return q.maxSize
	default:
		return b.times.members(float64(b.rows)/float64(len(b.items)), q.maxSize)
	}
}

// clear removes all items, in the state done.
func (q *queue) clear() (items []*item) {
	for len(q.active) > 0 {
		b := q.active.top()
		it := b.items.top()
		it.state.Store(it.use | done)
		q.remove(it)
		items = append(items, it)
	}
	return items
}

// learn notes the time of a run.
func (q *queue) learn(l lesson) {
	switch {
	case l.bucket == nil:
	case l.cut:
		l.bucket.times.atLeast(l.rows, l.took, q.timeout)
	default:
		l.bucket.times.record(l.rows, l.took)
	}
}
