package batch

// Waiting returns what the queue counts, and how many shapes it remembers.
func (b *Batcher) Waiting() (requests, rows int, bytes int64, buckets int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queue.requests, b.queue.rows, b.queue.bytes, len(b.queue.buckets)
}

// Free returns how many workers are not running anything.
func (b *Batcher) Free() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.free
}

// MaxBuckets is the most shapes that are remembered where none wait.
const MaxBuckets = minBuckets
