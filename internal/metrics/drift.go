package metrics

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/api"
)

// maxFindings is how many findings of a stream have series. A model may have thousands of
// features, and the first of them show a change of all.
const maxFindings = 50

// driftCollector turns the state of drift into series at each scrape.
type driftCollector struct {
	source func() []api.DriftStatus

	state, unjudged, windows, rows, dropped, lastRows, effectMax, effect, findingState *prometheus.Desc
}

func newDriftCollector(source func() []api.DriftStatus) *driftCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "drift", name), help, append([]string{"model", "version", "role", "segment"}, labels...), nil)
	}
	finding := []string{"kind", "feature", "statistic"}
	return &driftCollector{
		source: source,

		state:     desc("state", "State of a version in a role against its reference: 0 OK, 1 SUSPECTED, 2 RECOVERING, 3 DETECTED, -1 OFF, -2 UNJUDGED."),
		unjudged:  desc("unjudged_seconds", "Seconds since the end of the last judged window, or since the watch began if no window was judged yet."),
		windows:   desc("windows_total", "Windows that were judged."),
		rows:      desc("rows_total", "Rows that were counted."),
		dropped:   desc("dropped_rows_total", "Rows that were sampled and not counted: there was no room, or the tensors of a request had different numbers of rows."),
		lastRows:  desc("last_window_rows", "Rows of the last window that had enough rows."),
		effectMax: desc("effect_max", "The largest divergence of a feature from the reference in that window, as PSI."),

		effect: desc("finding_effect",
			"Of findings that are not OK: the divergence as PSI, or the share of rows beyond the reference's; the 50 gravest findings of a stream.", finding...),
		findingState: desc("finding_state", "State of these findings: 1 SUSPECTED, 2 RECOVERING, 3 DETECTED.", finding...),
	}
}

// Describe implements prometheus.Collector.
func (c *driftCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.state, c.unjudged, c.windows, c.rows, c.dropped, c.lastRows, c.effectMax, c.effect, c.findingState} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. A stream that is listed twice, while its watch is
// replaced, gets only its first series: a duplicate would fail the whole scrape.
func (c *driftCollector) Collect(ch chan<- prometheus.Metric) {
	if c.source == nil {
		return
	}
	type stream struct {
		model   string
		version int64
		role    string
		segment string
	}
	seen := map[stream]bool{}
	for _, s := range c.source() {
		if key := (stream{s.Model, s.Version, s.Role, s.Segment}); !seen[key] {
			seen[key] = true
			c.collect(ch, &s)
		}
	}
}

func (c *driftCollector) collect(ch chan<- prometheus.Metric, s *api.DriftStatus) {
	labels := []string{s.Model, number(s.Version), s.Role, s.Segment}
	gauge(ch, c.state, driftValue(s.State), labels...)
	if s.State == api.DriftOff {
		return
	}
	gauge(ch, c.unjudged, time.Since(s.UnjudgedSince).Seconds(), labels...)
	for d, n := range map[*prometheus.Desc]uint64{c.windows: s.Windows, c.rows: s.Rows, c.dropped: s.Dropped} {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	if s.Last == nil {
		return
	}
	gauge(ch, c.lastRows, float64(s.Last.Rows), labels...)
	most := 0.0
	for i := range s.Last.Features {
		most = max(most, s.Last.Features[i].Effect)
	}
	gauge(ch, c.effectMax, most, labels...)
	for _, f := range gravest(s.Last) {
		of := append(slices.Clone(labels), f.Kind, f.Feature, f.Statistic)
		gauge(ch, c.effect, f.Effect, of...)
		gauge(ch, c.findingState, driftValue(f.State), of...)
	}
}

// gravest returns at most maxFindings findings that are not OK. Bins and quality get half of
// the places each, and the places that the other leaves.
func gravest(v *api.DriftVerdict) []*api.DriftFinding {
	bins, quality := notOK(v.Features), notOK(v.Quality)
	quality = quality[:min(len(quality), max(maxFindings/2, maxFindings-len(bins)))]
	return append(quality, bins[:min(len(bins), maxFindings-len(quality))]...)
}

// notOK returns the findings that are not OK, the gravest state first. Within a state they keep
// their order, which is by evidence.
func notOK(findings []api.DriftFinding) []*api.DriftFinding {
	var list []*api.DriftFinding
	for i := range findings {
		if driftValue(findings[i].State) != 0 {
			list = append(list, &findings[i])
		}
	}
	slices.SortStableFunc(list, func(a, b *api.DriftFinding) int { return cmp.Compare(driftValue(b.State), driftValue(a.State)) })
	return list
}

// driftValue orders the states by severity. An unknown state is NaN, so that it does not look
// healthy.
func driftValue(state string) float64 {
	switch state {
	case api.DriftUnjudged, api.LossLearning:
		return -2
	case api.DriftOff:
		return -1
	case "OK":
		return 0
	case "SUSPECTED":
		return 1
	case "RECOVERING":
		return 2
	case "DETECTED":
		return 3
	default:
		return math.NaN()
	}
}
