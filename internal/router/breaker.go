package router

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"sluice.io/sluice/internal/infer"
)

// BreakerOptions say when a breaker opens, and for how long.
type BreakerOptions struct {
	Window       time.Duration // how far back requests count
	MinRequests  int           // how many requests in the window a ratio needs
	FailureRatio float64       // the share of failed requests in the window at which it opens
	Consecutive  int           // failures in a row at which it opens, whatever the ratio
	Open         time.Duration // how long it then stays open
	Probes       int           // requests let through after that; all must succeed
	// Changed is called at each change of state, in the order of the changes; it may be nil. It
	// is called under the breaker's lock, which every request that a route sends to the version
	// takes twice. So it must hand the change over and return: it must not log, do I/O, take a
	// lock that others hold for long, or call the breaker.
	Changed func(BreakerChange)
}

// BreakerChange is a change of a breaker's state.
type BreakerChange struct {
	To  string // "closed", "half-open" or "open"
	Why string // "5 failures in a row"
	Err error  // the last failure, if it opened
}

// Breaker watches the requests that routes send to a version. While it is open the version gets
// none of them.
type Breaker struct {
	cb      *gobreaker.CircuitBreaker[*infer.Response]
	part    time.Duration         // the length of a part of the window
	changes atomic.Uint64         // how often the state changed
	last    atomic.Pointer[error] // the last failure
	tripped string                // why it opens; guarded by the lock of cb
}

// parts is the number of parts of the window; the oldest part is dropped as a whole.
const parts = 10

// NewBreaker returns a closed breaker.
func NewBreaker(o BreakerOptions) *Breaker {
	b := &Breaker{part: o.Window / parts}
	b.cb = gobreaker.NewCircuitBreaker[*infer.Response](gobreaker.Settings{
		MaxRequests:  uint32(o.Probes), //nolint:gosec // bounded by the configuration
		Interval:     o.Window,
		BucketPeriod: b.part,
		Timeout:      o.Open,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			b.tripped = o.trips(c)
			return b.tripped != ""
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errNotCounted) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			b.changes.Add(1)
			if o.Changed != nil {
				o.Changed(b.change(o, from, to))
			}
		},
	})
	return b
}

// trips returns the reason why counts open a breaker, "" if they do not.
func (o *BreakerOptions) trips(c gobreaker.Counts) string {
	judged := c.TotalSuccesses + c.TotalFailures
	switch {
	case int(c.ConsecutiveFailures) >= o.Consecutive:
		return fmt.Sprintf("%d failures in a row", c.ConsecutiveFailures)
	case int(judged) >= o.MinRequests && float64(c.TotalFailures) >= o.FailureRatio*float64(judged):
		return fmt.Sprintf("%d of %d requests failed within %v", c.TotalFailures, judged, o.Window)
	}
	return ""
}

// change describes a change of state. The lock of the breaker is held.
func (b *Breaker) change(o BreakerOptions, from, to gobreaker.State) BreakerChange {
	c := BreakerChange{To: to.String()}
	switch to {
	case gobreaker.StateOpen:
		if c.Why = b.tripped; from == gobreaker.StateHalfOpen {
			c.Why = "a probe failed"
		}
		if err := b.last.Load(); err != nil {
			c.Err = *err
		}
	case gobreaker.StateHalfOpen:
		c.Why = fmt.Sprintf("it was open for %v", o.Open)
	case gobreaker.StateClosed:
		c.Why = fmt.Sprintf("%d probes succeeded", o.Probes)
	}
	return c
}

// run runs a call unless the breaker refuses it.
//
// gobreaker counts a request in the part of the window in which it began, and does not count
// one that took longer than the window. A version that hangs would never open its breaker. So a
// request that took longer than a part is counted when it ends, unless the state has changed
// since it began.
func (b *Breaker) run(c *call) (ran bool) {
	before := b.changes.Load()
	_, err := b.cb.Execute(c.run)
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return false
	}
	if c.late && b.changes.Load() == before {
		verdict := c.verdict
		_, _ = b.cb.Execute(func() (*infer.Response, error) { return nil, verdict })
	}
	return true
}

// State returns "closed", "half-open" or "open".
func (b *Breaker) State() string { return b.cb.State().String() }

func (b *Breaker) closed() bool { return b.cb.State() == gobreaker.StateClosed }

// The verdicts on a request for the breaker.
var (
	errNotCounted = errors.New("not the version's fault")
	errFailed     = errors.New("failed")
)

// judge returns what a request's end says about the version. Failures are errors of the runtime
// and runs that took too long. These do not count: errors of the caller, values that the model
// refused, a run that failed although the version still answers others, a full queue, and a
// deadline shorter than the version's own. See "Breaker" in docs/routing.md.
func (c *call) judge() error {
	switch infer.CodeOf(c.err) {
	case infer.OK:
		return nil
	case infer.Internal:
		if !errors.Is(c.err, infer.ErrVersionWell) {
			return errFailed
		}
	case infer.Deadline:
		if errors.Is(c.err, infer.ErrStarted) && !c.shortened() {
			return errFailed
		}
	default:
	}
	return errNotCounted
}

// shortened reports whether the caller gave the request less time than the version's own, by
// its timeout or its context.
func (c *call) shortened() bool {
	end, ok := c.ctx.Deadline()
	return c.req.Timeout > 0 && c.req.Timeout < c.target.Timeout || ok && end.Sub(c.req.Arrived) < c.target.Timeout
}
