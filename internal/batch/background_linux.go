package batch

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// lowestPriority is the largest nice value.
const lowestPriority = 19

// lowerPriority gives the calling thread the lowest priority. Linux, unlike POSIX, has a
// priority for each thread. Threads that Go starts later do not inherit it: Go starts them from
// another thread if the current one is locked.
func lowerPriority() error {
	if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), lowestPriority); err != nil {
		return fmt.Errorf("cannot lower the priority of a thread: %w", err)
	}
	// Nice decides only about shares of a core. A thread that wakes up may still wait some
	// milliseconds for the niced one. A thread of the policy SCHED_IDLE yields at once.
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE, Nice: lowestPriority}, 0); err != nil {
		return fmt.Errorf("cannot set the policy SCHED_IDLE for a thread: %w", err)
	}
	return nil
}

// onMainThread reports whether the calling thread is the first one of the process.
func onMainThread() bool { return unix.Gettid() == unix.Getpid() }
