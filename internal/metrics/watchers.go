package metrics

import "github.com/prometheus/client_golang/prometheus"

// Watchers are the clients of GET /api/v1/watch.
type Watchers struct {
	Open    int   // now
	Slow    int64 // dropped, since they did not read
	Refused int64 // beyond the limit
}

// watcherCollector reports the watchers at each scrape.
type watcherCollector struct {
	source        func() Watchers
	open, dropped *prometheus.Desc
}

func newWatcherCollector(source func() Watchers) *watcherCollector {
	return &watcherCollector{
		source:  source,
		open:    prometheus.NewDesc(namespace+"_watchers", "Clients that watch now.", nil, nil),
		dropped: prometheus.NewDesc(namespace+"_watchers_dropped_total", "Clients that may not watch any more, since they did not read (slow), or were never allowed to, beyond the max number (limit).", []string{"why"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *watcherCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.open
	ch <- c.dropped
}

// Collect implements prometheus.Collector.
func (c *watcherCollector) Collect(ch chan<- prometheus.Metric) {
	if c.source == nil {
		return
	}
	w := c.source()
	gauge(ch, c.open, float64(w.Open))
	ch <- prometheus.MustNewConstMetric(c.dropped, prometheus.CounterValue, float64(w.Slow), "slow")
	ch <- prometheus.MustNewConstMetric(c.dropped, prometheus.CounterValue, float64(w.Refused), "limit")
}
