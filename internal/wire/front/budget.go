package front

import (
	"math"
	"sync/atomic"

	"sluice.io/sluice/internal/infer"
)

const (
	// grain is the unit in which a Reservation takes from its budget: a small
	// request takes one, at its beginning, however often it reserves.
	grain = 16 << 10
	// leftOver is the part of a budget, one in so many, that is left to requests of
	// one grain: large ones cannot keep small ones out.
	leftOver = 16
)

// budget is how many bytes all requests of all listeners together may hold. Each request
// takes from it by a Reservation of its own.
type budget struct {
	limit int64
	taken atomic.Int64
}

// take adds n bytes to what is taken, unless more than most of the budget would be.
func (b *budget) take(n, most int64) bool {
	for {
		taken := b.taken.Load()
		if n > most-taken {
			return false
		}
		if b.taken.CompareAndSwap(taken, taken+n) {
			return true
		}
	}
}

// Reservation is what one request holds of the memory of all. It implements
// infer.Memory. Front.Hold takes the zero value into use.
type Reservation struct {
	budget *budget
	held   atomic.Int64 // bytes, or ended
}

// ended is what a Reservation holds that has given everything back. It stays that
// way until begin: nothing that still works for a request that is over can take or
// give back anything.
const ended = math.MinInt64

// begin takes the reservation into use.
func (r *Reservation) begin(b *budget) {
	r.budget = b
	r.held.Store(0)
}

// Reserve implements infer.Memory.
func (r *Reservation) Reserve(n int) error {
	for {
		held := r.held.Load()
		if held == ended {
			return infer.Errorf(infer.Canceled, "the request is over")
		}
		b, now := r.budget, held+int64(n)
		most := b.limit
		if now > grain {
			most -= most / leftOver
		}
		if now > most {
			return infer.Errorf(infer.TooLarge, "the request and its answer would take %d bytes, more than the %d that all requests together may hold", now, most)
		}
		more := grains(now) - grains(held)
		if more > 0 && !b.take(more, most) {
			return infer.Errorf(infer.Overloaded, "all requests and answers together take their limit of %d bytes, try again later", b.limit)
		}
		if r.held.CompareAndSwap(held, now) {
			return nil
		}
		if more > 0 {
			b.taken.Add(-more)
		}
	}
}

// Release implements infer.Memory.
func (r *Reservation) Release(n int) {
	for {
		held := r.held.Load()
		if held == ended {
			return
		}
		now := held - int64(n)
		if now < 0 {
			panic("BUG: a request gives back more memory than it holds")
		}
		if r.held.CompareAndSwap(held, now) {
			if less := grains(held) - grains(now); less > 0 {
				r.budget.taken.Add(-less)
			}
			return
		}
	}
}

// Held returns how many bytes the reservation holds, 0 once it has ended.
func (r *Reservation) Held() int { return int(max(0, r.held.Load())) }

// End gives everything back.
func (r *Reservation) End() {
	if held := r.held.Swap(ended); held > 0 {
		r.budget.taken.Add(-grains(held))
	}
}

// grains returns n rounded up to what is taken of the budget for it.
func grains(n int64) int64 { return (n + grain - 1) / grain * grain }
