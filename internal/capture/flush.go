package capture

import (
	"context"

	"sluice.io/sluice/api"
)

// Flush writes what waits in memory of a model into files. What is captured while it runs may stay in memory. It returns the rows that are
// still there when it gives up, with the reason; the reason is empty if there are none. It ends with ctx, and capturing never waits for it.
func (s *Store) Flush(ctx context.Context, model string) (left api.CaptureWaiting) {
	select {
	case s.writing <- struct{}{}: // a file that was begun is in the manifest now
		s.release()
	case <-ctx.Done():
		left.Why = "the files could not be written in time"
	}
	for _, q := range s.snapshot() {
		if q.model != model {
			continue
		}
		n, err := s.flush(ctx, q)
		if err == nil {
			continue
		}
		if left.Why = "the bucket cannot be written"; ctx.Err() != nil {
			left.Why = "the files could not be written in time"
		}
		if q.tally == &q.counts.labels {
			left.Labels += q.count(n)
		} else {
			left.Rows += q.count(n)
		}
	}
	return left
}

// flush writes as many records as wait in a queue when it begins. If it fails, it returns the number of those that are left.
func (s *Store) flush(ctx context.Context, q *queue) (left int, err error) {
	for left = q.length(); left > 0; {
		n, err := s.write(ctx, q)
		if err != nil {
			return left, err
		}
		if n == 0 { // Run was faster
			break
		}
		left -= n
	}
	return 0, nil
}

// length returns the number of records that wait.
func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// count returns the number of rows of the first n records that wait.
func (q *queue) count(n int) (rows int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, record := range q.waiting[:min(n, len(q.waiting))] {
		rows += q.rows(record)
	}
	return rows
}
