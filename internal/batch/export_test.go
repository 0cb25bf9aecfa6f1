package batch

import (
	"math/rand/v2"
	"time"

	"sluice.io/sluice/internal/infer"
)

// Waiting returns the counts of the queue, and how many shapes it remembers.
func (b *Batcher) Waiting() (requests, rows int, bytes int64, buckets int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queue.requests, b.queue.rows, b.queue.bytes, len(b.queue.buckets)
}

// Full reports whether one more request with that many bytes would be refused.
func (b *Batcher) Full(bytes int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.full(bytes)
}

// Free returns how many workers have no run.
func (b *Batcher) Free() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.free
}

// MaxBuckets is the most shapes that are remembered if none wait.
const MaxBuckets = maxBuckets

// Cut parts a tensor by rows.
var Cut = cut

// Equal compares tensors within a tolerance.
var Equal = equal

// FailToLower makes the workers' attempts to lower their priority fail.
func (b *Batcher) FailToLower(err error) { b.lower = func() error { return err } }

// Cost is the fit of run times.
type Cost struct{ cost }

// Record notes a run.
func (c *Cost) Record(rows int, took time.Duration) { c.record(rows, took) }

// At returns how long a run takes.
func (c *Cost) At(rows int) time.Duration { return c.at(rows) }

// AtLeast notes a run that was terminated.
func (c *Cost) AtLeast(rows int, took, timeout time.Duration) { c.atLeast(rows, took, timeout) }

// Refused notes that a request was refused.
func (c *Cost) Refused() { c.refused() }

// Members returns how many requests the next run may have.
func (c *Cost) Members(rows float64, maxSize int) int { return c.members(rows, maxSize) }

// TryEvery is how often a run goes the other way, TryTogether how many requests it may have.
const (
	TryEvery    = tryEvery
	TryTogether = tryTogether
)

// Worth returns the fewest rows that are worth a run of their own.
func (c *Cost) Worth(maxSize int) int { return c.worth(maxSize) }

// MadeUp returns a row of each kind of made-up data, with free dimensions of a size.
func MadeUp(m *infer.Model, size int64) (rows [][]infer.Tensor) {
	dims := freeDimensions(m)
	sizes := make([]int64, len(dims))
	for i := range sizes {
		sizes[i] = size
	}
	for _, kind := range kindsOfData() {
		rows = append(rows, kind.row(withSizes(m, dims, sizes), rand.New(rand.NewPCG(rand.Uint64(), 0)))) //nolint:gosec // test data
	}
	return rows
}

// Held returns the copies of a trial, and whether it wants more.
func (t *Trial) Held() (copies int, bytes int64, open bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.copies), t.bytes, t.open.Load()
}

// KeepPriority leaves the thread of a trial the priority that it has.
func (t *Trial) KeepPriority() { t.lower = func() error { return nil } }
