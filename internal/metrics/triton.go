package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/internal/infer"
)

// TritonVersion has the values of a version for WatchTriton.
type TritonVersion struct {
	Statistics
	Pending int64 // requests that wait for a run
}

// WatchTriton registers the series nv_inference_* under Triton's names, labels and units, for dashboards
// and tools that read those. versions is called by each scrape; it must be safe for concurrent use and
// fast. WatchTriton may be called once.
func (m *Metrics) WatchTriton(versions func() map[infer.Version]TritonVersion) {
	m.reg.MustRegister(newTritonCollector(versions))
}

// tritonCollector turns the counters of versions into Triton's series at each scrape.
type tritonCollector struct {
	versions func() map[infer.Version]TritonVersion
	failure  *prometheus.Desc
	pending  *prometheus.Desc
	counters []tritonCounter
}

type tritonCounter struct {
	desc  *prometheus.Desc
	value func(v *TritonVersion) uint64
}

func newTritonCollector(versions func() map[infer.Version]TritonVersion) *tritonCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("nv_inference_"+name, help, append([]string{"model", "version"}, labels...), nil)
	}
	const perUS = 1000 // nanoseconds
	return &tritonCollector{
		versions: versions,
		failure:  desc("request_failure", "Number of failed inference requests, all batch sizes", "reason"),
		pending:  desc("pending_request_count", "Instantaneous number of pending requests awaiting execution per-model."),
		counters: []tritonCounter{
			{desc("request_success", "Number of successful inference requests, all batch sizes"), func(v *TritonVersion) uint64 { return v.Success.Count }},
			{desc("count", "Number of inferences performed (does not include cached requests)"), func(v *TritonVersion) uint64 { return v.InferenceCount }},
			{desc("exec_count", "Number of model executions performed (does not include cached requests)"), func(v *TritonVersion) uint64 { return v.ExecutionCount }},
			{desc("request_duration_us", "Cumulative inference request duration in microseconds (includes cached requests)"), func(v *TritonVersion) uint64 { return v.Success.NS / perUS }},
			{desc("queue_duration_us", "Cumulative inference queuing duration in microseconds (includes cached requests)"), func(v *TritonVersion) uint64 { return v.Queue.NS / perUS }},
			{desc("compute_input_duration_us", "Cumulative compute input duration in microseconds (does not include cached requests)"), func(v *TritonVersion) uint64 { return v.ComputeInput.NS / perUS }},
			{desc("compute_infer_duration_us", "Cumulative compute inference duration in microseconds (does not include cached requests)"), func(v *TritonVersion) uint64 { return v.ComputeInfer.NS / perUS }},
			{desc("compute_output_duration_us", "Cumulative inference compute output duration in microseconds (does not include cached requests)"), func(v *TritonVersion) uint64 { return v.ComputeOutput.NS / perUS }},
		},
	}
}

// Describe implements prometheus.Collector.
func (c *tritonCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.failure
	ch <- c.pending
	for i := range c.counters {
		ch <- c.counters[i].desc
	}
}

// Collect implements prometheus.Collector.
func (c *tritonCollector) Collect(ch chan<- prometheus.Metric) {
	for version, v := range c.versions() {
		labels := []string{version.Model, number(version.Number)}
		count := func(d *prometheus.Desc, n uint64, more ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), append(labels[:2:2], more...)...)
		}
		for i := range c.counters {
			count(c.counters[i].desc, c.counters[i].value(&v))
		}
		named := v.Rejected + v.Canceled + v.Backend
		count(c.failure, v.Rejected, "REJECTED")
		count(c.failure, v.Canceled, "CANCELED")
		count(c.failure, v.Backend, "BACKEND")
		count(c.failure, max(v.Fail.Count, named)-named, "OTHER") // the counters are not read at one moment
		gauge(ch, c.pending, float64(v.Pending), labels...)
	}
}
