package history

import (
	"math"
	"slices"
)

// series is what is kept of a key.
type series struct {
	meters  []*meter
	chunks  []*chunk // those with traffic, ascending
	visited int64    // the number of the last look that has found its counters
}

// meter remembers what a counter has counted up to the last look. Differences of numbers of 32 bits are right also after an
// overflow.
type meter struct {
	counter          Counter
	requests, errors int64
	times            []uint32
}

// advance returns what was counted since the last call, and adds the latencies of that to times. now is scratch.
func (m *meter) advance(times, now []int64) (requests, errors int64) {
	allRequests, allErrors := m.counter.Totals()
	requests, errors = allRequests-m.requests, allErrors-m.errors
	m.requests, m.errors = allRequests, allErrors
	if requests == 0 && errors == 0 {
		return 0, 0 // a latency that was counted in between is in the next look
	}
	clear(now)
	m.counter.AddTimes(now)
	for i, n := range now {
		count := uint32(n) //nolint:gosec // the low bits
		times[i] += int64(count - m.times[i])
		m.times[i] = count
	}
	return requests, errors
}

// idle reports whether the counters are those of the last look, and have counted nothing since.
func (s *series) idle(counters []Counter) bool {
	if len(counters) != len(s.meters) {
		return false
	}
	for i, c := range counters {
		m := s.meters[i]
		if m.counter != c {
			return false
		}
		if requests, errors := c.Totals(); requests != m.requests || errors != m.errors {
			return false
		}
	}
	return true
}

func (s *series) meter(c Counter) (m *meter, known bool) {
	for _, m := range s.meters {
		if m.counter == c {
			return m, true
		}
	}
	return nil, false
}

// sample is what a look has found.
type sample struct {
	requests, errors float64 // per second
	p50, p99         uint8   // a bucket and 1; 0: nothing was answered
	queue            int
}

// chunk has the samples of some steps. It leaves out what is zero in all of them.
type chunk struct {
	number   int64 // the number of a step divided by perChunk
	requests [perChunk]float32
	p50, p99 [perChunk]uint8
	errors   *[perChunk]float32
	queue    *[perChunk]uint16
}

// at returns the sample of a step of the chunk.
func (c *chunk) at(i int) sample {
	x := sample{requests: float64(c.requests[i]), p50: c.p50[i], p99: c.p99[i]}
	if c.errors != nil {
		x.errors = float64(c.errors[i])
	}
	if c.queue != nil {
		x.queue = int(c.queue[i])
	}
	return x
}

// put adds the sample of a step, and returns how many bytes that takes.
func (s *series) put(step int64, x sample) (bytes int64) {
	if x == (sample{}) {
		return 0
	}
	number := step / perChunk
	if len(s.chunks) == 0 || s.chunks[len(s.chunks)-1].number != number {
		s.chunks = append(s.chunks, &chunk{number: number})
		bytes += chunkBytes
	}
	c, i := s.chunks[len(s.chunks)-1], step%perChunk
	c.requests[i], c.p50[i], c.p99[i] = float32(x.requests), x.p50, x.p99
	if x.errors != 0 {
		if c.errors == nil {
			c.errors = new([perChunk]float32)
			bytes += errorBytes
		}
		c.errors[i] = float32(x.errors)
	}
	if x.queue != 0 {
		if c.queue == nil {
			c.queue = new([perChunk]uint16)
			bytes += queueBytes
		}
		c.queue[i] = uint16(min(x.queue, math.MaxUint16)) //nolint:gosec // bounded
	}
	return bytes
}

// at returns the sample of a step.
func (s *series) at(step int64) sample {
	for _, c := range slices.Backward(s.chunks) {
		if c.number == step/perChunk {
			return c.at(int(step % perChunk))
		}
	}
	return sample{}
}

// dropUpTo forgets the chunks up to a number, and returns how many bytes that frees.
func (s *series) dropUpTo(number int64) (bytes int64) {
	n := 0
	for _, c := range s.chunks {
		if c.number > number {
			break
		}
		bytes += chunkBytes
		if c.errors != nil {
			bytes += errorBytes
		}
		if c.queue != nil {
			bytes += queueBytes
		}
		n++
	}
	if n > 0 {
		s.chunks = append(make([]*chunk, 0, len(s.chunks)), s.chunks[n:]...)
	}
	return bytes
}

// About how many bytes of memory things take.
const (
	pointer    = 8
	chunkBytes = int64(8+4*perChunk+2*perChunk+2*pointer) + 2*pointer // with its place in the list
	errorBytes = 4 * perChunk
	queueBytes = 2*perChunk + 8 // the allocator rounds up
)

func keyBytes(k Key) int64 { return int64(len(k.Model)+len(k.Route)+len(k.Role)) + 2*96 + 64 }

func (r *Recorder) meterBytes() int64 { return int64(4*r.opts.Buckets) + 96 }

// quantile returns the bucket of the smallest latency that is not below percent of all, and 1; 0 if there are none.
func quantile(times []int64, percent int64) uint8 {
	n := int64(0)
	for _, c := range times {
		n += c
	}
	if n <= 0 {
		return 0
	}
	rank := (n*percent + 99) / 100
	for i, c := range times {
		if rank <= c {
			return uint8(i + 1) //nolint:gosec // Options bounds the buckets
		}
		rank -= c
	}
	return uint8(len(times)) //nolint:gosec // likewise
}
