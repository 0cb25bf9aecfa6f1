package front

import (
	"sync"
	"testing"

	"sluice.io/sluice/internal/infer"
)

func newReservation(b *budget) *Reservation {
	r := new(Reservation)
	r.begin(b)
	return r
}

func TestBudget(t *testing.T) {
	b := &budget{limit: 64 * grain} // 4 of these are kept for small requests
	large, other, small := newReservation(b), newReservation(b), newReservation(b)
	f := func(r *Reservation, n int, want infer.Code, taken int64) {
		t.Helper()
		if err := r.Reserve(n); infer.CodeOf(err) != want {
			t.Errorf("%d bytes: %v, want %v", n, err, want)
		}
		if got := b.taken.Load(); got != taken*grain {
			t.Errorf("%d bytes: %v grains are taken, want %d", n, float64(got)/grain, taken)
		}
	}
	f(large, 60*grain+1, infer.TooLarge, 0) // it can never fit
	f(large, 1, infer.OK, 1)
	f(large, grain-1, infer.OK, 1)
	f(large, 58*grain, infer.OK, 59)
	f(large, 2*grain, infer.TooLarge, 59) // together with its earlier bytes
	f(other, 2*grain, infer.Overloaded, 59)
	f(other, grain, infer.OK, 60)
	f(other, 1, infer.Overloaded, 60)
	f(small, 100, infer.OK, 61) // only small requests get the rest
	small.Release(100)
	large.Release(58*grain + 1)
	f(other, 50*grain, infer.OK, 52)
	large.End()
	f(large, 1, infer.Canceled, 51)
	large.Release(1) // a late release changes nothing
	large.End()
	other.End()
	small.End()
	if got := b.taken.Load(); got != 0 {
		t.Errorf("%d bytes are never given back", got)
	}
	large.begin(b)
	f(large, 1, infer.OK, 1)
}

// The taken bytes are those that the reservations hold, also under concurrency.
func TestBudgetAddsUp(t *testing.T) {
	b := &budget{limit: 100 * grain}
	var all sync.WaitGroup
	for range 4 {
		r := newReservation(b)
		var pieces sync.WaitGroup
		for i := range 4 {
			pieces.Go(func() {
				for n := range 2000 {
					size := (n*7919 + i*104729) % (10 * grain)
					if r.Reserve(size) == nil {
						if taken := b.taken.Load(); taken > b.limit {
							t.Errorf("%d bytes are taken of %d", taken, b.limit)
						}
						r.Release(size)
					}
				}
			})
		}
		all.Go(func() {
			pieces.Wait()
			if held := r.held.Load(); held != 0 {
				t.Errorf("%d bytes are held", held)
			}
			r.End()
		})
	}
	all.Wait()
	if taken := b.taken.Load(); taken != 0 {
		t.Errorf("%d bytes are never given back", taken)
	}
}
