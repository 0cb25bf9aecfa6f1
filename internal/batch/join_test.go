package batch_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/internal/batch"
)

// alone returns how many of that many runs of a shape had one request.
func alone(c *batch.Cost, runs int, rows float64) (n int) {
	for range runs {
		if c.Members(rows, 64) == 1 {
			n++
		}
	}
	return n
}

func learnt(l law, seed uint64) *batch.Cost {
	rng := newRand(seed)
	var c batch.Cost
	for range 200 {
		rows := size(32, rng)
		c.Record(rows, l.run(rows, rng))
	}
	return &c
}

func TestRequestsRunAloneWhereJoiningSavesNothing(t *testing.T) {
	const runs = 10 * batch.TryEvery
	for name, l := range laws {
		c := learnt(l, 7)
		want := 0
		if name == "cnn" {
			want = runs - 10 // one in each round goes the other way
		}
		if got := alone(c, runs, 1); got != want {
			t.Errorf("%s: %d of %d runs had one request, want %d", name, got, runs, want)
		}
	}
	// Requests of many rows have less in common than those of one.
	c := learnt(laws["encoder"], 7)
	if got := alone(c, runs, 30); got != runs-10 {
		t.Errorf("30 rows each: %d of %d runs had one request", got, runs)
	}
	if got := alone(c, runs, 1); got != 0 {
		t.Errorf("one row each: %d of %d runs had one request, want none", got, runs)
	}
}

func TestNothingIsDecidedByGuess(t *testing.T) {
	rng := newRand(8)
	f := func(what string, l law, sizes ...int) {
		t.Helper()
		var c batch.Cost
		for i := range 200 {
			rows := sizes[i%len(sizes)]
			c.Record(rows, l.run(rows, rng))
		}
		const runs = 10 * batch.TryEvery
		if got := alone(&c, runs, 1); got != 10 {
			t.Errorf("%s: %d of %d runs had one request, want the 10 that are tried", what, got, runs)
		}
	}
	f("one size", law{0, 100 * us, 0}, 8)
	f("noise", law{0, 100 * us, 1}, 1, 2, 3)
	var few batch.Cost
	for _, rows := range []int{1, 2, 4, 8} {
		few.Record(rows, time.Duration(rows)*100*us)
	}
	if alone(&few, 3, 1) > 0 {
		t.Error("decided after four runs")
	}
}

// Between the two thresholds it stays as it is.
func TestJoiningHasHysteresis(t *testing.T) {
	var c batch.Cost
	f := func(share float64, want int) {
		t.Helper()
		l := law{time.Duration(share * 100 * float64(ms)), time.Duration((1 - share) * 100 * float64(ms)), 0}
		for i := range 400 {
			c.Record(1+i%8, l.exact(1+i%8))
		}
		if got := alone(&c, 2*batch.TryEvery, 1); got != want {
			t.Errorf("fixed share %v: %d of %d runs had one request, want %d", share, got, 2*batch.TryEvery, want)
		}
	}
	const most, few = 2*batch.TryEvery - 2, 2
	f(0.10, few)
	f(0.07, most)
	f(0.10, most)
	f(0.13, few)
	f(0.10, few)
	f(0.40, 0)
}

// The cost of a run beside the instance counts: tiny models are joined however they scale.
func TestTinyRunsAreJoined(t *testing.T) {
	var c batch.Cost
	for i := range 100 {
		c.Record(1+i%8, time.Duration(1+i%8)*us)
	}
	if n := alone(&c, 1000, 1); n > 0 {
		t.Errorf("%d of 1000 runs had one request", n)
	}
}

// storm sends that many requests of one row at the same time and returns the sizes of the runs
// since from, and how long the requests took on average.
func (s *server) storm(n int) (sizes []int, mean time.Duration) {
	s.t.Helper()
	from := make([]int, len(s.instances))
	for i, f := range s.instances {
		from[i] = len(f.history())
	}
	var calls []*call
	begin := time.Now()
	for range n {
		calls = append(calls, s.send(request(1, 1, 1)))
	}
	for _, c := range calls {
		c.wantDoubled(s.t)
		mean += c.ended.Sub(begin)
	}
	mean /= time.Duration(n)
	synctest.Wait()
	for i, f := range s.instances {
		for _, run := range f.history()[from[i]:] {
			sizes = append(sizes, len(run))
		}
	}
	return sizes, mean
}

