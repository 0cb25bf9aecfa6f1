package batch

import (
	"math/bits"
	"time"
)

// sizeClasses is enough for runs of up to 2^31 rows.
const sizeClasses = 32

// estimates are the smoothed times of a shape's runs, in classes of size that
// double: 0 rows, 1, 2 to 3, 4 to 7 and so on. 0 means not known.
type estimates [sizeClasses]time.Duration

func class(rows int) int { return min(bits.Len(uint(rows)), sizeClasses-1) }

// at returns the estimate for a run of that many rows: of its class, or of the
// next smaller one that is known, since more rows take no less.
func (e *estimates) at(rows int) *time.Duration {
	for c := class(rows); c > 0; c-- {
		if e[c] > 0 {
			return &e[c]
		}
	}
	return &e[0]
}

// record smooths in the time of a run that succeeded.
func (e *estimates) record(rows int, took time.Duration) {
	p := &e[class(rows)]
	if *p == 0 {
		*p = took
		return
	}
	*p += (took - *p) / 8
}

// atLeast notes a run that was cut off after took. How long it would have taken
// is a guess, half as much again; refusals and runs that succeed correct it. The
// guess stays below the longest that a request may take, so that one that comes
// fresh is tried: one slow run must not speak for all that follow, and whether the
// version has become too slow only runs can tell.
func (e *estimates) atLeast(rows int, took, timeout time.Duration) {
	if guess := min(took+took/2, timeout-timeout/8); guess > *e.at(rows) {
		e[class(rows)] = guess
	}
}

// refused lowers the estimate that refused a request. Without it one slow run
// would lock out for ever those who would wait less, as nothing runs any more
// that could show better.
func (e *estimates) refused(rows int) {
	p := e.at(rows)
	*p -= (*p + 15) / 16
}
