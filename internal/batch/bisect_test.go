package batch_test

import (
	"fmt"
	"math/bits"
	"slices"
	"testing"
	"time"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

// failOn fails a run that holds one of the ids, after a millisecond.
func failOn(ids ...float32) func(*batch.Options, []*fake) {
	return func(o *batch.Options, instances []*fake) {
		slow(ms)(o, instances)
		o.MaxSize = 64
		for _, f := range instances {
			f.compute = func(x matrix) (matrix, error) {
				for i := range x.rows {
					if slices.Contains(ids, x.row(i)[0]) {
						return matrix{}, errBadRow
					}
				}
				return double(x)
			}
		}
	}
}

// together sends requests 1 to n so that one run takes them all. It returns them by
// id, 0 being one that keeps the instance busy until they wait.
func (s *server) together(n int) []*call {
	s.t.Helper()
	calls := []*call{s.send(request(0, 1, 1))}
	for id := range n {
		calls = append(calls, s.send(request(float32(id+1), 1, 1)))
	}
	return calls
}

// logarithm is that of base 2, rounded up.
func logarithm(n int) int { return bits.Len(uint(n - 1)) }

// One bad request is found, wherever it is, within 2·log2 n further runs.
func TestOneAmongMany(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5, 8, 13, 32, 64} {
		for bad := 1; bad <= n; bad += max(1, n/8) {
			t.Run(fmt.Sprint(bad, " of ", n), func(t *testing.T) {
				virtual(t, func(t *testing.T) {
					s := start(t, 1, failOn(float32(bad)))
					calls := s.together(n)
					for id, c := range calls {
						if id == bad {
							c.wantFailed(t, true)
						} else {
							c.wantDoubled(t)
						}
					}
					// Besides them there is a run of the known input, request 0.
					if further, most := len(s.instances[0].history())-3, 2*logarithm(n); further > most {
						t.Errorf("%d further runs, want at most %d", further, most)
					}
				})
			})
		}
	}
}

// However many requests are bad, there are at most n + 2·log2 n further runs.
func TestManyAmongMany(t *testing.T) {
	const n = 64
	for _, every := range []int{1, 2, 3, 7, 20} {
		t.Run(fmt.Sprint("every ", every), func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				var bad []float32
				for id := every; id <= n; id += every {
					bad = append(bad, float32(id))
				}
				s := start(t, 1, failOn(bad...))
				for id, c := range s.together(n) {
					if slices.Contains(bad, float32(id)) {
						c.wantFailed(t, true)
					} else {
						c.wantDoubled(t)
					}
				}
				if further, most := len(s.instances[0].history())-3, n+2*logarithm(n); further > most {
					t.Errorf("%d further runs, want at most %d", further, most)
				}
			})
		})
	}
}

// Times are those of the run that answered; the time in the queue ends with that run's start.
func TestTimesAfterBisection(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, failOn(4))
		calls := s.together(4)
		for _, c := range calls {
			<-c.done
		}
		f := func(id int, queue time.Duration, rows int) {
			t.Helper()
			got := calls[id].req.Timing
			if want := (infer.Timing{Queue: queue, Compute: ms, Rows: rows}); got != want {
				t.Errorf("request %d: %+v, want %+v", id, got, want)
			}
		}
		// 1234 fails, 12 does not, 34 fails, 3 does not, 4 fails.
		f(1, 2*ms, 2)
		f(2, 2*ms, 2)
		f(3, 4*ms, 1)
		f(4, 5*ms, 1)
	})
}

// Members may leave between the runs of a bisection, and all at the same time.
func TestLeavingABisection(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, failOn(1))
		s.send(request(0, 1, 1))
		bad := s.send(request(1, 1, 1))
		good := s.send(request(2, 1, 1))
		var gone []*call
		for id := range 2 {
			gone = append(gone, s.send(within(2500*time.Microsecond, request(float32(3+id), 1, 1))))
		}
		bad.wantFailed(t, true)
		good.wantDoubled(t)
		for _, c := range gone {
			c.wantCode(t, infer.Deadline)
		}
		wantRuns(t, s.instances[0], []float32{0}, []float32{3, 4, 1, 2}, []float32{3, 4}, []float32{1, 2}, []float32{1}, []float32{2}, []float32{0})
	})
}

func TestCutOffInABisection(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := build(t, 1, failOn(1))
		ran := make(chan error, 1)
		go func() { ran <- s.Run(t.Context()) }()
		calls := s.together(4)
		ctx, cancel := timeout(t, 2500*time.Microsecond)
		defer cancel()
		if err := s.Shutdown(ctx); err == nil {
			t.Error("Shutdown: no error")
		}
		if err := <-ran; err != nil {
			t.Error(err)
		}
		calls[0].wantDoubled(t)
		for _, c := range calls[1:] {
			c.wantCode(t, infer.Unavailable)
		}
		s.checkEmpty()
	})
}

// The pieces of a split request are members like any other.
func TestBadPieceOfASplitRequest(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			failOn(7)(o, instances)
			o.MaxSize, o.Split = 4, true
		})
		s.send(request(0, 1, 1))
		long := request(5, 6, 1) // pieces of 4 and 2 rows
		copy(long.Inputs[0].Data[4*5:], floats(7))
		split, other := s.send(long), s.send(request(1, 2, 1))
		split.wantFailed(t, true)
		other.wantDoubled(t)
	})
}
