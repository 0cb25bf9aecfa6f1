// Package metrics records requests and runs: Prometheus series, the counters of each version
// for the protocol's statistics, and the counters of each variant and shadow of a route, which
// the control API shows beside the weights. Values that other parts keep, drift among them, are
// read at each scrape.
//
// Labels come only from the configuration. The series of a version, a variant or a shadow are
// made at its first request and deleted with it. In between a request costs some atomic
// additions, no lock and no allocation.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

const namespace = "sluice"

// Metrics holds the series of the process and makes those of its versions.
type Metrics struct {
	reg prometheus.Registerer

	requests     *prometheus.CounterVec
	refusals     *prometheus.CounterVec
	runs         *prometheus.CounterVec
	runRequests  *prometheus.CounterVec
	requestTime  *prometheus.HistogramVec
	queueTime    *prometheus.HistogramVec
	runTime      *prometheus.HistogramVec
	batchRows    *prometheus.HistogramVec
	reloadOK     prometheus.Gauge
	reloadOKTime prometheus.Gauge

	variants       *variantVectors
	shadows        *shadowVectors
	breakerChanges *prometheus.CounterVec
	replays        *prometheus.CounterVec
	signals        *signalVectors
	feed           *Feed
}

// New makes the series and registers them, and those of the Go runtime and the process. It
// panics if reg already has one of them.
func New(reg prometheus.Registerer) *Metrics {
	version := []string{"model", "version"}
	coded := []string{"model", "version", "code"}
	m := &Metrics{
		reg: reg,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "requests_total",
			Help: "Requests for which a version was picked, by the code of their answer.",
		}, coded),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "refusals_total",
			Help: "Requests that matched a version's signature, but whose values its model refused.",
		}, version),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "runs_total",
			Help: "Runs of the model, by the code of their result.",
		}, coded),
		runRequests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "run_requests_total",
			Help: "Requests that took part in runs; divided by runs_total, the mean number of joined requests.",
		}, version),
		requestTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "request_duration_seconds", Buckets: secondsBuckets(),
			Help: "Time from the arrival of a request to its answer, of those answered with code ok.",
		}, version),
		queueTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "queue_duration_seconds", Buckets: secondsBuckets(),
			Help: "Time a request waited for its run to begin, of those that were run.",
		}, version),
		runTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "run_duration_seconds", Buckets: secondsBuckets(),
			Help: "Time of the runtime's call, of runs that succeeded.",
		}, version),
		batchRows: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "batch_rows", Buckets: prometheus.ExponentialBuckets(1, 2, 11),
			Help: "Rows of a run, the sum over its requests, of runs that succeeded.",
		}, version),
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "config_last_reload_successful",
			Help: "Whether the last attempt to apply the configuration succeeded.",
		}),
		reloadOKTime: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "config_last_reload_success_timestamp_seconds",
			Help: "Time at which the configuration was last applied.",
		}),
		variants: newVariantVectors(),
		shadows:  newShadowVectors(),
		breakerChanges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "breaker_transitions_total",
			Help: "How often a version's breaker changed its state, by the new state.",
		}, []string{"model", "version", "to"}),
		replays: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "replay_requests_total",
			Help: "Requests of replays that a version answered, by the code of their answer. No other series counts them.",
		}, coded),
		signals: newSignalVectors(),
		feed:    newFeed(),
	}
	reg.MustRegister(
		m.requests, m.refusals, m.runs, m.runRequests, m.requestTime, m.queueTime, m.runTime, m.batchRows, m.reloadOK, m.reloadOKTime,
		m.variants.requests, m.variants.errors, m.variants.refusals, m.variants.requestTime,
		m.shadows.requests, m.shadows.refusals, m.shadows.requestTime, m.shadows.dropped, m.shadows.compared, m.shadows.disagreement, m.breakerChanges, m.replays,
		m.signals.recorded, m.signals.heldBack, m.signals.deliveries, m.signals.deliveryTime, m.feed.posted, m.feed.waiting,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.Reloaded(true, time.Now()) // a gateway that starts has applied its configuration
	return m
}

// secondsBuckets range from the time of a tiny model to the default deadline, in seconds.
func secondsBuckets() []float64 {
	return []float64{
		50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
	}
}

// Reloaded records an attempt to apply the configuration and when it ended.
func (m *Metrics) Reloaded(ok bool, at time.Time) {
	if !ok {
		m.reloadOK.Set(0)
		return
	}
	m.reloadOK.Set(1)
	m.reloadOKTime.Set(float64(at.UnixMilli()) / 1e3)
}
