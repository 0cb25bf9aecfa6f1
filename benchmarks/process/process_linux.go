package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// startTied starts a process that may run on the given cores only, and is told to stop
// when the thread that started it ends. The caller has that thread for itself until
// the process has ended: so it is told when this process ends, however that dies. A
// signal that can be handled is used for it: who is killed outright leaves workers
// behind.
func startTied(cmd *exec.Cmd, cpus []int) error {
	// A session of its own shows whose descendants are whose.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	return StartOn(cmd, cpus...)
}

// StartOn starts a process that may run on the given cores only, on those of this
// process where none are given.
func StartOn(cmd *exec.Cmd, cpus ...int) error {
	if len(cpus) == 0 {
		return cmd.Start()
	}
	its, err := cpuSet(cpus)
	if err != nil {
		return err
	}
	// A process inherits the cores of the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var mine unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mine); err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, its); err != nil {
		return fmt.Errorf("cores %v: %w", cpus, err)
	}
	return errors.Join(cmd.Start(), unix.SchedSetaffinity(0, &mine))
}

func cpuSet(cpus []int) (*unix.CPUSet, error) {
	set := new(unix.CPUSet)
	for _, c := range cpus {
		if c < 0 || c >= len(set)*strconv.IntSize {
			return nil, fmt.Errorf("no core has the number %d", c)
		}
		set.Set(c)
	}
	return set, nil
}

// Pin lets this process, with all its threads, run on the given cores only.
func Pin(cpus ...int) error {
	set, err := cpuSet(cpus)
	if err != nil {
		return err
	}
	pinned := map[string]bool{}
	for { // until there is none that another started meanwhile
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		before := len(pinned)
		for _, t := range tasks {
			if pinned[t.Name()] {
				continue
			}
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				return err
			}
			if err := unix.SchedSetaffinity(id, set); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("cores %v: %w", cpus, err)
			}
			pinned[t.Name()] = true
		}
		if len(pinned) == before {
			return nil
		}
	}
}

// usage adds up the process and its descendants.
func usage(pid int) (Usage, error) {
	var u Usage
	if err := u.add(pid); err != nil {
		return Usage{}, err
	}
	for p := range descendants(pid) {
		_ = u.add(p) // it may have ended meanwhile; its parent has its time then
	}
	return u, nil
}

func (u *Usage) add(pid int) error {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return err
	}
	stat, err := p.Stat()
	if err != nil {
		return err
	}
	status, err := p.NewStatus()
	if err != nil {
		return err
	}
	descriptors, _ := p.FileDescriptorsLen() // of another user's they are not known
	u.CPU += cpuTime(pid, stat) + Ticks(stat.CUTime+stat.CSTime)
	u.RSS += int64(status.VmRSS) //nolint:gosec // bytes
	u.Threads += stat.NumThreads
	u.Descriptors += descriptors
	return nil
}

// Ticks is the unit of the kernel's CPU times, on every Linux that Go runs on.
func Ticks[N int | uint](n N) time.Duration { return time.Duration(n) * time.Second / 100 } //nolint:gosec // few

// cpuTime returns the time of all threads of a process, those that have ended too.
// The clock of the process has it to the nanosecond, /proc only to ticks of 10 ms.
func cpuTime(pid int, s procfs.ProcStat) time.Duration {
	const scheduler = 2 // clock_getcpuclockid(3): which of a process's clocks
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduler), &t); err != nil { //nolint:gosec // as the kernel encodes it
		return Ticks(s.UTime + s.STime)
	}
	return time.Duration(t.Nano())
}

// ThreadTimes returns the processor time of each thread, to 10 ms, by its number; only of
// those of that nice value, unless it is below 0.
func (s *Server) ThreadTimes(nice int) map[int]time.Duration {
	list, _ := procfs.AllThreads(s.Pid()) // none of a process that has ended
	times := map[int]time.Duration{}
	for _, t := range list {
		if stat, err := t.Stat(); err == nil && (nice < 0 || stat.Nice == nice) {
			times[t.PID] = Ticks(stat.UTime + stat.STime)
		}
	}
	return times
}

// descendants returns those, by their number, whose ancestor or whose session's
// first process is pid.
func descendants(pid int) map[int]procfs.ProcStat {
	all := map[int]procfs.ProcStat{}
	list, _ := procfs.AllProcs() // of this machine
	for _, p := range list {
		if s, err := p.Stat(); err == nil && p.PID != pid {
			all[p.PID] = s
		}
	}
	found := map[int]procfs.ProcStat{}
	for more := true; more; {
		more = false
		for id, s := range all {
			_, known := found[id]
			_, child := found[s.PPID]
			if !known && (child || s.PPID == pid || s.Session == pid) {
				found[id], more = s, true
			}
		}
	}
	return found
}

// killAll kills those that still live. A number may come to mean another process: one
// is known by its number and its start.
func killAll(list map[int]procfs.ProcStat) {
	for pid, was := range list {
		p, err := procfs.NewProc(pid)
		if err != nil {
			continue
		}
		if s, err := p.Stat(); err == nil && s.Starttime == was.Starttime {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended just now
		}
	}
}
