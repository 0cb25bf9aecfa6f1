package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/api"
)

// captureCollector turns the counters of captured traffic into series at each scrape.
type captureCollector struct {
	source                                               func() []api.Captured
	requests, labels, events, failures, damaged, waiting *prometheus.Desc
}

func newCaptureCollector(source func() []api.Captured) *captureCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "capture", name), help, append([]string{"model"}, labels...), nil)
	}
	return &captureCollector{
		source:   source,
		requests: desc("requests_total", "Sampled requests since the start, by what became of them: captured, or the reason why they were dropped.", "result"),
		labels:   desc("labels_total", "Labels of captured requests since the start, by what became of them: captured, or the reason why they were dropped.", "result"),
		events:   desc("events_total", "Events of captured requests since the start, by what became of them: sent, or the reason why they were dropped.", "result"),
		failures: desc("write_failures_total", "Writes of files of captured traffic that failed, and were tried again."),
		damaged:  desc("damaged_files_total", "Files of captured traffic that could not be read, and were skipped."),
		waiting:  desc("waiting_bytes", "Captured data that waits in memory for its file."),
	}
}

// Describe implements prometheus.Collector.
func (c *captureCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.requests, c.labels, c.events, c.failures, c.damaged, c.waiting} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *captureCollector) Collect(ch chan<- prometheus.Metric) {
	if c.source == nil {
		return
	}
	for _, m := range c.source() {
		counter := func(d *prometheus.Desc, n uint64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), append([]string{m.Model}, labels...)...)
		}
		counter(c.requests, m.Captured, "captured")
		for reason, n := range m.Dropped {
			counter(c.requests, n, reason)
		}
		counter(c.labels, m.LabelsCaptured, "captured")
		for reason, n := range m.LabelsDropped {
			counter(c.labels, n, reason)
		}
		if m.EventsDropped != nil {
			counter(c.events, m.EventsSent, "sent")
		}
		for reason, n := range m.EventsDropped {
			counter(c.events, n, reason)
		}
		counter(c.failures, m.Failures)
		counter(c.damaged, m.Damaged)
		gauge(ch, c.waiting, float64(m.Waiting), m.Model)
	}
}
