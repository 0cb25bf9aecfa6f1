package metrics

import (
	"math"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Sources are functions of other parts that a scrape calls. Each must be safe for concurrent
// use and fast; a nil one leaves its series out.
type Sources struct {
	Version  string // of the gateway
	Revision string // of the source code
	Runtime  string // "ONNX Runtime 1.24.1"

	Models        func() map[string]int            // the number of versions in each state
	TableRevision func() int64                     // of the routing table
	InFlight      func() int64                     // requests accepted and not yet answered
	Queued        func() map[infer.Version]int64   // requests that wait for a run
	RunTimes      func() map[infer.Version]RunTime // of the most used shapes
	Unrouted      func() map[string]int64          // requests refused before a version was picked, by code, since the start
	RuntimeMemory func() map[string]int64          // bytes outside Go's heap by purpose

	Breakers     func() map[infer.Version]string    // "closed", "half-open" or "open"
	Routes       func() []api.Route                 // the declared ones
	ShadowQueues func() map[infer.Version]QueueSize // of the copies that wait for a shadow
	Journal      func() (events, bytes int64)       // the number of events, and the size of the file

	History func() (bytes int64, since time.Time) // the memory of rates and latencies, and since when they are complete

	// Callers are the counters of each caller, if they are counted.
	Callers func() map[string]CallerCounts

	// Certificates are those of the listeners that speak TLS, by the listener's name.
	Certificates func() map[string]Certificate
	Issuers      func() []Issuer // of tokens
	Watchers     func() Watchers // of the admin port

	// Traces counts traced requests and runs by what became of them.
	Traces func() map[string]int64

	Drift       func() []api.DriftStatus            // of each version in a role that is compared with a reference
	Labels      func() []api.LabelReport            // of each model of which predictions are or were kept
	Rollouts    func() []api.Rollout                // the last one of each route
	Retrainings func() []api.Retraining             // those in progress and the last ones, the newest first
	Captured    func() []api.Captured               // of each model of which something is captured, without what the bucket has
	Signals     func() (open int, oldest time.Time) // the number of signals neither delivered nor closed, and when the oldest was recorded
}

// RunTime is the time of a version's runs: Fixed + PerRow · rows.
type RunTime struct{ Fixed, PerRow time.Duration }

// Certificate is the state of a listener's TLS certificate.
type Certificate struct {
	Valid            bool // the files can be used, and the certificate is within its time
	NotAfter         time.Time
	FailedHandshakes int64
}

// QueueSize is the number of requests that wait in a queue, and their bytes.
type QueueSize struct {
	Requests int
	Bytes    int64
}

// Watch registers the series of the sources. It may be called once.
func (m *Metrics) Watch(s Sources) {
	m.reg.MustRegister(newSourceCollector(s), newDriftCollector(s.Drift), newCertificateCollector(s.Certificates), newIssuerCollector(s.Issuers),
		newCallerCollector(s.Callers), newOpenCollector(s.Signals), newTraceCollector(s.Traces))
	m.reg.MustRegister(newLabelCollector(s.Labels), newCaptureCollector(s.Captured), newRolloutCollector(s.Rollouts), newRetrainCollector(s.Retrainings), newWatcherCollector(s.Watchers))
}

// sourceCollector turns sources into series at each scrape.
type sourceCollector struct {
	sources                                                     Sources
	build, models, revision, inFlight, queued, unrouted, memory *prometheus.Desc
	runTime                                                     *prometheus.Desc
	breaker, routeRevision, routeWeight                         *prometheus.Desc
	shadowRequests, shadowBytes, journalEvents, journalBytes    *prometheus.Desc
	historyBytes, historySince                                  *prometheus.Desc
}

func newSourceCollector(s Sources) *sourceCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	return &sourceCollector{
		sources:  s,
		build:    desc("build_info", "Always 1; the labels identify the build.", "version", "revision", "goversion", "runtime"),
		models:   desc("model_versions", "Versions that the registry knows, by state.", "state"),
		revision: desc("table_revision", "How often the routing table was replaced."),
		inFlight: desc("requests_in_flight", "Requests accepted and not yet answered."),
		queued:   desc("queued_requests", "Requests that wait for a run.", "model", "version"),
		runTime:  desc("batch_cost_seconds", "Time of a run, as fitted for the version's most used shape: a fixed part, and a part per row.", "model", "version", "term"),
		unrouted: desc("unrouted_requests_total", "Inference requests that were refused before a version was picked, by the code of their answer.", "code"),
		memory:   desc("runtime_memory_bytes", "Bytes that the runtime's buffers hold outside Go's heap, by purpose.", "purpose"),

		breaker:        desc("breaker_state", "State of a version's breaker: 0 closed, 1 half-open, 2 open.", "model", "version"),
		routeRevision:  desc("route_revision", "Revision of a declared route.", "route"),
		routeWeight:    desc("route_weight_ratio", "A variant's share of its route's traffic as declared, 0 to 1.", "route", "version", "role"),
		shadowRequests: desc("shadow_queued_requests", "Copies that wait for a shadow.", "model", "version"),
		shadowBytes:    desc("shadow_queued_bytes", "Bytes of the copies that wait for a shadow.", "model", "version"),
		journalEvents:  desc("journal_events", "Events in the journal."),
		journalBytes:   desc("journal_bytes", "Size of the journal."),
		historyBytes:   desc("history_bytes", "Memory of the rates and latencies that are kept for GET /api/v1/history, about."),
		historySince:   desc("history_complete_since_timestamp_seconds", "Since when these rates and latencies are complete."),
	}
}

