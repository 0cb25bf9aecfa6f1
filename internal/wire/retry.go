package wire

import (
	"errors"
	"time"

	"sluice.io/sluice/internal/infer"
)

// The bounds of the delay that RetryAfter suggests, in seconds. Longer estimates are not useful:
// many callers leave the queue before.
const (
	soonest = 1
	latest  = 60
)

// RetryAfter returns the number of seconds, rounded up, after which the caller should retry. err is
// an error with a code for which Retry is true. The result is 1 if the error has no delay.
func RetryAfter(err error) int {
	e, ok := errors.AsType[*infer.Error](err)
	if !ok {
		return soonest
	}
	after := min(e.RetryAfter, latest*time.Second)
	return max(soonest, int((after+time.Second-1)/time.Second))
}
