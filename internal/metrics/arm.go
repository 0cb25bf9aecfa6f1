package metrics

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// armVectors are the series of all variants of routes.
type armVectors struct {
	requests, errors, refusals *prometheus.CounterVec
	requestTime                *prometheus.HistogramVec
}

func newArmVectors() *armVectors {
	arm := []string{"route", "model", "version", "role"}
	return &armVectors{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "route_requests_total",
			Help: "Requests assigned to a variant of a route, by why and by how they ended for the variant; what the fallback served is unavailable.",
		}, []string{"route", "model", "version", "role", "reason", "code"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "route_errors_total",
			Help: "Requests that a variant of a route failed, those that the fallback served among them; mistakes of callers are none.",
		}, arm),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "route_refusals_total",
			Help: "Requests that fitted the signature of a variant of a route, but whose values its model refused.",
		}, arm),
		requestTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "route_request_duration_seconds", Buckets: secondsBuckets(),
			Help: "Time from the arrival of a request to its answer, of those that the variant itself answered with code ok.",
		}, arm),
	}
}

// Arm records for a variant of a route. Its methods are safe for concurrent use.
type Arm struct {
	metrics *Metrics
	labels  []string // route, model, version, role
	total   tally
	recent  recent
	series  atomic.Pointer[armSeries] // nil before the first request and after Delete
	life    life
}

type armSeries struct {
	sticky, random byCode
	fallback       slot
	refusals       slot
	errors         prometheus.Counter
	requestTime    prometheus.Observer
}

// Arm returns what records for a variant of a route. Nothing shows before its first
// request. There should be one of them per variant at a time: two share series,
// but no counts of their own, and the Delete of one takes the series from the other.
func (m *Metrics) Arm(route, model string, version int64, role string) *Arm {
	a := &Arm{metrics: m, labels: []string{route, model, number(version), role}}
	a.recent.start(time.Now())
	return a
}

// Observe records a request that ended with err, elapsed after its arrival, for the
// variant it was assigned to. With the reason fallback that is a failure of the
// variant, whoever answered and however. A request that was not assigned by its
// route (pinned, override, default) is left out.
func (a *Arm) Observe(reason infer.Reason, err error, elapsed time.Duration) {
	code, fallback := infer.CodeOf(err), reason == infer.ReasonFallback
	switch {
	case fallback:
		code = infer.Unavailable
	case reason != infer.ReasonSticky && reason != infer.ReasonRandom:
		return
	}
	code = known(code)
	e := ending{failed: ownFailure(code), fallback: fallback, refused: code == infer.Invalid && errors.Is(err, infer.ErrRefused)}
	a.total.count(e)
	a.recent.observe(code, e, elapsed)

	s := a.current()
	if s == nil {
		return
	}
	a.count(s.slot(reason, code), reason, code)
	if e.failed {
		s.errors.Inc()
	}
	if e.refused && !counted(&s.refusals) {
		a.life.first(&s.refusals, a.metrics.arms.refusals, a.labels...)
	}
	if code == infer.OK {
		s.requestTime.Observe(elapsed.Seconds())
	}
}

// ownFailure reports whether a code says that who answered failed, and not that
// the caller made a mistake or went away.
func ownFailure(code infer.Code) bool {
	switch code {
	case infer.Internal, infer.Deadline, infer.Unavailable, infer.Overloaded:
		return true
	default:
		return false
	}
}

// Snapshot returns what was recorded since this Arm was made, and lately.
func (a *Arm) Snapshot(now time.Time) (total api.ArmCount, recent api.Recent) {
	return a.total.snapshot(), a.recent.snapshot(now)
}

// Delete removes the variant's series for good; a request that ends later does
// not bring them back.
func (a *Arm) Delete() {
	a.life.mu.Lock()
	defer a.life.mu.Unlock()
	a.life.over = true
	if a.series.Swap(nil) == nil {
		return
	}
	v := a.metrics.arms
	v.errors.DeleteLabelValues(a.labels...)
	v.refusals.DeleteLabelValues(a.labels...)
	v.requestTime.DeleteLabelValues(a.labels...)
	v.requests.DeletePartialMatch(prometheus.Labels{
		"route": a.labels[0], "model": a.labels[1], "version": a.labels[2], "role": a.labels[3],
	})
}

// current returns the series, nil once they were deleted.
func (a *Arm) current() *armSeries {
	if s := a.series.Load(); s != nil {
		return s
	}
	return a.makeSeries()
}

func (a *Arm) makeSeries() *armSeries {
	a.life.mu.Lock()
	defer a.life.mu.Unlock()
	if s := a.series.Load(); s != nil || a.life.over {
		return s
	}
	v := a.metrics.arms
	s := &armSeries{errors: v.errors.WithLabelValues(a.labels...), requestTime: v.requestTime.WithLabelValues(a.labels...)}
	a.series.Store(s)
	return s
}

func (s *armSeries) slot(reason infer.Reason, code infer.Code) *slot {
	switch reason {
	case infer.ReasonFallback:
		return &s.fallback
	case infer.ReasonSticky:
		return &s.sticky[code]
	default:
		return &s.random[code]
	}
}

func (a *Arm) count(at *slot, reason infer.Reason, code infer.Code) {
	if !counted(at) {
		a.life.first(at, a.metrics.arms.requests, a.labels[0], a.labels[1], a.labels[2], a.labels[3], string(reason), code.String())
	}
}
