package main

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/api"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
)

// observing measures what metrics cost. They cannot be switched off, so that no
// gateway without them can be compared; here nothing else runs.
func observing() record.Rows {
	m := metrics.New(prometheus.NewRegistry())
	v, a := m.Version("lin", 1), m.Variant("lin", "lin", 1, api.RoleStable)
	req := &infer.Request{Inputs: []infer.Tensor{{DType: infer.FP32, Shape: infer.Shape{1, 16}}}}
	req.Timing = infer.Timing{Queue: time.Microsecond, Compute: time.Microsecond, Rows: 1}
	request := func() { v.ObserveRequest(req, nil, 80*time.Microsecond) }
	run := func() { v.ObserveRun(1, 1, time.Microsecond, time.Microsecond, time.Microsecond, nil) }
	variant := func() { a.Observe(infer.ReasonSticky, nil, 80*time.Microsecond) }
	return record.Rows{
		observe("a request", request),
		observe("a run, of which requests share one", run),
		observe("a request that a route sent", variant),
		observe("all three, for a request alone in its run", func() { request(); run(); variant() }),
	}
}

func observe(what string, f func()) record.Record {
	r := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			f()
		}
	})
	o := record.New("metrics", "what", what)
	o.Figures["ns"], o.Figures["allocations"] = float64(r.T.Nanoseconds())/float64(r.N), float64(r.AllocsPerOp())
	return o
}
