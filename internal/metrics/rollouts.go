package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/api"
)

// rolloutCollector turns the last rollout of each route into series at each scrape.
type rolloutCollector struct {
	source func() []api.Rollout

	state, weight, evidence, rollbacks *prometheus.Desc
}

func newRolloutCollector(source func() []api.Rollout) *rolloutCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "rollout", name), help, append([]string{"route", "model"}, labels...), nil)
	}
	return &rolloutCollector{
		source: source,

		state:     desc("state", "1 for the state of the last rollout of a route.", "version", "state"),
		weight:    desc("weight_ratio", "Share of the route's requests that the version of the last rollout gets, 0 to 1.", "version"),
		evidence:  desc("evidence_ratio", "Evidence of a guardrail that the version is worse, divided by the threshold: at 1 it regresses.", "version", "guardrail"),
		rollbacks: desc("rollbacks", "Rollbacks of the route in a row; with 2 it is frozen."),
	}
}

// Describe implements prometheus.Collector.
func (c *rolloutCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.state, c.weight, c.evidence, c.rollbacks} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *rolloutCollector) Collect(ch chan<- prometheus.Metric) {
	if c.source == nil {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, r := range c.source() {
		route, version := r.Spec.Route, strconv.FormatInt(r.Spec.Version, 10)
		gauge(c.state, 1, route, r.Model, version, r.State)
		gauge(c.weight, float64(r.Weight)/api.TotalWeight, route, r.Model, version)
		gauge(c.rollbacks, float64(r.Rollbacks), route, r.Model)
		for i := range r.Evidence {
			e := &r.Evidence[i]
			gauge(c.evidence, e.EValue/e.Threshold, route, r.Model, version, e.Guardrail)
		}
	}
}
