package metrics

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// dropReasons are the reasons with a counter. Any other counts as dropOther, so that the number
// of series is bounded.
var dropReasons = [...]string{
	api.DropQueueFull, api.DropQueueBytes, api.DropExpired, api.DropPrimaryBusy, api.DropStopped, dropOther,
}

const dropOther = "other"

// shadowVectors are the series of all shadows of routes.
type shadowVectors struct {
	requests, refusals, dropped, compared, disagreement *prometheus.CounterVec
	requestTime                                         *prometheus.HistogramVec
}

func newShadowVectors() *shadowVectors {
	return &shadowVectors{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "shadow_requests_total",
			Help: "Copies of a route's requests that a shadow answered, by the code of its answer.",
		}, []string{"route", "model", "version", "code"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "shadow_refusals_total",
			Help: "Copies of a route's requests whose values the shadow's model refused, although another version answered them.",
		}, []string{"route", "model", "version"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "shadow_dropped_total",
			Help: "Copies of a route's requests that a shadow never answered, by the reason.",
		}, []string{"route", "model", "version", "reason"}),
		compared: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "shadow_compared_total",
			Help: "Copies of a route's requests whose answers were compared with those that callers got.",
		}, []string{"route", "model", "version"}),
		disagreement: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "shadow_disagreement_total",
			Help: "Sum of the shares of rows of each compared copy whose answers disagree: divided by shadow_compared_total it is the mean share.",
		}, []string{"route", "model", "version"}),
		requestTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "shadow_duration_seconds", Buckets: secondsBuckets(),
			Help: "Time that a shadow took for a copy, of those it answered with code ok.",
		}, []string{"route", "model", "version"}),
	}
}

// Shadow records for a shadow of a route. Its methods are safe for concurrent use.
type Shadow struct {
	metrics *Metrics
	labels  []string // route, model, version
	total   tally
	dropped [len(dropReasons)]atomic.Int64
	times   durations // of answered copies
	recent  recent
	series  atomic.Pointer[shadowSeries] // nil before the first copy and after Delete
	life    life
}

type shadowSeries struct {
	requests    byCode
	refusals    lazyCounter
	dropped     [len(dropReasons)]lazyCounter
	requestTime prometheus.Observer

	compared, disagreement prometheus.Counter
}

// Shadow returns the recorder of a shadow of a route. It has no series before the first copy.
// There should be one per shadow at a time, as with Variant.
func (m *Metrics) Shadow(route, model string, version int64) *Shadow {
	s := &Shadow{metrics: m, labels: []string{route, model, number(version)}}
	s.recent.start(time.Now())
	return s
}

// Dropped records a copy that was dropped, for one of the reasons in package api.
func (s *Shadow) Dropped(reason string) {
	i := slices.Index(dropReasons[:], reason)
	if i < 0 {
		i = len(dropReasons) - 1
	}
	s.dropped[i].Add(1)
	series := s.current()
	if series == nil {
		return
	}
	if !counted(&series.dropped[i]) {
		s.life.first(&series.dropped[i], s.metrics.shadows.dropped, s.labels[0], s.labels[1], s.labels[2], dropReasons[i])
	}
}

// Answered records a copy that the shadow has answered with err, and the time of the answer.
// Another version has served each request that is copied, so each code except for ok and
// canceled is a failure of the shadow, also if it refuses the values.
func (s *Shadow) Answered(err error, elapsed time.Duration) {
	code := known(infer.CodeOf(err))
	e := ending{failed: code != infer.OK && code != infer.Canceled, refused: code == infer.Invalid && errors.Is(err, infer.ErrRefused)}
	s.total.count(e)
	if code == infer.OK {
		s.times[bucket(elapsed)].Add(1)
	}
	s.recent.observe(code, e, elapsed)
	series := s.current()
	if series == nil {
		return
	}
	if code == infer.OK {
		series.requestTime.Observe(elapsed.Seconds())
	}
	if e.refused && !counted(&series.refusals) {
		s.life.first(&series.refusals, s.metrics.shadows.refusals, s.labels...)
	}
	if !counted(&series.requests[code]) {
		s.life.first(&series.requests[code], s.metrics.shadows.requests, s.labels[0], s.labels[1], s.labels[2], code.String())
	}
}

// Compared records the comparison of a copy's answer with the one that the caller got: the share of its rows
// that disagree.
func (s *Shadow) Compared(disagreement float64) {
	if series := s.current(); series != nil {
		series.compared.Inc()
		series.disagreement.Add(disagreement)
	}
}

// Snapshot returns the counts since this Shadow was made, and the recent ones. answered
// includes errors; dropped has the reasons that have occurred.
func (s *Shadow) Snapshot(now time.Time) (answered, errors int64, dropped map[string]int64, recent api.Recent) {
	total := s.total.snapshot()
	dropped = map[string]int64{}
	for i, reason := range dropReasons {
		if n := s.dropped[i].Load(); n > 0 {
			dropped[reason] = n
		}
	}
	return total.Requests, total.Errors, dropped, s.recent.snapshot(now)
}

// Totals returns the answered copies and the errors among them since this Shadow was made.
func (s *Shadow) Totals() (answered, errors int64) {
	return s.total.requests.Load(), s.total.errors.Load()
}

// AddTimes adds the number of copies answered with code ok by their latency to to, which has Buckets elements.
func (s *Shadow) AddTimes(to []int64) { s.times.addTo(to) }

// Delete removes the shadow's series for good: a copy that ends later does not bring them back.
func (s *Shadow) Delete() {
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	s.life.over = true
	if s.series.Swap(nil) == nil {
		return
	}
	v := s.metrics.shadows
	own := prometheus.Labels{"route": s.labels[0], "model": s.labels[1], "version": s.labels[2]}
	v.requestTime.DeleteLabelValues(s.labels...)
	v.requests.DeletePartialMatch(own)
	v.refusals.DeletePartialMatch(own)
	v.dropped.DeletePartialMatch(own)
	v.compared.DeletePartialMatch(own)
	v.disagreement.DeletePartialMatch(own)
}

// current returns the series, nil after they were deleted.
func (s *Shadow) current() *shadowSeries {
	if series := s.series.Load(); series != nil {
		return series
	}
	return s.makeSeries()
}

func (s *Shadow) makeSeries() *shadowSeries {
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	if series := s.series.Load(); series != nil || s.life.over {
		return series
	}
	v := s.metrics.shadows
	series := &shadowSeries{
		requestTime: v.requestTime.WithLabelValues(s.labels...), compared: v.compared.WithLabelValues(s.labels...), disagreement: v.disagreement.WithLabelValues(s.labels...),
	}
	s.series.Store(series)
	return series
}
