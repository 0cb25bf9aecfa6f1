package history

import (
	"math"
	"slices"
	"time"
)

// Window says which time a Read has covered.
type Window struct {
	From  time.Time     // the beginning of the first step
	Step  time.Duration // of each value
	Since time.Time     // everything since then is kept
}

// Values are those of a series, one for each step. NaN stands for none.
type Values struct {
	Requests, Errors []float64 // per second
	// P50 and P99 are latencies in seconds, of answered requests. A step of several looks has the median of their medians,
	// weighted by the number of requests, and the largest of their 99th percentiles, so that at most one of 100 requests took
	// longer.
	P50, P99 []float64
	Queue    []float64 // the largest of all looks
}

// Read returns the values of series over a span up to now, in at most so many points. A step has values if the recorder has looked
// at its time; they are 0 if the series had no traffic. The last step may go on.
func (r *Recorder) Read(span time.Duration, points int, keys []Key) (Window, []Values) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	looks := int64(min(max(span, Step), Span) / Step)
	width := max(1, (looks+int64(points)-1)/int64(points))
	last := r.last / width          // the number of the last step of the answer
	first := last - looks/width + 1 // boundaries do not depend on when a caller asks
	now := time.Now()
	w := Window{From: r.begin(first*width, now), Step: time.Duration(width) * Step, Since: r.begin(r.since, now)}
	list := make([]Values, len(keys))
	for i, k := range keys {
		v := &list[i]
		for step := first; step <= last; step++ {
			v.add(r.join(r.series[k], step*width, width), r.opts.Middle)
		}
	}
	return w, list
}

// begin returns the beginning of a step by the present clock, whatever was set since.
func (r *Recorder) begin(step int64, now time.Time) time.Time {
	return now.Add(r.started.Add(time.Duration(step-1) * Step).Sub(now)).Round(0)
}

// joined is what the looks of a step have found together.
type joined struct {
	looks int
	sample
	medians []weighed
}

type weighed struct {
	bucket uint8
	weight float64
}

// join puts the looks of a step together. A series that is nil had no traffic.
func (r *Recorder) join(s *series, from, width int64) (j joined) {
	for look := from; look < from+width; look++ {
		if look < r.since || look > r.last || look < 1 || r.looks[look%steps] != look {
			continue
		}
		j.looks++
		if s == nil {
			continue
		}
		x := s.at(look)
		j.requests += x.requests
		j.errors += x.errors
		j.p99 = max(j.p99, x.p99)
		j.queue = max(j.queue, x.queue)
		if x.p50 > 0 {
			j.medians = append(j.medians, weighed{x.p50, x.requests})
		}
	}
	j.p50 = median(j.medians)
	return j
}

// median returns the weighted median of buckets, 0 if there are none.
func median(list []weighed) uint8 {
	if len(list) == 0 {
		return 0
	}
	slices.SortFunc(list, func(a, b weighed) int { return int(a.bucket) - int(b.bucket) })
	half := 0.0
	for _, x := range list {
		half += x.weight / 2
	}
	for _, x := range list {
		if half -= x.weight; half <= 0 {
			return x.bucket
		}
	}
	return list[len(list)-1].bucket
}

// add adds the values of a step.
func (v *Values) add(j joined, middle func(int) float64) {
	nan := math.NaN()
	if j.looks == 0 {
		v.append(nan, nan, nan, nan, nan)
		return
	}
	latency := func(bucket uint8) float64 {
		if bucket == 0 {
			return nan
		}
		return middle(int(bucket) - 1)
	}
	n := float64(j.looks)
	v.append(j.requests/n, j.errors/n, latency(j.p50), latency(j.p99), float64(j.queue))
}

func (v *Values) append(requests, errors, p50, p99, queue float64) {
	v.Requests, v.Errors = append(v.Requests, requests), append(v.Errors, errors)
	v.P50, v.P99 = append(v.P50, p50), append(v.P99, p99)
	v.Queue = append(v.Queue, queue)
}

// Variants returns the variants of a route that had traffic, by version and role.
func (r *Recorder) Variants(route string) (list []Variant) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for k := range r.series {
		if k.Route == route && k.Model == "" {
			list = append(list, k.Variant)
		}
	}
	slices.SortFunc(list, func(a, b Variant) int {
		if a.Version != b.Version {
			return int(a.Version - b.Version)
		}
		return len(a.Role) - len(b.Role)
	})
	return list
}

// Has reports whether a model had traffic.
func (r *Recorder) Has(model string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.series[Key{Model: model}] != nil
}
