package metrics

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/internal/infer"
)

// life guards the making and deleting of series: none is made after the end.
type life struct {
	mu   sync.Mutex
	over bool
}

// counter makes an interface something that an atomic.Pointer can point to.
type counter struct{ prometheus.Counter }

// slot holds a counter once it has counted something. What is never counted
// shows no series.
type slot = atomic.Pointer[counter]

// byCode holds a counter for each code that has appeared.
type byCode [infer.NumCodes]slot

// counted counts one if the slot has a series already.
func counted(s *slot) bool {
	c := s.Load()
	if c != nil {
		c.Inc()
	}
	return c != nil
}

// first counts one in a series that is made for it and kept in the slot.
func (l *life) first(s *slot, vec *prometheus.CounterVec, labels ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	c := &counter{vec.WithLabelValues(labels...)}
	c.Inc()
	s.Store(c)
}

// known is the code, or Internal for what is none.
func known(code infer.Code) infer.Code {
	if code >= infer.NumCodes {
		return infer.Internal
	}
	return code
}
