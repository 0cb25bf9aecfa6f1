package metrics

import (
	"math/bits"
	"sync/atomic"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// ending says how a request ended for the variant that it was assigned to.
type ending struct{ failed, fallback, refused, random bool }

// tally counts requests by how they ended.
type tally struct{ requests, errors, fallbacks, refused, random atomic.Int64 }

func (t *tally) count(e ending) {
	t.requests.Add(1)
	if e.failed {
		t.errors.Add(1)
	}
	if e.fallback {
		t.fallbacks.Add(1)
	}
	if e.refused {
		t.refused.Add(1)
	}
	if e.random {
		t.random.Add(1)
	}
}

func (t *tally) snapshot() api.VariantCount {
	return api.VariantCount{
		Requests: t.requests.Load(), Errors: t.errors.Load(), Fallbacks: t.fallbacks.Load(), Refused: t.refused.Load(), Random: t.random.Load(),
	}
}

// recent counts requests of the last one to two minutes: of the current minute, and of the one
// before. Minutes count from its creation, on the monotonic clock, so a clock that is set has
// no effect.
//
// The first request that is counted in a new minute replaces the old pair of minutes by a new
// one. Nothing is cleared, so no count can be lost in a minute that is being cleared. Three
// things are inexact. A goroutine that got a minute just before it ended counts in it after its
// end. That is still visible, as the minute before. If a goroutine is delayed by one more
// minute, its count is lost, since nothing reads that minute again. A snapshot reads one counter after
// another while they change, so its counts may be a few requests apart.
type recent struct {
	made time.Time
	now  atomic.Pointer[minutes]
}

// minutes are the current minute and the one before.
type minutes struct {
	number       int64   // of the current minute, 0 the first
	this, before *minute // before is nil if nothing was counted in it
}

type minute struct {
	tally
	durations histogram // of requests answered ok
}

func (r *recent) start(at time.Time) {
	r.made = at
	r.now.Store(&minutes{this: &minute{}})
}

// observe counts a request that ends now.
func (r *recent) observe(code infer.Code, e ending, elapsed time.Duration) {
	r.observeAt(time.Since(r.made), code, e, elapsed)
}

// observeAt counts a request that ended at a time since the creation.
func (r *recent) observeAt(age time.Duration, code infer.Code, e ending, elapsed time.Duration) {
	m := r.minute(int64(max(0, age) / time.Minute))
	m.count(e)
	if code == infer.OK {
		m.durations[bucket(elapsed)].Add(1)
	}
}

// minute returns the minute with the number, or the current one if that is later.
func (r *recent) minute(number int64) *minute {
	now := r.now.Load()
	for now.number < number {
		next := &minutes{number: number, this: &minute{}}
		if now.number == number-1 {
			next.before = now.this
		}
		if r.now.CompareAndSwap(now, next) {
			return next.this
		}
		now = r.now.Load()
	}
	return now.this
}

// snapshot only reads: the minutes change only with a request.
func (r *recent) snapshot(at time.Time) api.Recent {
	age := max(0, at.Sub(r.made))
	number := int64(age / time.Minute)
	window := age
	if number > 0 {
		window = age - time.Duration(number-1)*time.Minute
	}
	now := r.now.Load()
	var shown []*minute
	switch {
	case now.number >= number && now.before == nil, now.number == number-1:
		shown = []*minute{now.this}
	case now.number >= number:
		shown = []*minute{now.before, now.this}
	}

	s := api.Recent{Window: api.Duration(window)}
	var counts [buckets]uint64
	for _, m := range shown {
		c := m.snapshot()
		s.Requests += c.Requests
		s.Errors += c.Errors
		s.Fallbacks += c.Fallbacks
		s.Refused += c.Refused
		s.Random += c.Random
		for i := range m.durations {
			counts[i] += uint64(m.durations[i].Load())
		}
	}
	s.P50 = api.Duration(quantile(&counts, 50))
	s.P99 = api.Duration(quantile(&counts, 99))
	return s
}

// A histogram splits each power of two of nanoseconds into steps of equal width. The middle of
// a step is within 1/16 of all durations in it. A Prometheus histogram of that precision would
// be 241 series per variant.
const (
	stepBits = 3  // 8 steps
	minBits  = 10 // 1.024 µs; shorter durations count as 1 µs
	maxBits  = 40 // 1100 s; longer durations count as that
	buckets  = 1 + (maxBits-minBits)<<stepBits
)

// histogram counts durations. 32 bits are enough for a minute.
type histogram [buckets]atomic.Uint32

// durations is a histogram for as long as a variant lives.
type durations [buckets]atomic.Int64

// addTo adds the counts to those of other histograms.
func (d *durations) addTo(to []int64) {
	for i := range d {
		to[i] += d[i].Load()
	}
}

// Buckets is the number of buckets of the histograms that AddTimes reads.
const Buckets = buckets

// Middle returns the latency that stands for a bucket, in seconds. It is within 1/16 of all latencies in the bucket from 1 µs to
// 1100 s.
func Middle(bucket int) float64 { return middle(bucket).Seconds() }

// bucket returns the index of a duration in a histogram.
func bucket(d time.Duration) int {
	if d < 1<<minBits {
		return 0
	}
	power := bits.Len64(uint64(d)) - 1
	if power >= maxBits {
		return buckets - 1
	}
	step := int(d>>(power-stepBits)) & (1<<stepBits - 1)
	return 1 + (power-minBits)<<stepBits + step
}

// middle returns the duration that represents a bucket.
func middle(bucket int) time.Duration {
	if bucket == 0 {
		return time.Microsecond
	}
	power := minBits + (bucket-1)>>stepBits
	step := (bucket - 1) & (1<<stepBits - 1)
	width := time.Duration(1) << (power - stepBits)
	return (1<<stepBits+time.Duration(step))*width + width/2
}

// quantile returns the smallest duration that is not below percent of all, 0 if there are none.
func quantile(counts *[buckets]uint64, percent uint64) time.Duration {
	var n uint64
	for _, c := range counts {
		n += c
	}
	if n == 0 {
		return 0
	}
	rank := (n*percent + 99) / 100
	for i, c := range counts {
		if rank <= c {
			return middle(i)
		}
		rank -= c
	}
	return middle(buckets - 1)
}
