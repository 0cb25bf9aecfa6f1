package history

import (
	"context"
	"sync"
	"time"
)

// The resolution, and how much is kept.
const (
	Step = 5 * time.Second
	Span = time.Hour

	perChunk = 60 // steps in a chunk
	steps    = int64(Span / Step)
)

// Key names a series: a model, or a variant of a route.
type Key struct {
	Model string // empty for a variant
	Route string
	Variant
}

// Variant is a version in a role of a route.
type Variant struct {
	Version int64
	Role    string
}

// Counter is what counts requests. Its values only grow. It must be comparable (a pointer), and fast.
type Counter interface {
	Totals() (requests, errors int64)
	// AddTimes adds the number of answered requests by their latency, in the buckets of Options.
	AddTimes(to []int64)
}

// Source has the counters.
type Source interface {
	// Each calls visit once for each series that there is, with the number of requests that wait, and the counters. A counter
	// that begins again at zero must be another Counter.
	Each(visit func(k Key, queued int, counters []Counter))
}

// Options configure a Recorder. All are required.
type Options struct {
	Source   Source
	Buckets  int                      // of latencies, at most 254
	Middle   func(bucket int) float64 // the latency that stands for a bucket, in seconds
	MaxBytes int64                    // of all that is kept
}

// Recorder keeps the history. Its methods may be called from any goroutine.
type Recorder struct {
	opts    Options
	started time.Time // the beginning of step 1, with the monotonic clock

	mu     sync.RWMutex
	series map[Key]*series
	bytes  int64
	least  int64        // what all series need if they have one chunk each
	last   int64        // the number of the last look, which is that of the step that it ends
	at     time.Time    // of the last look
	since  int64        // the first step of which everything is kept
	looks  [steps]int64 // the number of a look, at its remainder
	full   bool         // a series had no room at some time
	times  []int64      // scratch of a look
	now    []int64      // likewise
}

// New returns a recorder that has recorded nothing.
func New(o Options) *Recorder {
	if o.Source == nil || o.Middle == nil || o.Buckets < 1 || o.Buckets > 254 || o.MaxBytes < 1 {
		panic("BUG: history.New needs a source, buckets and a limit")
	}
	return &Recorder{opts: o, started: time.Now(), at: time.Now(), since: 1, series: map[Key]*series{}, times: make([]int64, o.Buckets), now: make([]int64, o.Buckets)}
}

// Run looks at the counters until ctx ends.
func (r *Recorder) Run(ctx context.Context) error {
	ticker := time.NewTicker(Step)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			r.look(time.Now())
		}
	}
}

// number returns the step that ends at a time, or about then.
func (r *Recorder) number(at time.Time) int64 { return int64((at.Sub(r.started) + Step/2) / Step) }

// look ends a step. A look that is late makes the steps before it ones without a sample. Its rates are over all the time since
// the one before.
func (r *Recorder) look(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.number(now)
	if n <= r.last {
		return // two looks are closer than they should be: the next one has the requests of both
	}
	seconds := now.Sub(r.at).Seconds()
	r.last, r.at = n, now
	r.looks[n%steps] = n
	r.since = max(r.since, n-steps+1)
	r.opts.Source.Each(func(k Key, queued int, counters []Counter) { r.visit(k, queued, counters, seconds) })
	r.tidy()
}

// visit takes a sample of a series.
func (r *Recorder) visit(k Key, queued int, counters []Counter, seconds float64) {
	s := r.series[k]
	if s == nil {
		if !anyRequests(counters) {
			return
		}
		if s = r.add(k); s == nil {
			return
		}
	}
	s.visited = r.last
	if queued == 0 && s.idle(counters) {
		return
	}
	clear(r.times)
	sample := sample{queue: queued}
	kept := make([]*meter, 0, len(counters)) // the counters may have another order
	for _, c := range counters {
		m, known := s.meter(c)
		if !known {
			if m = r.meter(c); m == nil {
				continue
			}
		}
		requests, errors := m.advance(r.times, r.now)
		sample.requests += float64(requests)
		sample.errors += float64(errors)
		kept = append(kept, m)
	}
	r.setMeters(s, kept)
	sample.requests /= seconds
	sample.errors /= seconds
	sample.p50, sample.p99 = quantile(r.times, 50), quantile(r.times, 99)
	r.bytes += s.put(r.last, sample)
	for r.bytes > r.opts.MaxBytes && r.drop() { //nolint:revive // drop does the work
	}
}

// setMeters replaces the meters of a series.
func (r *Recorder) setMeters(s *series, meters []*meter) {
	more := int64(len(meters)-len(s.meters)) * r.meterBytes()
	r.bytes += more
	r.least += more
	s.meters = meters
}

func anyRequests(counters []Counter) bool {
	for _, c := range counters {
		if n, _ := c.Totals(); n > 0 {
			return true
		}
	}
	return false
}

// add makes a series, or returns nil if there is no room.
func (r *Recorder) add(k Key) *series {
	least := keyBytes(k) + chunkBytes + errorBytes + queueBytes
	if r.least+least+r.meterBytes() > r.opts.MaxBytes {
		r.full = true
		return nil
	}
	s := &series{}
	r.series[k] = s
	r.bytes += keyBytes(k)
	r.least += least
	return s
}

// meter returns what remembers a counter, nil if there is no room. What it has counted before counts as of now, unless there was
// no room for it at that time.
func (r *Recorder) meter(c Counter) *meter {
	if r.least+r.meterBytes() > r.opts.MaxBytes {
		r.full = true
		return nil
	}
	m := &meter{counter: c, times: make([]uint32, r.opts.Buckets)}
	if r.full {
		m.advance(make([]int64, r.opts.Buckets), r.now)
	}
	return m
}

// tidy forgets chunks that are too old, and series that are gone.
func (r *Recorder) tidy() {
	oldest := (r.last - steps) / perChunk
	for k, s := range r.series {
		r.bytes -= s.dropUpTo(oldest - 1)
		if s.visited != r.last {
			r.setMeters(s, nil)
			if len(s.chunks) == 0 {
				delete(r.series, k)
				r.bytes -= keyBytes(k)
				r.least -= keyBytes(k) + chunkBytes + errorBytes + queueBytes
			}
		}
	}
}

// drop drops the oldest chunks of all series, unless they are the present ones. It reports whether it has.
func (r *Recorder) drop() bool {
	present := r.last / perChunk
	oldest := present
	for _, s := range r.series {
		if len(s.chunks) > 0 {
			oldest = min(oldest, s.chunks[0].number)
		}
	}
	if oldest == present {
		return false
	}
	for _, s := range r.series {
		r.bytes -= s.dropUpTo(oldest)
	}
	r.since = max(r.since, (oldest+1)*perChunk)
	return true
}

// Bytes returns about how much memory is used.
func (r *Recorder) Bytes() int64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.bytes
}

// Size returns about how much memory is used, and since when everything is kept.
func (r *Recorder) Size() (bytes int64, since time.Time) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.bytes, r.begin(r.since, time.Now())
}
