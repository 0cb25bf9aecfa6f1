package app

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// memoryLimit keeps Go's soft limit on the memory of the process. Without one the
// collector lets the heap double before it looks: requests that hold all of
// max_body_memory would leave as much again behind them. With it the collector runs
// when requests have used that memory up, and rarely before. When requests have held
// little for a while, it gives back what they, or the loads of a start, have left behind.
type memoryLimit struct {
	budget int64        // what requests may hold
	held   func() int64 // what they hold
	loaded func() bool  // the loads of the start have ended

	quiet  bool   // since cycle requests have held little
	cycle  uint64 // of the collector: what is live at the end of a later one counts
	wanted int64  // the limit

	calm  int   // how many checks in a row requests have held little
	freed int64 // what was live when memory was given back in this calm; 0: it was not
	swept bool  // memory was given back since the start
}

const (
	// memoryCheck is how often it is looked at what else is in use.
	memoryCheck = time.Second
	// leastElse is room for what the process needs before it has served anything.
	leastElse = 64 << 20
	// calmChecks is after how many calm checks memory is given back. Go itself would do it
	// after its next collection, which is forced after two minutes, and by and by.
	calmChecks = 10
	leastSpare = 32 << 20 // less is not worth a collection
	// loadPercent is GOGC while the versions of the start load. With 100, garbage of the
	// loads takes as much as what lives on, and lies in between: a third of the heap is
	// holes after 5,000 loads.
	loadPercent = 25
)

// collectOften has the collector run often until usual is called.
func collectOften() (usual func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(loadPercent)
	return sync.OnceFunc(func() { debug.SetGCPercent(before) })
}

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
		u := readUsage()
		if m.learn(u.cycle, u.live) {
			debug.SetMemoryLimit(m.wanted)
		}
		if m.spare(u) {
			runtime.GC() // a pool drops what it holds at the second
			debug.FreeOSMemory()
		}
	}
}

// little reports whether requests hold next to nothing.
func (m *memoryLimit) little() bool {
	const one = 64 // in so many
	return m.held() <= m.budget/one
}

// spare reports whether memory is to be given back: requests have held little for a while,
// and much more is mapped than is live. Once in a calm is enough, unless more has come
// to be live since. What the loads of the start have left counts as live until the next
// collection, so that the first calm is always used.
func (m *memoryLimit) spare(u usage) bool {
	if !m.little() || !m.loaded() {
		m.calm, m.freed = 0, 0
		return false
	}
	if m.calm++; m.calm < calmChecks || m.swept && u.mapped-u.live < u.live/2+leastSpare {
		return false
	}
	m.swept = true
	if m.freed > 0 && u.live < m.freed+m.freed/4 {
		return false
	}
	m.freed = u.live
	return true
}

// learn is told how much was live at the end of a cycle of the collector. It counts if
// requests held next to nothing all the time since two cycles before: the buffers of
// former requests lie in pools, and a pool drops them at the second cycle. It reports
// whether the limit must change.
func (m *memoryLimit) learn(cycle uint64, live int64) bool {
	if !m.little() {
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

// usage is what Go's heap takes.
type usage struct {
	cycle  uint64 // how many cycles the collector has ended
	live   int64  // bytes, at the end of the last
	mapped int64  // bytes that the system has given and not got back
}

func readUsage() usage {
	samples := []metrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	bytes := func(i int) int64 { return int64(samples[i].Value.Uint64()) }
	return usage{cycle: samples[0].Value.Uint64(), live: bytes(1), mapped: bytes(2) + bytes(3) + bytes(4)}
}
