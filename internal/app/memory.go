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

// memoryLimit sets Go's soft limit on the memory of the process. Without one the collector lets
// the heap double: requests that use all of max_body_memory would leave as much garbage. With a
// limit the collector runs when requests have used that memory up, and rarely before. If
// requests have held little memory for a while, it gives the memory that they, or the loads of
// a start, have left back to the system.
//
// It also sets GOGC, so that a small heap is not collected hundreds of times a second.
type memoryLimit struct {
	budget int64        // bytes that requests may hold
	held   func() int64 // bytes that they hold
	loaded func() bool  // the loads of the start have ended

	quiet  bool   // requests have held little since cycle
	cycle  uint64 // of the collector: the live bytes at the end of a later one count
	wanted int64  // the limit

	calm  int   // for how many checks in a row requests have held little
	freed int64 // the live bytes when memory was last given back while requests held little; 0 if it was not
	swept bool  // memory was given back since the start
}

const (
	// memoryCheck is how often the use of memory is checked.
	memoryCheck = time.Second
	// leastElse is room for the memory of the process before it has served a request.
	leastElse = 64 << 20
	// calmChecks is the number of calm checks after which memory is given back. Go itself would
	// do it slowly, after its next collection, which is forced after two minutes.
	calmChecks = 10
	leastSpare = 32 << 20 // less does not pay for a collection
	// leastGarbage is how much garbage there may be before the collector runs, if less than that is live. Over gRPC
	// a request leaves about 4 KiB, and with a small heap and GOGC=100 a fifth of its time went to collections.
	leastGarbage = 32 << 20
	usualPercent = 100
	// loadPercent is GOGC while the versions of the start load. With 100, garbage of the loads
	// takes as much memory as the live objects, and is between them: a third of the heap is
	// holes after 5,000 loads.
	loadPercent = 50
)

// collectOften makes the collector run often until usual is called.
func collectOften() (usual func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(loadPercent)
	return sync.OnceFunc(func() { debug.SetGCPercent(before) })
}

// softLimit is the budget and an eighth of it for garbage, plus Go's default for the rest:
// twice the bytes in use.
func softLimit(budget, inUse int64) int64 { return budget + budget/8 + max(leastElse, 2*inUse) }

// percent returns GOGC for live bytes.
func percent(live int64) int {
	return int(max(usualPercent, 100*leastGarbage/max(live, 1<<20)))
}

// collect sets GOGC, unless it is about right: setting it stops the world. A value from the environment is not changed.
func (m *memoryLimit) collect(u usage) {
	wanted := percent(u.live)
	if os.Getenv("GOGC") == "" && m.loaded() && (4*u.percent < 3*wanted || 4*wanted < 3*u.percent) {
		debug.SetGCPercent(wanted)
	}
}

// run sets the limit until ctx ends. A limit from the environment is not changed.
func (m *memoryLimit) run(ctx context.Context) error {
	if os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	m.wanted = softLimit(m.budget, 0)
	before := debug.SetMemoryLimit(m.wanted)
	defer debug.SetMemoryLimit(before)
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(usualPercent)
	}
	tick := time.NewTicker(memoryCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		u := readUsage()
		m.collect(u)
		if m.learn(u.cycle, u.live) {
			debug.SetMemoryLimit(m.wanted)
		}
		if m.spare(u) {
			runtime.GC() // a pool drops its objects at the second collection
			debug.FreeOSMemory()
		}
	}
}

// little reports whether requests hold next to nothing.
func (m *memoryLimit) little() bool {
	const one = 64 // the divisor of the budget
	return m.held() <= m.budget/one
}

// spare reports whether memory should be given back: requests have held little for a while, and
// much more is mapped than is live. Once per calm is enough, unless more has become live since.
// Garbage of the loads of the start counts as live until the next collection, so the first calm
// is always used.
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

// learn gets the live bytes at the end of a cycle of the collector. They count if requests have
// held next to nothing since two cycles before: buffers of earlier requests are in pools, and a
// pool drops them at the second cycle. It reports whether the limit must change.
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
		return false // setting it stops the world
	}
	m.wanted = wanted
	return true
}

// usage is the memory of Go's heap.
type usage struct {
	cycle  uint64 // how many cycles the collector has ended
	live   int64  // bytes, at the end of the last
	mapped int64  // bytes that the system has given and not received back

	percent int // GOGC
}

func readUsage() usage {
	samples := []metrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/gc/gogc:percent"},
	}
	metrics.Read(samples)
	bytes := func(i int) int64 { return int64(samples[i].Value.Uint64()) }
	return usage{cycle: samples[0].Value.Uint64(), live: bytes(1), mapped: bytes(2) + bytes(3) + bytes(4), percent: int(bytes(5))}
}
