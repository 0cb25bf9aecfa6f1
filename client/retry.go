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

// retry decides about retries.
type retry struct {
	count   int           // max number of retries
	backoff time.Duration // max wait before the first retry; doubled with each
	maxWait time.Duration // no retry if an answer asks for more
}

// send sends a request to the data port, with retries. If it has a body, req.GetBody must be
// set.
func (c *Client) send(req *http.Request) ([]byte, http.Header, error) {
	ctx := req.Context()
	for attempt := 0; ; attempt++ {
		again := req.Clone(ctx) // the transport may still use the request of the last attempt
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
			return nil, nil, fmt.Errorf("%w; no retry: %w", err, cause)
		}
	}
}

// wait returns the time until the retry after err. ok is false if there is no retry. attempt
// counts from 0.
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
	// A random part of it, so that clients that were refused together do not retry together.
	return wait + time.Duration((1+rand.Float64())/2*float64(backoff)), true //nolint:gosec // not a secret
}

// unsent reports whether no connection was made, so that no byte of the request was sent.
// net/http itself retries if an idle connection was closed.
func unsent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial" && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// sleep returns nil after d, or the cause if ctx ends first.
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

// retryAfter returns the time in the header Retry-After, which has seconds or a date. It
// returns 0 if there is none or it is not valid.
func retryAfter(h http.Header, now time.Time) time.Duration {
	const most = 365 * 24 * time.Hour // prevents an overflow
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(most/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(text); err == nil {
		return min(max(date.Sub(now), 0), most)
	}
	return 0
}
