package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/api"
)

// labelCollector turns the reports on labels into series at each scrape.
type labelCollector struct {
	source func() []api.LabelReport

	rows, predictions, coverage, delay, value, low, high *prometheus.Desc
	estimate, estimateLow, estimateHigh, holds           *prometheus.Desc
	lossState, loss, lossReference, lossLimit            *prometheus.Desc
}

func newLabelCollector(source func() []api.LabelReport) *labelCollector {
	desc := func(subsystem, name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, name), help, append([]string{"model"}, labels...), nil)
	}
	return &labelCollector{
		source: source,

		rows:        desc("label", "rows_total", "Labels that were sent, by what became of them.", "result"),
		predictions: desc("label", "predictions_total", "Rows of sampled predictions since the start: kept, dropped, or cut beyond the max rows of a request; sampled requests that were unread or repeated; and kept rows whose expected loss had no room (estimates_dropped).", "result"),
		coverage:    desc("label", "coverage_ratio", "Share of the kept predictions that have a label, 0 to 1.", "version", "role"),
		delay:       desc("label", "delay_seconds", "Time between a prediction and its label, quantiles of all labels.", "version", "role", "quantile"),
		value:       desc("model", "performance", "Measured performance, by metric: accuracy, log_loss, brier, auc, ece, mae, rmse or bias.", "version", "role", "metric"),
		low:         desc("model", "performance_low", "The lower end of the 95 % interval of the measured performance.", "version", "role", "metric"),
		high:        desc("model", "performance_high", "The upper end of that interval.", "version", "role", "metric"),

		estimate:      desc("model", "performance_estimate", "Performance of all kept predictions that is expected before labels come, by metric.", "version", "role", "metric"),
		estimateLow:   desc("model", "performance_estimate_low", "The lower end of the 95 % interval of the expected performance.", "version", "role", "metric"),
		estimateHigh:  desc("model", "performance_estimate_high", "The upper end of that interval.", "version", "role", "metric"),
		holds:         desc("model", "performance_estimate_holds", "1 if the labels so far agree with the expected performance of their rows, 0 if the estimator was wrong.", "version", "role", "metric"),
		lossState:     desc("loss", "state", "State of the losses of labelled predictions: 0 OK, 1 SUSPECTED, 2 RECOVERING, 3 DETECTED, -2 LEARNING the reference.", "version", "role"),
		loss:          desc("loss", "mean", "Mean loss of labelled predictions in the last window, or since it became too large: error, brier or absolute_error.", "version", "role", "loss"),
		lossReference: desc("loss", "reference", "Mean loss of the reference.", "version", "role", "loss"),
		lossLimit:     desc("loss", "limit", "The mean loss up to which nothing is detected.", "version", "role", "loss"),
	}
}

// Describe implements prometheus.Collector.
func (c *labelCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.rows, c.predictions, c.coverage, c.delay, c.value, c.low, c.high, c.estimate, c.estimateLow, c.estimateHigh, c.holds, c.lossState, c.loss, c.lossReference, c.lossLimit} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *labelCollector) Collect(ch chan<- prometheus.Metric) {
	if c.source == nil {
		return
	}
	for _, r := range c.source() {
		counter := func(d *prometheus.Desc, n uint64, result string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), r.Model, result)
		}
		for result, n := range map[string]uint64{
			api.LabelJoined: r.Labels.Joined, api.LabelUnknown: r.Labels.Unknown, api.LabelLate: r.Labels.Late,
			api.LabelDuplicate: r.Labels.Duplicate, api.LabelContradictory: r.Labels.Contradictory, api.LabelInvalid: r.Labels.Invalid,
		} {
			counter(c.rows, n, result)
		}
		for result, n := range map[string]uint64{
			"kept": r.Kept.Kept, "dropped": r.Kept.Dropped, "cut": r.Kept.Cut, "unread": r.Kept.Unread, "repeated": r.Kept.Repeated,
			"estimates_dropped": r.Kept.EstimatesDropped,
		} {
			counter(c.predictions, n, result)
		}
		c.streams(ch, &r)
		c.losses(ch, &r)
	}
}

// losses collects whether the predictions of a model became worse.
func (c *labelCollector) losses(ch chan<- prometheus.Metric, r *api.LabelReport) {
	for i := range r.Losses {
		s := &r.Losses[i]
		of := []string{r.Model, number(s.Version), s.Role}
		gauge(ch, c.lossState, driftValue(s.State), of...)
		for _, f := range s.Findings {
			name := append(slices.Clone(of), f.Loss)
			gauge(ch, c.loss, f.Value, name...)
			gauge(ch, c.lossReference, f.Reference, name...)
			gauge(ch, c.lossLimit, f.Reference+f.Limit, name...)
		}
	}
}

// streams collects the streams of a model. If the settings changed, a version has several in a
// role; only the one with the most predictions has series, since a duplicate would fail the scrape.
func (c *labelCollector) streams(ch chan<- prometheus.Metric, r *api.LabelReport) {
	type stream struct {
		version int64
		role    string
	}
	most := map[stream]*api.LabelStream{}
	for i := range r.Streams {
		s := &r.Streams[i]
		if key := (stream{s.Version, s.Role}); s.Segment == "" && (most[key] == nil || most[key].Predictions < s.Predictions) {
			most[key] = s
		}
	}
	for _, s := range most {
		of := []string{r.Model, number(s.Version), s.Role}
		gauge(ch, c.coverage, s.Coverage, of...)
		if s.Delay != nil {
			gauge(ch, c.delay, time.Duration(s.Delay.Median).Seconds(), append(of, "0.5")...)
			gauge(ch, c.delay, time.Duration(s.Delay.P90).Seconds(), append(of, "0.9")...)
		}
		for i := range s.Metrics {
			m := &s.Metrics[i]
			gauge(ch, c.value, m.Value, append(of, m.Name)...)
			if m.Low != nil && m.High != nil {
				gauge(ch, c.low, *m.Low, append(of, m.Name)...)
				gauge(ch, c.high, *m.High, append(of, m.Name)...)
			}
		}
		c.estimates(ch, s.Estimates, of)
	}
}

// estimates collects the estimates of a stream.
func (c *labelCollector) estimates(ch chan<- prometheus.Metric, list []api.LabelEstimate, of []string) {
	for i := range list {
		e := &list[i]
		of := append(slices.Clone(of), e.Name)
		gauge(ch, c.estimate, e.Value, of...)
		if e.Low != nil && e.High != nil {
			gauge(ch, c.estimateLow, *e.Low, of...)
			gauge(ch, c.estimateHigh, *e.High, of...)
		}
		if e.Check != nil && e.Check.Holds != nil {
			holds := 0.0
			if *e.Check.Holds {
				holds = 1
			}
			gauge(ch, c.holds, holds, of...)
		}
	}
}
