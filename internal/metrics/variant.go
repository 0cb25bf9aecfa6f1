package metrics

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// variantVectors are the series of all variants of routes.
type variantVectors struct {
	requests, errors, refusals *prometheus.CounterVec
	requestTime                *prometheus.HistogramVec
}

func newVariantVectors() *variantVectors {
	variant := []string{"route", "model", "version", "role"}
	return &variantVectors{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "route_requests_total",
			Help: "Requests assigned to a variant of a route, by the reason and by their code for the variant; those that the fallback served have the code unavailable.",
		}, []string{"route", "model", "version", "role", "reason", "code"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "route_errors_total",
			Help: "Requests that a variant of a route failed, including those that the fallback served, without errors of callers.",
		}, variant),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "route_refusals_total",
			Help: "Requests that matched the signature of a variant of a route, but whose values its model refused.",
		}, variant),
		requestTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "route_request_duration_seconds", Buckets: secondsBuckets(),
			Help: "Time from the arrival of a request to its answer, of those that the variant itself answered with code ok.",
		}, variant),
	}
}

// Variant records for a variant of a route. Its methods are safe for concurrent use.
type Variant struct {
	metrics *Metrics
	labels  []string // route, model, version, role
	total   tally
	times   durations // of answered requests
	recent  recent
	series  atomic.Pointer[variantSeries] // nil before the first request and after Delete
	life    life
}

type variantSeries struct {
	sticky, random byCode
	fallback       lazyCounter
	refusals       lazyCounter
	errors         prometheus.Counter
	requestTime    prometheus.Observer
}

// Variant returns the recorder of a variant of a route. It has no series before the first
// request. There should be one per variant at a time: two share the series, but not their own
// counts, and the Delete of one removes the series of the other.
func (m *Metrics) Variant(route, model string, version int64, role string) *Variant {
	v := &Variant{metrics: m, labels: []string{route, model, number(version), role}}
	v.recent.start(time.Now())
	return v
}

// Observe records a request that ended with err, elapsed after its arrival, for the variant
// that it was assigned to. With the reason fallback it is a failure of the variant, whatever
// the answer of the fallback. A request that its route did not assign (pinned, override,
// default) is ignored.
func (v *Variant) Observe(reason infer.Reason, err error, elapsed time.Duration) {
	code, fallback := infer.CodeOf(err), reason == infer.ReasonFallback
	switch {
	case fallback:
		code = infer.Unavailable
	case reason != infer.ReasonSticky && reason != infer.ReasonRandom:
		return
	}
	code = known(code)
	e := ending{
		failed: ownFailure(code), fallback: fallback, refused: code == infer.Invalid && errors.Is(err, infer.ErrRefused),
		random: reason == infer.ReasonRandom,
	}
	v.total.count(e)
	if code == infer.OK {
		v.times[bucket(elapsed)].Add(1)
	}
	v.recent.observe(code, e, elapsed)

	s := v.current()
	if s == nil {
		return
	}
	v.count(s.counter(reason, code), reason, code)
	if e.failed {
		s.errors.Inc()
	}
	if e.refused && !counted(&s.refusals) {
		v.life.first(&s.refusals, v.metrics.variants.refusals, v.labels...)
	}
	if code == infer.OK {
		s.requestTime.Observe(elapsed.Seconds())
	}
}

// ownFailure reports whether a code is a failure of the version, and not an error or a
// cancellation by the caller.
func ownFailure(code infer.Code) bool {
	switch code {
	case infer.Internal, infer.Deadline, infer.Unavailable, infer.Overloaded:
		return true
	default:
		return false
	}
}

// Snapshot returns the counts since this Variant was made, and the recent ones.
func (v *Variant) Snapshot(now time.Time) (total api.VariantCount, recent api.Recent) {
	return v.total.snapshot(), v.recent.snapshot(now)
}

// Totals returns the requests and the variant's own failures since this Variant was made.
func (v *Variant) Totals() (requests, errors int64) {
	return v.total.requests.Load(), v.total.errors.Load()
}

// AddTimes adds the number of answered requests by their latency to to, which has Buckets elements.
func (v *Variant) AddTimes(to []int64) { v.times.addTo(to) }

// Slower returns how many requests were answered since this Variant was made, and how many of them took longer
// than an objective, up to an eighth of it.
func (v *Variant) Slower(objective time.Duration) (answered, slower int64) {
	first := bucket(objective) + 1 // the objective is within its own bucket
	for i := range v.times {
		n := v.times[i].Load()
		answered += n
		if i >= first {
			slower += n
		}
	}
	return answered, slower
}

// Percentile returns a percentile of the latency of the requests that were answered since this Variant was made, 0
// if there were none.
func (v *Variant) Percentile(percent uint64) time.Duration {
	var counts [buckets]uint64
	for i := range v.times {
		counts[i] = uint64(v.times[i].Load()) //nolint:gosec // a count
	}
	return quantile(&counts, percent)
}

// Delete removes the variant's series for good: a request that ends later does not bring them
// back.
func (v *Variant) Delete() {
	v.life.mu.Lock()
	defer v.life.mu.Unlock()
	v.life.over = true
	if v.series.Swap(nil) == nil {
		return
	}
	vectors := v.metrics.variants
	vectors.errors.DeleteLabelValues(v.labels...)
	vectors.refusals.DeleteLabelValues(v.labels...)
	vectors.requestTime.DeleteLabelValues(v.labels...)
	vectors.requests.DeletePartialMatch(prometheus.Labels{
		"route": v.labels[0], "model": v.labels[1], "version": v.labels[2], "role": v.labels[3],
	})
}

// current returns the series, nil after they were deleted.
func (v *Variant) current() *variantSeries {
	if s := v.series.Load(); s != nil {
		return s
	}
	return v.makeSeries()
}

func (v *Variant) makeSeries() *variantSeries {
	v.life.mu.Lock()
	defer v.life.mu.Unlock()
	if s := v.series.Load(); s != nil || v.life.over {
		return s
	}
	vectors := v.metrics.variants
	s := &variantSeries{errors: vectors.errors.WithLabelValues(v.labels...), requestTime: vectors.requestTime.WithLabelValues(v.labels...)}
	v.series.Store(s)
	return s
}

func (s *variantSeries) counter(reason infer.Reason, code infer.Code) *lazyCounter {
	switch reason {
	case infer.ReasonFallback:
		return &s.fallback
	case infer.ReasonSticky:
		return &s.sticky[code]
	default:
		return &s.random[code]
	}
}

func (v *Variant) count(at *lazyCounter, reason infer.Reason, code infer.Code) {
	if !counted(at) {
		v.life.first(at, v.metrics.variants.requests, v.labels[0], v.labels[1], v.labels[2], v.labels[3], string(reason), code.String())
	}
}
