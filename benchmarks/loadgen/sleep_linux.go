package loadgen

import (
	"syscall"
	"time"
)

// sleepUntil sleeps in the kernel: where nothing else is to do, time.Sleep ends
// up to a millisecond late, which would be most of a latency.
func sleepUntil(at time.Time) {
	for left := time.Until(at); left > 0; left = time.Until(at) {
		ts := syscall.NsecToTimespec(left.Nanoseconds())
		_ = syscall.Nanosleep(&ts, nil) // a signal ends it early
	}
}
