package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Stat is what Linux tells of a process, or of a thread. A number may come to mean
// another process: one is known by its number and its begin.
type Stat struct {
	Parent, Session, Nice int
	Begin                 int64         // in ticks since the machine was started
	CPU                   time.Duration // of its own, to 10 ms
	Reaped                time.Duration // likewise, of its children that have ended and were waited for
}

// ReadStat reads a file of the kernel's: /proc/PID/stat or /proc/PID/task/ID/stat.
func ReadStat(file string) (s Stat, err error) {
	text, err := os.ReadFile(file) //nolint:gosec // a file of the kernel's
	if err != nil {
		return s, err
	}
	if s, err = parseStat(text); err != nil {
		return s, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

func parseStat(text []byte) (s Stat, err error) {
	const tick = time.Second / 100 // of every Linux that Go runs on
	// proc_pid_stat(5): the third field, the state, comes after the name, which may
	// hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 22-2 {
		return s, fmt.Errorf("%d fields after the name", len(fields))
	}
	field := func(n int) int64 {
		v, ferr := strconv.ParseInt(fields[n-3], 10, 64)
		err = errors.Join(err, ferr)
		return v
	}
	s = Stat{
		Parent: int(field(4)), Session: int(field(6)), Nice: int(field(19)), Begin: field(22),
		CPU: time.Duration(field(14)+field(15)) * tick, Reaped: time.Duration(field(16)+field(17)) * tick,
	}
	return s, err
}
