package metrics

import "github.com/prometheus/client_golang/prometheus"

// traceCollector reports what became of traced requests at each scrape.
type traceCollector struct {
	source func() map[string]int64
	traces *prometheus.Desc
}

func newTraceCollector(source func() map[string]int64) *traceCollector {
	return &traceCollector{source, prometheus.NewDesc(namespace+"_traces_total",
		"Traced requests, and traced runs that joined requests, by what became of their spans: exported, failed (the receiver did not take them) or dropped (no place in the queue).",
		[]string{"result"}, nil)}
}

// Describe implements prometheus.Collector.
func (c *traceCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.traces }

// Collect implements prometheus.Collector.
func (c *traceCollector) Collect(ch chan<- prometheus.Metric) {
	if c.source == nil {
		return
	}
	for result, n := range c.source() {
		ch <- prometheus.MustNewConstMetric(c.traces, prometheus.CounterValue, float64(n), result)
	}
}
