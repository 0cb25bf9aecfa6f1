package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Feed records the events that go out. Its methods are safe for concurrent use.
type Feed struct {
	posted  *prometheus.CounterVec
	waiting *prometheus.GaugeVec

	mu    sync.Mutex
	types map[string]bool // with a series of waiting; guarded by mu
}

// Feed returns the recorder of events that go out.
func (m *Metrics) Feed() *Feed { return m.feed }

func newFeed() *Feed {
	return &Feed{
		types: map[string]bool{},
		posted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "events_out_total",
			Help: "Attempts to post an event of the journal to retrain.webhook.url, by their result: delivered or failed.",
		}, []string{"type", "result"}),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "events_out_waiting",
			Help: "Events that the receiver does not have yet, of the next 100.",
		}, []string{"type"}),
	}
}

// EventPosted counts an attempt to post an event.
func (f *Feed) EventPosted(kind string, err error) {
	result := "delivered"
	if err != nil {
		result = "failed"
	}
	f.posted.WithLabelValues(kind, result).Inc()
}

// EventsWaiting sets the number of events that wait, by their type.
func (f *Feed) EventsWaiting(waiting map[string]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for kind := range waiting {
		f.types[kind] = true
	}
	for kind := range f.types {
		f.waiting.WithLabelValues(kind).Set(float64(waiting[kind]))
	}
}
