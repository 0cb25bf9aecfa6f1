package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sluice.io/sluice/benchmarks/process"
)

// tick is the unit of the kernel's CPU times.
const tick = time.Second / 100 // of every Linux that Go runs on

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

// now looks at the machine and its processes.
func now() (m moment, err error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return m, err
	}
	if m.machine, m.stolen, err = machineTime(string(stat)); err != nil {
		return m, err
	}
	list, err := processes()
	if err != nil {
		return m, err
	}
	m.ours, m.theirs = split(list, os.Getpid())
	m.at = time.Now()
	return m, nil
}

// machineTime returns what all cores have worked, without interrupts, and what the
// hypervisor took.
func machineTime(stat string) (worked, stolen time.Duration, err error) {
	for line := bufio.NewScanner(strings.NewReader(stat)); line.Scan(); {
		fields := strings.Fields(line.Text())
		if len(fields) < 9 || fields[0] != "cpu" {
			continue
		}
		// proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal.
		user, nice, system, steal := fields[1], fields[2], fields[3], fields[8]
		if worked, err = sum(user, nice, system); err != nil {
			return 0, 0, fmt.Errorf("/proc/stat: %w", err)
		}
		stolen, err = sum(steal)
		return worked, stolen, err
	}
	return 0, 0, errors.New("/proc/stat has no line of all cores")
}

// used is what a process and its children that have ended have used. What a child
// used passes to its parent when it ends, so the sum over all loses nothing.
type used struct {
	parent int
	cpu    time.Duration
}

// processes returns all that can be seen, by their ids.
func processes() (map[int]used, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	list := make(map[int]used, len(files))
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return nil, err
		}
		switch stat, err := process.ReadStat(file); {
		case err == nil:
			list[pid] = used{stat.Parent, stat.CPU + stat.Reaped}
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH): // else it has ended
			return nil, err
		}
	}
	return list, nil
}

func sum(ticks ...string) (total time.Duration, err error) {
	for _, text := range ticks {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(n) * tick
	}
	return total, nil
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
