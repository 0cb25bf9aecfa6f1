package loadgen

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The histograms' range in microseconds and their significant digits.
const (
	minLatency, maxLatency = 1, 600_000_000
	digits                 = 3
)

// sliceLength is that of the timeline's.
const sliceLength = 100 * time.Millisecond

// record is what one thread saw. Only live is read by others while it runs.
type record struct {
	latency, refused, lag *hdrhistogram.Histogram
	requests, answered    int64
	sent                  int64
	errors                [1000]int64 // by status
	timeline              []Slice
	cpu, spun             time.Duration // of the thread, during the counted time
	delay                 time.Duration // likewise, without a core to run on
	process               time.Duration // likewise, of the whole process
	live                  struct{ answered, failed atomic.Int64 }
}

func newRecord() *record {
	histogram := func() *hdrhistogram.Histogram { return hdrhistogram.New(minLatency, maxLatency, digits) }
	return &record{latency: histogram(), refused: histogram(), lag: histogram()}
}

func put(h *hdrhistogram.Histogram, ns int64) {
	_ = h.RecordValue(min(maxLatency, max(minLatency, (ns+500)/1000))) // always within the range
}

// ended counts a request that began at begun and ended now. Status 0 is one that
// had no whole answer.
func (r *record) ended(w *window, begun, now int64, status int) {
	counted := begun >= w.from && begun < w.to
	if counted {
		switch status {
		case http.StatusOK:
			r.requests++
			put(r.latency, now-begun)
		case 0:
			r.errors[0]++
		default:
			r.errors[status]++
			put(r.refused, now-begun)
		}
	}
	if status == http.StatusOK {
		r.live.answered.Add(1)
	} else {
		r.live.failed.Add(1)
	}
	if now < w.from {
		return
	}
	s := r.slice(now - w.from)
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

// due counts a request that is to be sent at this time, in the timeline.
func (r *record) due(w *window, at int64) {
	if at >= w.from {
		r.slice(at-w.from).Due++
	}
}

func (r *record) slice(after int64) *Slice {
	i := int(after / int64(sliceLength))
	for len(r.timeline) <= i {
		r.timeline = append(r.timeline, Slice{})
	}
	return &r.timeline[i]
}

// window is the counted time, in nanoseconds of the run's clock.
type window struct{ from, to int64 }
