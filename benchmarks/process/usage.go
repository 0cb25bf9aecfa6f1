package process

import (
	"fmt"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// Usage is what a process, or several, have used.
type Usage struct {
	CPU         time.Duration // user and system, since the start
	RSS         int64         // bytes now; a page that processes share counts in each
	Threads     int
	Descriptors int // open files
}

// Usage returns what the server and all processes that it started have used.
func (s *Server) Usage() (Usage, error) {
	u, err := s.OwnUsage()
	if err != nil {
		return u, fmt.Errorf("%s: %w%s", s.cmd.Path, err, s.said)
	}
	list, _ := procfs.AllProcs() // of this machine
	for _, p := range list {
		if stat, err := p.Stat(); err == nil && stat.Session == s.Pid() && p.PID != s.Pid() {
			_ = u.add(p) // it may have ended meanwhile; its parent has its time then
		}
	}
	return u, nil
}

// OwnUsage is the same without the processes that it started, and takes less to find out.
func (s *Server) OwnUsage() (u Usage, err error) {
	p, err := procfs.NewProc(s.Pid())
	if err != nil {
		return u, err
	}
	return u, u.add(p)
}

func (u *Usage) add(p procfs.Proc) error {
	stat, err := p.Stat()
	if err != nil {
		return err
	}
	descriptors, _ := p.FileDescriptorsLen() // of another user's they are not known
	u.CPU += cpuTime(p.PID, stat) + Ticks(stat.CUTime+stat.CSTime)
	u.RSS += int64(stat.ResidentMemory())
	u.Threads += stat.NumThreads
	u.Descriptors += descriptors
	return nil
}

// Ticks is the unit of the kernel's CPU times, on every Linux that Go runs on.
func Ticks[N int | uint](n N) time.Duration { return time.Duration(n) * time.Second / 100 } //nolint:gosec // few

// cpuTime returns the time of all threads of a process, those that have ended too. The
// clock of the process has it to the nanosecond, /proc only to ticks of 10 ms.
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
