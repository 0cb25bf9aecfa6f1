package app

import "testing"

// What else is in use is learnt only while requests hold little, from the second cycle of
// the collector in that time on: the first keeps what pools hold.
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
	f(0, 1, 200*mib, first) // what was live then may have been requests
	f(0, 1, 200*mib, first)
	f(0, 2, 200*mib, first)                 // the first cycle
	f(0, 3, 20*mib, first)                  // less than there is room for anyway
	f(0, 4, 100*mib, (256+32+200)*mib)      // models
	f(0, 5, 101*mib, (256+32+200)*mib)      // hardly more
	f(budget, 6, 400*mib, (256+32+200)*mib) // an attack
	f(0, 7, 400*mib, (256+32+200)*mib)      // it is over, but the cycle was in it
	f(0, 7, 400*mib, (256+32+200)*mib)      // no cycle since
	f(0, 8, 300*mib, (256+32+200)*mib)      // its buffers lie in pools
	f(mib, 9, 10*mib, first)                // the models are gone
	f(budget/2, 10, 10*mib, first)          // another
	f(budget/2, 11, 10*mib, first)          // which lasts
}
