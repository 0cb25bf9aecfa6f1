package loadgen

import (
	"net/http"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	maxLatency  = 600_000_000 // microseconds
	sliceLength = 100 * time.Millisecond
)

// record is what one thread saw.
type record struct {
	latency, refused, lag *hdrhistogram.Histogram
	answered, sent        int64
	errors                map[int]int64
	timeline              []Slice
	process               time.Duration // processor time of the whole process in the counted time
	busy                  time.Duration // that of the thread, without waiting awake
}

func newRecord() *record {
	histogram := func() *hdrhistogram.Histogram { return hdrhistogram.New(1, maxLatency, 3) }
	return &record{latency: histogram(), refused: histogram(), lag: histogram(), errors: map[int]int64{}}
}

func put(h *hdrhistogram.Histogram, ns int64) {
	_ = h.RecordValue(min(maxLatency, max(1, (ns+500)/1000))) // always within the range
}

// ended counts a request that began at begun and ended now. Status 0 is one that had no
// whole answer.
func (r *record) ended(w *run, begun, now int64, status int) {
	if begun >= w.from && begun < w.to {
		switch status {
		case http.StatusOK:
			put(r.latency, now-begun)
		case 0:
			r.errors[0]++
		default:
			r.errors[status]++
			put(r.refused, now-begun)
		}
	}
	if now < w.from {
		return
	}
	s := r.slice(int((now - w.from) / int64(sliceLength)))
	s.Worst = max(s.Worst, time.Duration(now-begun))
	switch status {
	case http.StatusOK:
		s.Answered++
		if now < w.to {
			r.answered++
		}
	case 0:
		s.Failed++
	default:
		s.Refused++
	}
}

func (r *record) slice(i int) *Slice {
	for len(r.timeline) <= i {
		r.timeline = append(r.timeline, Slice{})
	}
	return &r.timeline[i]
}

func (r *record) merge(o *record) {
	r.answered += o.answered
	r.sent += o.sent
	r.busy += o.busy
	r.process = max(r.process, o.process)
	r.latency.Merge(o.latency)
	r.refused.Merge(o.refused)
	r.lag.Merge(o.lag)
	for status, n := range o.errors {
		r.errors[status] += n
	}
	for i, from := range o.timeline {
		to := r.slice(i)
		to.Answered += from.Answered
		to.Refused += from.Refused
		to.Failed += from.Failed
		to.Worst = max(to.Worst, from.Worst)
	}
}
