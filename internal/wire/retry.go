package wire

import (
	"errors"
	"time"

	"sluice.io/sluice/internal/infer"
)

// The bounds of what RetryAfter suggests, in seconds. An estimate beyond the longest
// is one of a queue that other callers will have left by then.
const (
	soonest = 1
	latest  = 60
)

// RetryAfter returns after how many seconds, rounded up, a caller should try again
// who got err, for which Retry is true: as the error says, or 1 where it says nothing.
func RetryAfter(err error) int {
	e, ok := errors.AsType[*infer.Error](err)
	if !ok {
		return soonest
	}
	after := min(e.RetryAfter, latest*time.Second)
	return max(soonest, int((after+time.Second-1)/time.Second))
}
