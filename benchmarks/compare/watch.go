package main

import (
	"os"
	"time"

	"github.com/prometheus/procfs"

	"sluice.io/sluice/benchmarks/process"
)

// moment is what has been used until then.
type moment struct {
	at      time.Time
	machine time.Duration // by all cores, but for interrupts
	stolen  time.Duration // by the hypervisor
	ours    time.Duration // by this process and all that it started
	theirs  time.Duration // by all other processes
}

// others returns how many cores processes that are not ours used between two
// moments, and the hypervisor with them. Of the two ways to tell, the machine's
// counters less ours and the sum over the other processes, the larger one counts:
// the first misses something where the kernel books interrupts on who was running,
// most of which here are our own requests on the loopback; the second does not see
// other containers. A few hundredths of a core are rounding.
func others(from, to moment) float64 {
	elapsed := to.at.Sub(from.at)
	if elapsed <= 0 {
		return 0
	}
	stolen := to.stolen - from.stolen
	unknown := to.machine - from.machine - (to.ours - from.ours)
	seen := to.theirs - from.theirs
	return max(0, (max(unknown, seen)+stolen).Seconds()/elapsed.Seconds())
}

// now looks at the machine and its processes. Interrupts do not count.
func now() (m moment, err error) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return m, err
	}
	stat, err := fs.Stat()
	if err != nil {
		return m, err
	}
	list, err := processes(fs)
	if err != nil {
		return m, err
	}
	all := stat.CPUTotal
	m.machine, m.stolen = seconds(all.User+all.Nice+all.System), seconds(all.Steal)
	m.ours, m.theirs = split(list, os.Getpid())
	m.at = time.Now()
	return m, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// used is what a process and its children that have ended have used. What a child
// used passes to its parent when it ends, so the sum over all loses nothing.
type used struct {
	parent int
	cpu    time.Duration
}

// processes returns all that can be seen, by their ids.
func processes(fs procfs.FS) (map[int]used, error) {
	all, err := fs.AllProcs()
	if err != nil {
		return nil, err
	}
	list := make(map[int]used, len(all))
	for _, p := range all {
		if stat, err := p.Stat(); err == nil { // else it has ended
			list[p.PID] = used{stat.PPID, process.Ticks(stat.UTime+stat.STime) + process.Ticks(stat.CUTime+stat.CSTime)}
		}
	}
	return list, nil
}

// split adds up what a process and its descendants used, and what all others did.
func split(list map[int]used, root int) (ours, theirs time.Duration) {
	for pid, u := range list {
		above := pid
		for steps := 0; above != root && above > 0 && steps < len(list); steps++ {
			above = list[above].parent
		}
		if above == root {
			ours += u.cpu
		} else {
			theirs += u.cpu
		}
	}
	return ours, theirs
}
