package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/api"
)

// retrainCollector turns the last retraining of each model into series at each scrape.
type retrainCollector struct {
	source func() []api.Retraining // the newest first

	state, changed, ended *prometheus.Desc
}

func newRetrainCollector(source func() []api.Retraining) *retrainCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "retraining", name), help, append([]string{"model"}, labels...), nil)
	}
	return &retrainCollector{
		source: source,

		state:   desc("state", "1 for the state of the last retraining of a model.", "state", "trainer"),
		changed: desc("changed_timestamp_seconds", "When the state of the last retraining changed last."),
		ended:   desc("ended", "Ended retrainings that the gateway still knows, by their last state.", "state"),
	}
}

// Describe implements prometheus.Collector.
func (c *retrainCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.state, c.changed, c.ended} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *retrainCollector) Collect(ch chan<- prometheus.Metric) {
	if c.source == nil {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	list, seen, ended := c.source(), map[string]bool{}, map[[2]string]int{}
	for i := range list {
		r := &list[i]
		if r.Final() {
			ended[[2]string{r.Model, r.State}]++
		}
		if seen[r.Model] {
			continue
		}
		seen[r.Model] = true
		gauge(c.state, 1, r.Model, r.State, r.Trainer)
		const nano = 1e9
		gauge(c.changed, float64(r.ChangedAt.UnixNano())/nano, r.Model)
	}
	for key, n := range ended {
		gauge(c.ended, float64(n), key[0], key[1])
	}
}
