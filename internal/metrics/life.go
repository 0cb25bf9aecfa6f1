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

// lazyCounter holds a counter once it has counted something. What is never counted
// shows no series.
type lazyCounter = atomic.Pointer[counter]

// byCode holds a counter for each code that has appeared.
type byCode [infer.NumCodes]lazyCounter

// counted counts one if s has a series already.
func counted(s *lazyCounter) bool {
	c := s.Load()
	if c != nil {
		c.Inc()
	}
	return c != nil
}

// first counts one in a series that is made for it and kept in s.
func (l *life) first(s *lazyCounter, vec *prometheus.CounterVec, labels ...string) {
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
