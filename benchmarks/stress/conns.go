package main

import (
	"context"
	"time"

	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// manyConnections runs closed loops of 1 to 4,096 connections, beside a no-op server
// that shows what so many cost whoever answers them.
func (b *bench) manyConnections(ctx context.Context, r *record.Record) error {
	r.Params["what"] = "Closed loops of the tiny model, a request in flight on each connection; the queue takes 8,192, so that none is refused. " +
		"Memory of each is what the gateway grew by since the first row. The no-op server is asked the same just afterwards."
	w := tiny()
	return b.with(ctx, setup{Models: graphs(w), Rest: "models: {lin: {batching: {queue: {max_requests: 8192}}}}"}, func(g *gateway) error {
		free, err := process.FreeAddress()
		if err != nil {
			return err
		}
		constant := w.target(g)
		constant.URL = "http://" + free + "/v2/models/lin/infer"
		noop, err := process.Launch(ctx, process.Spec{Command: []string{b.noop, "-address", free}, Ready: constant.URL})
		if err != nil {
			return err
		}
		defer func() { _ = noop.Stop() }()
		t := record.Table{Columns: []string{"connections", "answered /s", "no-op's /s", "share", "p50 ms", "p99 ms", "other answers", "RSS MiB", "KiB of each", "goroutines", "CPU µs of a request"}}
		var first usage
		var best, last, share, memory float64
		failed := int64(0)
		for _, n := range []int{1, 4, 16, 64, 256, 1024, 4096} {
			watched := g.watch(ctx)
			s, err := b.send(ctx, g, closed(n, 500*time.Millisecond, 2*time.Second, w.target(g)))
			used := watched()
			if err != nil {
				return err
			}
			limit, err := b.send(ctx, g, closed(n, 500*time.Millisecond, 2*time.Second, constant))
			if err != nil {
				return err
			}
			if n == 1 {
				first = used
			}
			memory, share = 1024*(used.RSS-first.RSS)/float64(n), s.Rate()/limit.Rate()
			last, best = s.Rate(), max(best, s.Rate())
			failed += s.failures()
			t.Add(n, s.Rate(), limit.Rate(), share, s.latency(50), s.latency(99), byStatus(s.Errors), used.RSS, memory, used.Goroutines, s.cpu)
		}
		r.Tables = append(r.Tables, t)
		r.AtMost("requests that were not answered 200", float64(failed), 0, "")
		r.Tell("throughput with 4,096 connections, of the best", 100*last/best, "%")
		r.Tell("the same, of a no-op server's with as many", 100*share, "%")
		r.Tell("memory of each of 4,096 connections", memory, "KiB")
		return nil
	})
}
