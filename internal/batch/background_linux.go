package batch

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// lowestPriority is the largest nice value there is.
const lowestPriority = 19

// lowerPriority gives the calling thread the lowest priority. Linux, unlike
// POSIX, has one for each thread; those that Go starts later do not inherit it,
// since a locked thread has them started by another.
func lowerPriority() error {
	if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), lowestPriority); err != nil {
		return fmt.Errorf("cannot lower the priority of a thread: %w", err)
	}
	// Nice alone decides about shares of a core, not about who waits: a thread that
	// wakes up may have to wait until the niced one has run for some milliseconds. One
	// of the policy SCHED_IDLE makes room at once.
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE, Nice: lowestPriority}, 0); err != nil {
		return fmt.Errorf("cannot make a thread one that runs when nothing else does: %w", err)
	}
	return nil
}

// onMainThread reports whether the calling thread is the one the process began with.
func onMainThread() bool { return unix.Gettid() == unix.Getpid() }