func largest(sizes []int) (most int) {
	for _, n := range sizes {
		most = max(most, n)
	}
	return most
}

// The free instances share the waiting requests one by one, and answers come sooner. As soon as
// joining pays, requests are joined again.
func TestBatcherFindsOutWhetherJoiningPays(t *testing.T) {
	virtual(t, func(t *testing.T) {
		var now atomic.Pointer[law]
		now.Store(&law{0, 10 * ms, 0})
		s := start(t, 2, func(_ *batch.Options, instances []*fake) {
			for _, f := range instances {
				f.takes = func(rows int) time.Duration { return now.Load().exact(rows) }
			}
		})
		first, joined := s.storm(18)
		if largest(first) != 8 {
			t.Errorf("sizes of the first runs %v, want 8 among them", first)
		}
		for range 4 {
			s.storm(18)
		}
		sizes, mean := s.storm(18)
		if len(sizes) != 18 || mean != 50*ms || mean >= joined {
			t.Errorf("sizes %v, %v on average; want 18 runs and 50ms, less than the %v of joined ones", sizes, mean, joined)
		}
		now.Store(&law{10 * ms, ms, 0})
		for range 30 {
			sizes, _ = s.storm(18)
		}
		if largest(sizes) != 8 {
			t.Errorf("sizes of runs %v after the model changed, want 8 among them", sizes)
		}
	})
}

// A share of the waiting requests does not get a run whose fixed part takes longer than the
// share.
func TestSharesAreWorthTheirRuns(t *testing.T) {
	f := func(l law, want int) {
		t.Helper()
		var c batch.Cost
		for i := range 100 {
			c.Record(1+i%8, l.exact(1+i%8))
		}
		if got := c.Worth(64); got != want {
			t.Errorf("%v: a run is worth it from %d rows on, want %d", l, got, want)
		}
	}
	f(law{10 * ms, 2 * ms, 0}, 5)
	f(law{0, 10 * ms, 0}, 0) // every share
	f(law{10 * ms, 0, 0}, 64)
	f(law{0, us / 4, 0}, 4) // the cost of a run beside the instance counts too
	if got := new(batch.Cost).Worth(64); got != 1 {
		t.Errorf("if nothing is known, from %d rows on", got)
	}
}

// Runs grow no further if there is little left to share, though 64 rows may run together. A few
// requests may always run together. Requests of many rows are not skipped for that.
func TestRunsAreNoLargerThanPays(t *testing.T) {
	f := func(l law, want int) {
		t.Helper()
		virtual(t, func(t *testing.T) {
			s := start(t, 2, func(o *batch.Options, instances []*fake) {
				o.MaxSize = 64
				for _, f := range instances {
					f.takes = l.exact
				}
			})
			first, _ := s.storm(130)
			if largest(first) != 64 {
				t.Errorf("%v: sizes of the first runs %v, want 64 among them", l, first)
			}
			for range 4 {
				s.storm(20)
			}
			if sizes, _ := s.storm(130); largest(sizes) != want {
				t.Errorf("%v: sizes of runs %v, want at most %d", l, sizes, want)
			}
			s.send(request(1, 40, 1)).wantDoubled(t)
		})
	}
	f(law{10 * ms, 10 * ms, 0}, 16)
	f(law{10 * ms, 100 * ms, 0}, 8) // little, but enough to be joined
}

// With MaxDelay full runs are wanted.
func TestMaxDelayJoinsWhateverItCosts(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 2, func(o *batch.Options, instances []*fake) {
			o.MaxDelay = ms
			for _, f := range instances {
				f.takes = func(rows int) time.Duration { return time.Duration(rows) * 10 * ms }
			}
		})
		var sizes []int
		for range 8 {
			sizes, _ = s.storm(18)
		}
		if largest(sizes) != 8 {
			t.Errorf("sizes of runs %v, want 8 among them", sizes)
		}
	})
}
