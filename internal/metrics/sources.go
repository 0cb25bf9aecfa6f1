package metrics

import (
	"runtime"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/internal/infer"
)

// Sources are what other parts know and a scrape asks them for. Each function
// must be safe for concurrent use and quick; a nil one leaves its series out.
type Sources struct {
	Version  string // of the gateway
	Revision string // of the source code
	Runtime  string // "ONNX Runtime 1.24.1"

	Models        func() map[string]int          // how many versions are in each state
	TableRevision func() int64                   // of the routing table
	InFlight      func() int64                   // requests accepted and not yet answered
	Queued        func() map[infer.Version]int64 // requests that wait for a run
	Unrouted      func() map[string]int64        // requests refused before a version was picked, by code, since the start
	RuntimeMemory func() map[string]int64        // bytes outside Go's heap by purpose
}

// Watch registers the series of the sources. It may be called once.
func (m *Metrics) Watch(s Sources) {
	m.reg.MustRegister(newSourceCollector(s))
}

// sourceCollector turns sources into series at each scrape.
type sourceCollector struct {
	sources                                                     Sources
	build, models, revision, inFlight, queued, unrouted, memory *prometheus.Desc
}

func newSourceCollector(s Sources) *sourceCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	return &sourceCollector{
		sources:  s,
		build:    desc("build_info", "Always 1; the labels say which build this is.", "version", "revision", "goversion", "runtime"),
		models:   desc("model_versions", "Versions that the registry knows, by state.", "state"),
		revision: desc("table_revision", "How often the routing table was replaced."),
		inFlight: desc("requests_in_flight", "Requests accepted and not yet answered."),
		queued:   desc("queued_requests", "Requests that wait for a run.", "model", "version"),
		unrouted: desc("unrouted_requests_total", "Inference requests refused before a version was picked, by the code of their answer.", "code"),
		memory:   desc("runtime_memory_bytes", "Bytes that the runtime's buffers hold outside Go's heap, by purpose.", "purpose"),
	}
}

// Describe implements prometheus.Collector.
func (c *sourceCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.build, c.models, c.revision, c.inFlight, c.queued, c.unrouted, c.memory} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *sourceCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	s := &c.sources
	gauge(c.build, 1, s.Version, s.Revision, runtime.Version(), s.Runtime)
	if s.Models != nil {
		for state, n := range s.Models() {
			gauge(c.models, float64(n), state)
		}
	}
	if s.TableRevision != nil {
		gauge(c.revision, float64(s.TableRevision()))
	}
	if s.InFlight != nil {
		gauge(c.inFlight, float64(s.InFlight()))
	}
	if s.Queued != nil {
		for v, n := range s.Queued() {
			gauge(c.queued, float64(n), v.Model, strconv.FormatInt(v.Number, 10))
		}
	}
	if s.Unrouted != nil {
		for code, n := range s.Unrouted() {
			ch <- prometheus.MustNewConstMetric(c.unrouted, prometheus.CounterValue, float64(n), code)
		}
	}
	if s.RuntimeMemory != nil {
		for purpose, n := range s.RuntimeMemory() {
			gauge(c.memory, float64(n), purpose)
		}
	}
}
