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

// at returns the estimate for a run of that many rows: of its class, or of the
// next smaller one that is known, since more rows take no less.
func (e *estimates) at(rows int) *time.Duration {
	class := min(bits.Len(uint(rows)), sizeClasses-1)
	for c := class; c > 0; c-- {
		if e[c] > 0 {
			return &e[c]
		}
	}
	return &e[0]
}

// record smooths in the time of a run that succeeded.
func (e *estimates) record(rows int, took time.Duration) {
	p := &e[min(bits.Len(uint(rows)), sizeClasses-1)]
	if *p == 0 {
		*p = took
		return
	}
	*p += (took - *p) / 8
}

// atLeast smooths in a run that was cut off after took, which says only that it
// takes longer.
func (e *estimates) atLeast(rows int, took time.Duration) {
	if took > *e.at(rows) {
		e.record(rows, took)
	}
}

// refused lowers the estimate that refused a request. Without it one slow run
// would lock out for ever those who would wait less, as nothing runs any more
// that could show better.
func (e *estimates) refused(rows int) {
	p := e.at(rows)
	*p -= (*p + 15) / 16
}
