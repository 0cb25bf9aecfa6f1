package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice.io/sluice/benchmarks/loadgen"
)

// report is what -o json prints.
type report struct {
	URL          string        `json:"url"`
	BodyBytes    int           `json:"body_bytes"`
	Loop         string        `json:"loop"` // closed or open
	Conns        int           `json:"conns"`
	Rate         float64       `json:"rate,omitempty"` // that was asked for
	Arrival      string        `json:"arrival,omitempty"`
	WarmupS      float64       `json:"warmup_s"`
	RampS        float64       `json:"ramp_s"`
	ElapsedS     float64       `json:"elapsed_s"`
	PerSecond    float64       `json:"requests_per_second"`
	Requests     int64         `json:"requests"` // begun in the counted time and answered 200
	Sent         int64         `json:"sent"`     // in the whole run
	ErrorsByCode map[int]int64 `json:"errors"`
	Latency      quantiles     `json:"latency_us"`
	Refused      *quantiles    `json:"refused_us,omitempty"`
	Lag          *quantiles    `json:"lag_us,omitempty"` // of the generator itself, open loop only

	Threads        int             `json:"threads"`
	ClientCPU      float64         `json:"client_cpu_s"`
	ClientBusy     float64         `json:"client_busy"`    // share of the time that its threads were at work
	ClientStarved  float64         `json:"client_starved"` // share of the time that they waited for a core
	GeneratorBound bool            `json:"generator_bound"`
	Bound          string          `json:"generator_bound_reason,omitempty"`
	Timeline       []loadgen.Slice `json:"timeline"` // of 100 ms each
}

type quantiles struct {
	Mean float64 `json:"mean"`
	P50  int64   `json:"p50"`
	P90  int64   `json:"p90"`
	P99  int64   `json:"p99"`
	P999 int64   `json:"p999"`
	Max  int64   `json:"max"`
}

func newReport(p *loadgen.Plan, r *loadgen.Result) *report {
	doc := &report{
		URL: p.Targets[0].URL, BodyBytes: len(p.Targets[0].Body), Loop: "closed", Conns: p.Conns,
		WarmupS: p.Warmup.Seconds(), RampS: p.Ramp.Seconds(), ElapsedS: r.Elapsed.Seconds(),
		PerSecond: r.Rate(), Requests: r.Requests, Sent: r.Sent, ErrorsByCode: r.Errors, Latency: *quantilesOf(r.Latency),
		Threads: r.Threads, ClientCPU: r.ClientCPU.Seconds(), ClientBusy: r.Busy, ClientStarved: r.Starved, Timeline: r.Timeline,
	}
	if p.Rate > 0 {
		doc.Loop, doc.Rate, doc.Arrival, doc.Lag = "open", p.Rate, p.Arrival.String(), quantilesOf(r.Lag)
	}
	if r.Refused.TotalCount() > 0 {
		doc.Refused = quantilesOf(r.Refused)
	}
	doc.Bound = r.GeneratorBound()
	doc.GeneratorBound = doc.Bound != ""
	return doc
}

func quantilesOf(h *hdrhistogram.Histogram) *quantiles {
	at := h.ValueAtQuantile
	return &quantiles{Mean: h.Mean(), P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: h.Max()}
}

func (q *quantiles) String() string {
	d := func(us int64) time.Duration { return time.Duration(us) * time.Microsecond }
	return fmt.Sprintf("p50 %v  p90 %v  p99 %v  p99.9 %v  max %v", d(q.P50), d(q.P90), d(q.P99), d(q.P999), d(q.Max))
}

func (r *report) write(out io.Writer, form string) error {
	if form == "json" {
		return json.NewEncoder(out).Encode(r)
	}
	how := fmt.Sprintf("closed loop, %d connections", r.Conns)
	if r.Loop == "open" {
		how = fmt.Sprintf("open loop, %g requests/s (%s), up to %d connections", r.Rate, r.Arrival, r.Conns)
	}
	fmt.Fprintf(out, "%s: %s, body of %d bytes, %.1f s counted\n", r.URL, how, r.BodyBytes, r.ElapsedS)
	fmt.Fprintf(out, "  answered  %.0f requests/s, %d in all\n", r.PerSecond, r.Requests)
	fmt.Fprintf(out, "  latency   %v\n", &r.Latency)
	for _, status := range slices.Sorted(maps.Keys(r.ErrorsByCode)) {
		if status == 0 {
			fmt.Fprintf(out, "  failed    %d connections broken or requests timed out\n", r.ErrorsByCode[0])
			continue
		}
		fmt.Fprintf(out, "  status %d %d\n", status, r.ErrorsByCode[status])
	}
	if r.Refused != nil {
		fmt.Fprintf(out, "  refused   %v\n", r.Refused)
	}
	if r.Lag != nil {
		fmt.Fprintf(out, "  lag       %v (requests that left late)\n", r.Lag)
	}
	fmt.Fprintf(out, "  client    %d threads at work for %.0f %% of the time, without a core for %.0f %%\n", r.Threads, 100*r.ClientBusy, 100*r.ClientStarved)
	if r.GeneratorBound {
		fmt.Fprintf(out, "  GENERATOR-BOUND: %s; these numbers say little about the server\n", r.Bound)
	}
	return nil
}