// Describe implements prometheus.Collector.
func (c *sourceCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.build, c.models, c.revision, c.inFlight, c.queued, c.runTime, c.unrouted, c.memory,
		c.breaker, c.routeRevision, c.routeWeight, c.shadowRequests, c.shadowBytes, c.journalEvents, c.journalBytes,
		c.historyBytes, c.historySince,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *sourceCollector) Collect(ch chan<- prometheus.Metric) {
	s := &c.sources
	gauge(ch, c.build, 1, s.Version, s.Revision, runtime.Version(), s.Runtime)
	if s.Models != nil {
		for state, n := range s.Models() {
			gauge(ch, c.models, float64(n), state)
		}
	}
	if s.TableRevision != nil {
		gauge(ch, c.revision, float64(s.TableRevision()))
	}
	if s.InFlight != nil {
		gauge(ch, c.inFlight, float64(s.InFlight()))
	}
	if s.Queued != nil {
		for v, n := range s.Queued() {
			gauge(ch, c.queued, float64(n), v.Model, number(v.Number))
		}
	}
	if s.RunTimes != nil {
		for v, t := range s.RunTimes() {
			gauge(ch, c.runTime, t.Fixed.Seconds(), v.Model, number(v.Number), "fixed")
			gauge(ch, c.runTime, t.PerRow.Seconds(), v.Model, number(v.Number), "per_row")
		}
	}
	if s.Unrouted != nil {
		for code, n := range s.Unrouted() {
			ch <- prometheus.MustNewConstMetric(c.unrouted, prometheus.CounterValue, float64(n), code)
		}
	}
	if s.RuntimeMemory != nil {
		for purpose, n := range s.RuntimeMemory() {
			gauge(ch, c.memory, float64(n), purpose)
		}
	}
	if s.Journal != nil {
		events, bytes := s.Journal()
		gauge(ch, c.journalEvents, float64(events))
		gauge(ch, c.journalBytes, float64(bytes))
	}
	if s.History != nil {
		bytes, since := s.History()
		gauge(ch, c.historyBytes, float64(bytes))
		gauge(ch, c.historySince, float64(since.UnixMilli())/1e3)
	}
	c.collectRouting(ch)
}

func (c *sourceCollector) collectRouting(ch chan<- prometheus.Metric) {
	s := &c.sources
	if s.Breakers != nil {
		for v, state := range s.Breakers() {
			gauge(ch, c.breaker, breakerValue(state), v.Model, number(v.Number))
		}
	}
	if s.Routes != nil {
		for _, r := range s.Routes() {
			gauge(ch, c.routeRevision, float64(r.Revision), r.Name)
			for _, v := range r.Variants {
				gauge(ch, c.routeWeight, float64(v.Weight)/api.TotalWeight, r.Name, number(v.Version), v.Role)
			}
		}
	}
	if s.ShadowQueues != nil {
		for v, size := range s.ShadowQueues() {
			gauge(ch, c.shadowRequests, float64(size.Requests), v.Model, number(v.Number))
			gauge(ch, c.shadowBytes, float64(size.Bytes), v.Model, number(v.Number))
		}
	}
}

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

// number formats a version as a label.
func number(version int64) string { return strconv.FormatInt(version, 10) }

// breakerValue orders the states by how much they block. An unknown state is NaN, so that it
// does not look healthy.
func breakerValue(state string) float64 {
	switch state {
	case "closed":
		return 0
	case "half-open":
		return 1
	case "open":
		return 2
	default:
		return math.NaN()
	}
}
