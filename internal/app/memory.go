package app

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// memoryLimit keeps Go's soft limit on the memory of the process. Without one the
// collector lets the heap double before it looks: requests that hold all of
// max_body_memory would leave as much again behind them. With it the collector runs
// when requests have used that memory up, and rarely before.
type memoryLimit struct {
	budget int64        // what requests may hold
	held   func() int64 // what they hold

	quiet  bool   // since cycle requests have held little
	cycle  uint64 // of the collector: what is live at the end of a later one counts
	wanted int64  // the limit
}

const (
	// memoryCheck is how often it is looked at what else is in use.
	memoryCheck = time.Second
	// leastElse is room for what the process needs before it has served anything.
	leastElse = 64 << 20
)

// softLimit is the budget and an eighth, in which garbage may gather, and for all
// else what Go's default would give it: twice what is in use.
func softLimit(budget, inUse int64) int64 { return budget + budget/8 + max(leastElse, 2*inUse) }

// run sets the limit until ctx ends. One that the environment gives is left as it is.
func (m *memoryLimit) run(ctx context.Context) error {
	if os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	m.wanted = softLimit(m.budget, 0)
	before := debug.SetMemoryLimit(m.wanted)
	defer debug.SetMemoryLimit(before)
	tick := time.NewTicker(memoryCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if cycle, live := collected(); m.learn(cycle, live) {
			debug.SetMemoryLimit(m.wanted)
		}
	}
}

// learn is told how much was live at the end of a cycle of the collector. It counts if
// requests held next to nothing all the time since two cycles before: the buffers of
// former requests lie in pools, and a pool drops them at the second cycle. It reports
// whether the limit must change.
func (m *memoryLimit) learn(cycle uint64, live int64) bool {
	const little = 64 // one in so many
	if m.held() > m.budget/little {
		m.quiet = false
		return false
	}
	if !m.quiet {
		m.quiet, m.cycle = true, cycle+1
		return false
	}
	if cycle <= m.cycle {
		return false
	}
	m.cycle = cycle
	wanted := softLimit(m.budget, live)
	if change := wanted - m.wanted; -wanted/16 < change && change < wanted/16 {
		return false // to set it stops the world
	}
	m.wanted = wanted
	return true
}

// collected returns how many cycles the collector has ended, and the bytes that were
// live at the end of the last.
func collected() (cycle uint64, live int64) {
	samples := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64(), int64(samples[1].Value.Uint64())
}
