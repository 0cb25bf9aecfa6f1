package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/api"
)

// signalVectors are the series of signals.
type signalVectors struct {
	recorded, heldBack, deliveries *prometheus.CounterVec
	deliveryTime                   *prometheus.HistogramVec
}

func newSignalVectors() *signalVectors {
	return &signalVectors{
		recorded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "signals_total",
			Help: "Signals recorded in the journal: requests for retraining (retrain) and violations of data quality (dataquality).",
		}, []string{"type", "model"}),
		heldBack: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "signals_held_back_total",
			Help: "Windows whose retraining request was not made, since an earlier one for the model is open (open) or was closed lately (cool_down).",
		}, []string{"model", "why"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "signal_deliveries_total",
			Help: "Attempts to deliver a signal, by their result: delivered or failed.",
		}, []string{"type", "result"}),
		deliveryTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "signal_delivery_duration_seconds",
			Help:    "Time of an attempt to deliver a signal, whatever its result.",
			Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"type"}),
	}
}

// Signals records signals and their deliveries. Its methods are safe for concurrent use. The
// series exist as long as the process: a signal outlives its version.
type Signals struct{ series *signalVectors }

// Signals returns the recorder of signals.
func (m *Metrics) Signals() *Signals { return &Signals{m.signals} }

// Recorded counts a signal that is in the journal.
func (s *Signals) Recorded(kind, model string) {
	s.series.recorded.WithLabelValues(signalType(kind), model).Inc()
}

// HeldBack counts each retraining request that was not made.
func (s *Signals) HeldBack(model, why string) {
	s.series.heldBack.WithLabelValues(model, why).Inc()
}

// Attempted records a delivery that has ended.
func (s *Signals) Attempted(kind string, err error, d time.Duration) {
	kind, result := signalType(kind), "delivered"
	if err != nil {
		result = "failed"
	}
	s.series.deliveries.WithLabelValues(kind, result).Inc()
	s.series.deliveryTime.WithLabelValues(kind).Observe(d.Seconds())
}

// signalType shortens the type of a CloudEvent to a label.
func signalType(kind string) string {
	switch kind {
	case api.TypeRetrainRequested:
		return "retrain"
	case api.TypeDataQualityViolated:
		return "dataquality"
	default:
		return "other"
	}
}

// openCollector reports the open signals at each scrape.
type openCollector struct {
	source       func() (open int, oldest time.Time)
	open, oldest *prometheus.Desc
}

func newOpenCollector(source func() (open int, oldest time.Time)) *openCollector {
	return &openCollector{
		source: source,
		open:   prometheus.NewDesc(namespace+"_signals_open", "Signals that are neither delivered nor closed.", nil, nil),
		oldest: prometheus.NewDesc(namespace+"_signal_oldest_open_timestamp_seconds", "Time at which the oldest of these was recorded; absent if there is none.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *openCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.open
	ch <- c.oldest
}

// Collect implements prometheus.Collector.
func (c *openCollector) Collect(ch chan<- prometheus.Metric) {
	if c.source == nil {
		return
	}
	n, oldest := c.source()
	gauge(ch, c.open, float64(n))
	if n > 0 {
		gauge(ch, c.oldest, float64(oldest.UnixMilli())/1e3)
	}
}
