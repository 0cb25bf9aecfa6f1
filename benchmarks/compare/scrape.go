package main

import (
	"context"
	"fmt"

	"sluice.io/sluice/benchmarks/process"
)

// told is what a gateway's metrics said at one time.
type told struct{ mallocs, bytes, gcs, rows, runs float64 }

// less returns what came between two times.
func (t told) less(o told) told {
	return told{t.mallocs - o.mallocs, t.bytes - o.bytes, t.gcs - o.gcs, t.rows - o.rows, t.runs - o.runs}
}

// scrape asks a gateway for its metrics; rows and runs are those of one model.
func scrape(ctx context.Context, g *process.Gateway, model string) (told, error) {
	m, err := g.Metrics(ctx)
	label := fmt.Sprintf("model=%q", model)
	return told{
		m.Sum("go_memstats_mallocs_total", ""), m.Sum("go_memstats_alloc_bytes_total", ""), m.Sum("go_gc_duration_seconds_count", ""),
		m.Sum("sluice_batch_rows_sum", label), m.Sum("sluice_batch_rows_count", label),
	}, err
}

// perRequest adds what a gateway did for each request. scrapes is what a scrape itself
// takes, one of which lies between the two times. Allocations of too few requests are
// not known: what else a gateway does is spread over fewer.
func (t told) perRequest(figures map[string]float64, scrapes told, requests int64, seconds float64) {
	const enough = 1000
	if requests == 0 || seconds <= 0 {
		return
	}
	figures["gcs_per_second"] = t.gcs / seconds
	if n := float64(requests); n >= enough {
		figures["allocs"], figures["alloc_bytes"] = max(0, t.mallocs-scrapes.mallocs)/n, max(0, t.bytes-scrapes.bytes)/n
	}
	if t.runs > 0 {
		figures["batch_rows"] = t.rows / t.runs
	}
}
