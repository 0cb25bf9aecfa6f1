// Package history keeps the rates and latencies of the last hour in memory.
//
//	counters of requests ─► Recorder.Run, every 5 s ─► series in chunks of 5 minutes ─► Recorder.Read
//
// One goroutine looks at counters that exist anyway and keeps the differences, so that a request costs nothing here. A
// series is kept only for the time in which it had traffic. If all of them need more than the memory that they may have, the
// oldest chunks of all series are dropped.
//
// Latencies are those of the histograms of the counters: a percentile is the middle of a bucket.
package history
