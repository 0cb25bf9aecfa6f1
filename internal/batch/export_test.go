package batch

// Waiting returns what the queue counts, and how many shapes it remembers.
func (b *Batcher) Waiting() (requests, rows int, bytes int64, buckets int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queue.requests, b.queue.rows, b.queue.bytes, len(b.queue.buckets)
}

// Full reports whether one more request with so many bytes would be refused.
func (b *Batcher) Full(bytes int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.full(bytes)
}

// Free returns how many workers are not running anything.
func (b *Batcher) Free() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.free
}

// MaxBuckets is the most shapes that are remembered where none wait.
const MaxBuckets = minBuckets

// Cut parts a tensor by rows.
var Cut = cut

// Equal compares tensors within a tolerance.
var Equal = equal

// FailToLower has the workers' attempts to lower their priority fail.
func (b *Batcher) FailToLower(err error) { b.lower = func() error { return err } }
