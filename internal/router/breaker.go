package router

import (
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"

	"sluice.io/sluice/internal/infer"
)

// BreakerOptions say when a version is given up for a while.
type BreakerOptions struct {
	Window       time.Duration // how far back requests count
	MinRequests  int           // in the window, before a ratio means anything
	FailureRatio float64       // of the window's requests, from which on it opens
	Consecutive  int           // failures in a row that open it by themselves
	Open         time.Duration // how long it then stays open
	Probes       int           // requests let through afterwards; all must succeed
	// Changed is told of each change of state. It is called under the breaker's
	// lock and must not block; it may be nil.
	Changed func(to string)
}

// Breaker watches the requests that routes send to a version. While it is open
// the version gets none of them.
type Breaker struct {
	cb *gobreaker.CircuitBreaker[*infer.Response]
}

// buckets is how many parts the window has; the oldest is dropped as a whole.
const buckets = 10

// NewBreaker returns a closed breaker.
func NewBreaker(o BreakerOptions) *Breaker {
	return &Breaker{gobreaker.NewCircuitBreaker[*infer.Response](gobreaker.Settings{
		MaxRequests:  uint32(o.Probes), //nolint:gosec // bounded by the configuration
		Interval:     o.Window,
		BucketPeriod: o.Window / buckets,
		Timeout:      o.Open,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			judged := c.TotalSuccesses + c.TotalFailures
			return int(c.ConsecutiveFailures) >= o.Consecutive ||
				int(judged) >= o.MinRequests && float64(c.TotalFailures) >= o.FailureRatio*float64(judged)
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errNotCounted) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if o.Changed != nil {
				o.Changed(to.String())
			}
		},
	})}
}

// State returns "closed", "half-open" or "open".
func (b *Breaker) State() string { return b.cb.State().String() }

func (b *Breaker) closed() bool { return b.cb.State() == gobreaker.StateClosed }

// The verdicts on a request, as the breaker is told them.
var (
	errNotCounted = errors.New("not the version's fault")
	errFailed     = errors.New("failed")
)

// judge says what a request's end tells about the version. Its failures are
// errors of the runtime and runs that took too long; what a caller did, a full
// queue, and a deadline shorter than the version's own say nothing. (routing.md
// of the documentation, "Breaker".)
func (t *Target) judge(req *infer.Request, err error) error {
	switch infer.CodeOf(err) {
	case infer.OK:
		return nil
	case infer.Internal:
		return errFailed
	case infer.Deadline:
		if errors.Is(err, infer.ErrStarted) && (req.Timeout == 0 || req.Timeout >= t.Timeout) {
			return errFailed
		}
	default:
	}
	return errNotCounted
}

// rejected reports whether the breaker refused a request that never ran.
func rejected(err error) bool {
	return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}
