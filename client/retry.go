package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

// retry says when a request is sent again.
type retry struct {
	count   int           // how many times, after the first
	backoff time.Duration // the longest wait before the first of these; it doubles
	maxWait time.Duration // an answer that asks for more is final
}

// send sends a request to the data port, and again as long as that may help and there
// is time for it. req.GetBody is set if it has a body.
func (c *Client) send(req *http.Request) ([]byte, http.Header, error) {
	ctx := req.Context()
	for attempt := 0; ; attempt++ {
		again := req.Clone(ctx) // the transport may still hold the one before
		if req.GetBody != nil {
			body, err := req.GetBody()
			if err != nil {
				return nil, nil, err
			}
			again.Body = body
		}
		body, header, err := c.do(again)
		if err == nil {
			return body, header, nil
		}
		wait, ok := c.retry.wait(attempt, err)
		if deadline, bounded := ctx.Deadline(); !ok || bounded && time.Until(deadline) <= wait {
			return nil, nil, err
		}
		if cause := sleep(ctx, wait); cause != nil {
			return nil, nil, fmt.Errorf("%w; and then: %w", err, cause)
		}
	}
}

// wait returns how long to wait after err before the next attempt; ok is false if
// there is none. attempt counts from 0.
func (r retry) wait(attempt int, err error) (wait time.Duration, ok bool) {
	if attempt >= r.count {
		return 0, false
	}
	if answer, is := errors.AsType[*Error](err); is {
		if answer.Status != http.StatusTooManyRequests && answer.Status != http.StatusServiceUnavailable {
			return 0, false
		}
		wait = answer.RetryAfter
	} else if !unsent(err) {
		return 0, false
	}
	if wait > r.maxWait {
		return 0, false
	}
	backoff := r.backoff
	for range attempt {
		backoff = min(2*backoff, r.maxWait)
	}
	// A random part of it, so that those refused at one time do not come back at one time.
	return wait + time.Duration((1+rand.Float64())/2*float64(backoff)), true //nolint:gosec // no secret
}

// unsent reports that no connection was made, so that no byte of the request can have
// arrived. net/http itself sends again if a connection that was idle turns out to be
// closed.
func unsent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial" && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// sleep returns nil after d, or why ctx has ended before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// retryAfter returns how long an answer asks to wait, in seconds or until a date; 0 if
// it does not, or in a way that cannot be read.
func retryAfter(h http.Header, now time.Time) time.Duration {
	const most = 365 * 24 * time.Hour // what is longer is as good as never, and must not overflow
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(most/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(text); err == nil {
		return min(max(date.Sub(now), 0), most)
	}
	return 0
}
