package app

import (
	"runtime/debug"
	"testing"
)

// The use of other memory is learnt only while requests hold little, from the second cycle of
// the collector in that time: the first keeps the objects of pools.
func TestMemoryLimitLearns(t *testing.T) {
	const budget, mib = 256 << 20, 1 << 20
	held := int64(0)
	m := memoryLimit{budget: budget, held: func() int64 { return held }, wanted: softLimit(budget, 0)}
	f := func(holds int64, cycle uint64, live, want int64) {
		t.Helper()
		held = holds
		was := m.wanted
		if changed := m.learn(cycle, live); m.wanted != want || changed != (was != want) {
			t.Errorf("limit %d MiB, want %d", m.wanted>>20, want>>20)
		}
	}
	const first = (256 + 32 + 64) * mib
	f(0, 1, 200*mib, first) // live bytes then may belong to requests
	f(0, 1, 200*mib, first)
	f(0, 2, 200*mib, first)                 // the first cycle
	f(0, 3, 20*mib, first)                  // less than there is room for
	f(0, 4, 100*mib, (256+32+200)*mib)      // models
	f(0, 5, 101*mib, (256+32+200)*mib)      // hardly more
	f(budget, 6, 400*mib, (256+32+200)*mib) // an attack
	f(0, 7, 400*mib, (256+32+200)*mib)      // it is over, but the cycle was during it
	f(0, 7, 400*mib, (256+32+200)*mib)      // no cycle since
	f(0, 8, 300*mib, (256+32+200)*mib)      // its buffers are in pools
	f(mib, 9, 10*mib, first)                // the models are gone
	f(budget/2, 10, 10*mib, first)          // another
	f(budget/2, 11, 10*mib, first)          // and it lasts
}

// Memory is given back once in each calm, after some checks, if it pays.
func TestSpareMemory(t *testing.T) {
	const mib = 1 << 20
	held := int64(0)
	loaded := false
	m := memoryLimit{budget: 256 * mib, held: func() int64 { return held }, loaded: func() bool { return loaded }}
	f := func(holds int64, checks int, live, mapped int64, want int) {
		t.Helper()
		held = holds
		got := 0
		for range checks {
			if m.spare(usage{live: live * mib, mapped: mapped * mib}) {
				got++
			}
		}
		if got != want {
			t.Errorf("gave memory back %d times, want %d", got, want)
		}
	}
	f(0, 2*calmChecks, 100, 300, 0) // versions load
	loaded = true
	f(0, calmChecks-1, 100, 120, 0)
	f(0, 5, 100, 120, 1) // the loads of the start
	f(200*mib, 1, 100, 300, 0)
	f(0, calmChecks-1, 100, 300, 0)
	f(0, 5, 100, 300, 1)             // and not again, since it would free no more
	f(0, 5, 150, 400, 1)             // models were loaded since
	f(0, 50, 150, 200, 0)            // as much garbage as the collector leaves anyway
	f(200*mib, 50, 150, 1000, 0)     // an attack
	f(0, calmChecks-1, 150, 1000, 0) // it is over
	f(mib, 5, 150, 1000, 1)
	f(200*mib, 1, 20, 50, 0)
	f(0, 50, 20, 50, 0) // does not pay
}

// A small heap is collected when it has left 32 MiB of garbage, a large one as usual.
func TestCollectorOfASmallHeap(t *testing.T) {
	const mib = 1 << 20
	for live, want := range map[int64]int{0: 3200, 8 * mib: 400, 31 * mib: 103, 32 * mib: 100, 900 * mib: 100} {
		if got := percent(live); got != want {
			t.Errorf("GOGC %d with %d MiB, want %d", got, live/mib, want)
		}
	}
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	loaded := false
	m := memoryLimit{loaded: func() bool { return loaded }}
	f := func(live int64, want int) {
		t.Helper()
		m.collect(usage{live: live * mib, percent: readUsage().percent})
		if got := readUsage().percent; got != want {
			t.Errorf("GOGC is %d, want %d", got, want)
		}
	}
	f(8, 100) // versions load
	loaded = true
	f(8, 400)
	f(9, 400) // hardly more
	f(100, 100)
	t.Setenv("GOGC", "100")
	f(8, 100)
}
