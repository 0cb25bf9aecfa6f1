package metrics

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Version records for one version of a model. Its methods are safe for
// concurrent use.
type Version struct {
	metrics *Metrics
	labels  []string // model, version
	stats   statistics
	traffic atomic.Pointer[traffic] // nil before the first request
	series  atomic.Pointer[series]  // nil before the first request and after Delete
	life    life
}

// traffic counts a version's requests as those of a variant are counted. Thousands of idle versions have none.
type traffic struct {
	total  tally
	times  durations // of answered requests
	recent recent
}

// series are the Prometheus series of a version.
type series struct {
	requestTime, queueTime, runTime, batchRows prometheus.Observer
	runRequests                                prometheus.Counter
	requests, runs                             byCode
	refusals                                   lazyCounter
}

// Version returns the recorder of a version. It has no series before the first request. There
// should be one per version at a time: two share the series, but not the statistics, and the
// Delete of one removes the series of the other.
func (m *Metrics) Version(model string, version int64) *Version {
	return &Version{metrics: m, labels: []string{model, number(version)}}
}

// ObserveRequest records a request that has ended with err, elapsed after its arrival.
func (v *Version) ObserveRequest(req *infer.Request, err error, elapsed time.Duration) {
	code := infer.CodeOf(err)
	v.stats.request(req, err, elapsed)
	v.busy().observe(req, code, err, elapsed)
	s := v.current()
	if s == nil {
		return
	}
	v.count(v.metrics.requests, &s.requests, code)
	if code == infer.OK {
		s.requestTime.Observe(elapsed.Seconds())
	} else if errors.Is(err, infer.ErrRefused) {
		if !counted(&s.refusals) {
			v.life.first(&s.refusals, v.metrics.refusals, v.labels...)
		}
	}
	if req.Timing.Rows > 0 {
		s.queueTime.Observe(req.Timing.Queue.Seconds())
	}
}

// ObserveRun records a run of members requests with rows rows in total, and the times of
// copying inputs, of the runtime's call and of copying outputs.
func (v *Version) ObserveRun(rows, members int, input, compute, output time.Duration, err error) {
	code := infer.CodeOf(err)
	s := v.current()
	if s != nil {
		v.count(v.metrics.runs, &s.runs, code)
		s.runRequests.Add(float64(members))
	}
	if code != infer.OK {
		return
	}
	v.stats.run(rows, input, compute, output)
	if s != nil {
		s.runTime.Observe(compute.Seconds())
		s.batchRows.Observe(float64(rows))
	}
}

// BreakerChanged records a change of the version's breaker to a state: "closed",
// "half-open" or "open".
func (v *Version) BreakerChanged(to string) {
	v.life.mu.Lock()
	defer v.life.mu.Unlock()
	if !v.life.over {
		v.metrics.breakerChanges.WithLabelValues(v.labels[0], v.labels[1], to).Inc()
	}
}

// Replayed records a request of a replay that has ended with err.
func (v *Version) Replayed(err error) {
	v.life.mu.Lock()
	defer v.life.mu.Unlock()
	if !v.life.over {
		v.metrics.replays.WithLabelValues(v.labels[0], v.labels[1], known(infer.CodeOf(err)).String()).Inc()
	}
}

// Snapshot returns the counters since this Version was made.
func (v *Version) Snapshot() Statistics { return v.stats.snapshot() }

// Count returns the counts of all requests to the version since this Version was made, and the recent ones.
func (v *Version) Count(now time.Time) (total api.VariantCount, recent api.Recent) {
	if t := v.traffic.Load(); t != nil {
		return t.total.snapshot(), t.recent.snapshot(now)
	}
	return total, recent
}

// Totals returns the requests and the version's own failures since this Version was made.
func (v *Version) Totals() (requests, errors int64) {
	if t := v.traffic.Load(); t != nil {
		return t.total.requests.Load(), t.total.errors.Load()
	}
	return 0, 0
}

// AddTimes adds the number of answered requests by their latency to to, which has Buckets elements.
func (v *Version) AddTimes(to []int64) {
	if t := v.traffic.Load(); t != nil {
		t.times.addTo(to)
	}
}

// busy returns the traffic, which it makes if there is none.
func (v *Version) busy() *traffic {
	if t := v.traffic.Load(); t != nil {
		return t
	}
	t := &traffic{}
	t.recent.start(time.Now())
	if v.traffic.CompareAndSwap(nil, t) {
		return t
	}
	return v.traffic.Load()
}

func (t *traffic) observe(req *infer.Request, code infer.Code, err error, elapsed time.Duration) {
	code = known(code)
	e := ending{failed: ownFailure(code), refused: code == infer.Invalid && errors.Is(err, infer.ErrRefused)}
	t.total.count(e)
	if code == infer.OK {
		t.times[bucket(elapsed)].Add(1)
	}
	t.recent.observeAt(req.Arrived.Add(elapsed).Sub(t.recent.made), code, e, elapsed)
}

// Used reports whether the version has series.
func (v *Version) Used() bool { return v.series.Load() != nil }

// Delete removes the version's series for good: a request that ends later does not bring them
// back.
func (v *Version) Delete() {
	v.life.mu.Lock()
	defer v.life.mu.Unlock()
	v.life.over = true
	m := v.metrics
	own := prometheus.Labels{"model": v.labels[0], "version": v.labels[1]}
	m.breakerChanges.DeletePartialMatch(own)
	m.replays.DeletePartialMatch(own)
	if v.series.Swap(nil) == nil {
		return
	}
	for _, vec := range []*prometheus.HistogramVec{m.requestTime, m.queueTime, m.runTime, m.batchRows} {
		vec.DeleteLabelValues(v.labels...)
	}
	m.runRequests.DeleteLabelValues(v.labels...)
	m.requests.DeletePartialMatch(own)
	m.refusals.DeletePartialMatch(own)
	m.runs.DeletePartialMatch(own)
}

// current returns the series, nil after they were deleted.
func (v *Version) current() *series {
	if s := v.series.Load(); s != nil {
		return s
	}
	return v.makeSeries()
}

func (v *Version) makeSeries() *series {
	v.life.mu.Lock()
	defer v.life.mu.Unlock()
	if s := v.series.Load(); s != nil || v.life.over {
		return s
	}
	m := v.metrics
	s := &series{
		requestTime: m.requestTime.WithLabelValues(v.labels...),
		queueTime:   m.queueTime.WithLabelValues(v.labels...),
		runTime:     m.runTime.WithLabelValues(v.labels...),
		batchRows:   m.batchRows.WithLabelValues(v.labels...),
		runRequests: m.runRequests.WithLabelValues(v.labels...),
	}
	v.series.Store(s)
	return s
}

func (v *Version) count(vec *prometheus.CounterVec, counters *byCode, code infer.Code) {
	code = known(code)
	if !counted(&counters[code]) {
		v.life.first(&counters[code], vec, v.labels[0], v.labels[1], code.String())
	}
}
