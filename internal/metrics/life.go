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

// counter makes an interface usable in an atomic.Pointer.
type counter struct{ prometheus.Counter }

// lazyCounter holds a counter after its first count. A counter that counts nothing has no
// series.
type lazyCounter = atomic.Pointer[counter]

// byCode holds a counter for each code that has occurred.
type byCode [infer.NumCodes]lazyCounter

// counted counts one if s already has a series. It reports whether it has.
func counted(s *lazyCounter) bool {
	c := s.Load()
	if c != nil {
		c.Inc()
	}
	return c != nil
}

// first makes a series, keeps it in s and counts one.
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

// known returns the code, or Internal if it is not a known code.
func known(code infer.Code) infer.Code {
	if code >= infer.NumCodes {
		return infer.Internal
	}
	return code
}
