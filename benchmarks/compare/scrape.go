package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"sluice.io/sluice/benchmarks/record"
)

// told is what a gateway's metrics said at one time.
type told struct{ mallocs, bytes, gcs, rows, runs float64 }

// less returns what came between two times.
func (t told) less(o told) told {
	return told{t.mallocs - o.mallocs, t.bytes - o.bytes, t.gcs - o.gcs, t.rows - o.rows, t.runs - o.runs}
}

// scrape asks a gateway for its metrics; rows and runs are those of one model.
func scrape(url, model string) (told, error) {
	resp, err := http.Get(url) //nolint:gosec // a server that we started
	if err != nil {
		return told{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return told{}, fmt.Errorf("%s: status %d", url, resp.StatusCode)
	}
	return parseMetrics(resp.Body, model)
}

// parseMetrics reads the few lines that are looked for.
func parseMetrics(r io.Reader, model string) (t told, err error) {
	label := fmt.Sprintf("model=%q", model)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		series, value, ok := strings.Cut(lines.Text(), " ")
		name, labels, _ := strings.Cut(series, "{")
		var to *float64
		switch name {
		case "go_memstats_mallocs_total":
			to = &t.mallocs
		case "go_memstats_alloc_bytes_total":
			to = &t.bytes
		case "go_gc_duration_seconds_count":
			to = &t.gcs
		case "sluice_batch_rows_sum":
			to = &t.rows
		case "sluice_batch_rows_count":
			to = &t.runs
		}
		if to == nil || !ok || labels != "" && !strings.Contains(labels, label) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return told{}, fmt.Errorf("metrics: %q: %w", lines.Text(), err)
		}
		*to += v
	}
	return t, lines.Err()
}

// perRequest says what a gateway did for each request. scrapes is what a scrape
// itself takes, one of which lies between the two times.
func (t told) perRequest(scrapes told, requests int64, seconds float64) *record.GoStats {
	if requests == 0 || seconds <= 0 {
		return nil
	}
	g := &record.GoStats{GCs: t.gcs / seconds}
	const enough = 1000 // what else a gateway does is spread over fewer
	if n := float64(requests); n >= enough {
		g.Allocs, g.Bytes = max(0, t.mallocs-scrapes.mallocs)/n, max(0, t.bytes-scrapes.bytes)/n
	}
	if t.runs > 0 {
		g.Batch = t.rows / t.runs
	}
	return g
}
