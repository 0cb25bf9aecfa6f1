package main

import (
	"context"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// manyConnections runs closed loops of 1 to 4,096 connections, beside a no-op server
// that shows what so many cost whoever answers them.
func manyConnections(ctx context.Context, b *bench, r *record.Record) error {
	r.Params["what"] = "Closed loops of the tiny model, a request in flight on each connection; the queue takes 8,192, so that none is refused. " +
		"Memory of each is what the gateway grew by since the first row. The no-op server is asked the same just afterwards."
	w := tiny()
	g, err := b.start(ctx, setup{models: graphs(w), rest: "models: {lin: {batching: {queue: {max_requests: 8192}}}}"})
	if err != nil {
		return err
	}
	defer func() { _ = g.Stop() }()
	constant, stop, err := b.noop(ctx, w.target(g))
	if err != nil {
		return err
	}
	defer stop()
	t := record.Table{Columns: []string{"connections", "answered /s", "no-op's /s", "share", "p50 ms", "p99 ms", "other answers", "RSS MiB", "KiB of each", "goroutines", "CPU µs of a request"}}
	var first usage
	var best, last, share, memory float64
	failed := int64(0)
	for _, n := range []int{1, 4, 16, 64, 256, 1024, 4096} {
		before, watched := g.cpu(), g.watch(ctx)
		res, err := b.closed(ctx, w.target(g), n)
		used := watched()
		if err != nil {
			return err
		}
		cpu := g.cpu() - before
		limit, err := b.closed(ctx, constant, n)
		if err != nil {
			return err
		}
		if n == 1 {
			first = used
		}
		memory, share = 1024*(used.RSS-first.RSS)/float64(n), res.Rate()/limit.Rate()
		last, best = res.Rate(), max(best, res.Rate())
		failed += failures(res)
		t.Add(n, res.Rate(), limit.Rate(), share, latency(res, 50), latency(res, 99), byStatus(res.Errors), used.RSS, memory, used.Goroutines,
			float64(cpu.Microseconds())/float64(res.Sent))
	}
	r.Tables = append(r.Tables, t)
	r.AtMost("requests that were not answered 200", float64(failed), 0, "")
	r.Tell("throughput with 4,096 connections, of the best", 100*last/best, "%")
	r.Tell("the same, of a no-op server's with as many", 100*share, "%")
	r.Tell("memory of each of 4,096 connections", memory, "KiB")
	return nil
}

func (b *bench) closed(ctx context.Context, t loadgen.Target, conns int) (*loadgen.Result, error) {
	return loadgen.Run(ctx, loadgen.Plan{
		Targets: []loadgen.Target{t}, Conns: conns, Warmup: b.scale(500 * time.Millisecond), Duration: b.scale(2 * time.Second),
	})
}

// noop starts the server that answers a constant, and returns a target that sends it
// what another is sent.
func (b *bench) noop(ctx context.Context, like loadgen.Target) (t loadgen.Target, stop func(), err error) {
	free, err := process.FreeAddresses(1)
	if err != nil {
		return t, nil, err
	}
	like.URL = "http://" + free[0] + "/v2/models/lin/infer"
	server, err := process.Launch(ctx, process.Spec{Command: []string{b.constant, "-address", free[0]}, Ready: like.URL})
	if err != nil {
		return t, nil, err
	}
	return like, func() { _ = server.Stop() }, nil
}
