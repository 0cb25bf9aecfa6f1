package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"
)

// send sends a request to the data port, with retries. If it has a body, req.GetBody must be
// set.
func (c *Client) send(req *http.Request) (body []byte, header http.Header, err error) {
	ctx := req.Context()
	err = c.retry.Do(ctx, func() (bool, time.Duration, error) {
		again := req.Clone(ctx) // the transport may still use the request of the last attempt
		if req.GetBody != nil {
			if again.Body, err = req.GetBody(); err != nil {
				return false, 0, err
			}
		}
		body, header, err = c.do(again)
		if answer, is := errors.AsType[*Error](err); is {
			return answer.Status == http.StatusTooManyRequests || answer.Status == http.StatusServiceUnavailable, answer.RetryAfter, err
		}
		return unsent(err), 0, err
	})
	return body, header, err
}

// unsent reports whether no connection was made, so that no byte of the request was sent.
// net/http itself retries if an idle connection was closed.
func unsent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial" && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
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
