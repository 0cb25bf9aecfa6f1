package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// processTime returns the processor time of all threads of a process. Its clock
// counts nanoseconds, while /proc counts hundredths of a second: too coarse for the
// differences that are asked for here.
func processTime(pid int) (time.Duration, error) {
	const allThreads = 2 // CPUCLOCK_SCHED of clock_getcpuclockid(3)
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|allThreads), &t); err != nil { //nolint:gosec // a pid has 22 bits
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// pin keeps this process on a core; later threads inherit that from those there are.
func pin(core string) error {
	if core == "" {
		return nil
	}
	n, err := strconv.Atoi(core)
	if err != nil || n < 0 || n >= runtime.NumCPU() {
		return fmt.Errorf("no core %q here; see -client-cpus and -server-cpus", core)
	}
	var set unix.CPUSet
	set.Set(n)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(strings.TrimSpace(t.Name()))
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil {
			return fmt.Errorf("pin to core %d: %w", n, err)
		}
	}
	runtime.GOMAXPROCS(1)
	return nil
}
