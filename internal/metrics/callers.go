package metrics

import "github.com/prometheus/client_golang/prometheus"

// CallerCounts are the counters of one caller.
type CallerCounts struct {
	Requests map[string]int64 // answered requests by code
	Limited  int64            // requests that a limit of the caller has refused
}

// callerCollector reports the requests of callers at each scrape.
type callerCollector struct {
	source            func() map[string]CallerCounts
	requests, limited *prometheus.Desc
}

func newCallerCollector(source func() map[string]CallerCounts) *callerCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "caller", name), help, labels, nil)
	}
	return &callerCollector{
		source:   source,
		requests: desc("requests_total", "Answered requests of a caller to the data plane, by code. Callers beyond metrics.max_callers are other.", "caller", "code"),
		limited:  desc("limited_total", "Requests that a limit of their caller has refused.", "caller"),
	}
}

// Describe implements prometheus.Collector.
func (c *callerCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.requests
	ch <- c.limited
}

// Collect implements prometheus.Collector.
func (c *callerCollector) Collect(ch chan<- prometheus.Metric) {
	if c.source == nil {
		return
	}
	for caller, counts := range c.source() {
		for code, n := range counts.Requests {
			ch <- prometheus.MustNewConstMetric(c.requests, prometheus.CounterValue, float64(n), caller, code)
		}
		ch <- prometheus.MustNewConstMetric(c.limited, prometheus.CounterValue, float64(counts.Limited), caller)
	}
}
