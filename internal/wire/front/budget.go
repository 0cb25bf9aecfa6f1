package front

import (
	"math"
	"sync/atomic"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

const (
	// grain is the unit in which a Reservation takes from its budget: a small request takes one, at
	// its beginning, even if it reserves several times.
	grain = 16 << 10
	// leftOver is the divisor of the part of a budget that is kept for requests of one grain, so
	// that large requests cannot keep small ones out.
	leftOver = 16
)

// budget is the number of bytes that all requests of all listeners together may hold. Each request
// takes from it through its own Reservation.
type budget struct {
	limit int64
	taken atomic.Int64
}

// take adds n bytes to the taken ones, and returns false if that would exceed most.
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

// Reservation is the part of the budget that one request holds. It implements infer.Memory.
// Front.Hold begins the use of the zero value.
type Reservation struct {
	budget *budget
	held   atomic.Int64 // bytes, or ended
	pass   callers.Pass // of the request's caller, whose limits count the same grains
}

// ended is the value of held after a Reservation has returned everything, until begin. Code that
// still works for a finished request can then neither take nor return anything.
const ended = math.MinInt64

// begin starts the use of the reservation.
func (r *Reservation) begin(b *budget) {
	r.budget, r.pass = b, callers.Pass{}
	r.held.Store(0)
}

// charge makes the limits of a caller count what the reservation holds and will hold.
func (r *Reservation) charge(pass callers.Pass) error {
	held := grains(max(0, r.held.Load()))
	if err := pass.Take(held, held); err != nil {
		return err
	}
	r.pass = pass
	return nil
}

// Reserve implements infer.Memory.
func (r *Reservation) Reserve(n int) error {
	for {
		held := r.held.Load()
		if held == ended {
			return infer.Errorf(infer.Canceled, "the request has ended")
		}
		b, now := r.budget, held+int64(n)
		most := b.limit
		if now > grain {
			most -= most / leftOver
		}
		if now > most {
			return infer.Errorf(infer.TooLarge, "the request and its answer would take %d bytes, more than the limit of %d bytes for all requests together", now, most)
		}
		more := grains(now) - grains(held)
		if more > 0 && !b.take(more, most) {
			return infer.Errorf(infer.Overloaded, "requests and answers use all of their memory of %d bytes, try again later", b.limit)
		}
		if more > 0 {
			if err := r.pass.Take(more, grains(now)); err != nil {
				b.taken.Add(-more)
				return err
			}
		}
		if r.held.CompareAndSwap(held, now) {
			return nil
		}
		if more > 0 {
			r.giveBack(more)
		}
	}
}

// giveBack returns whole grains to the budget and to the limits of the caller.
func (r *Reservation) giveBack(n int64) {
	r.budget.taken.Add(-n)
	r.pass.Give(n)
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
			panic("BUG: a request returns more memory than it holds")
		}
		if r.held.CompareAndSwap(held, now) {
			if less := grains(held) - grains(now); less > 0 {
				r.giveBack(less)
			}
			return
		}
	}
}

// Held returns the bytes that the reservation holds, 0 after it has ended.
func (r *Reservation) Held() int { return int(max(0, r.held.Load())) }

// End returns everything.
func (r *Reservation) End() {
	if held := r.held.Swap(ended); held > 0 {
		r.giveBack(grains(held))
	}
}

// grains returns n rounded up to whole grains.
func grains(n int64) int64 { return (n + grain - 1) / grain * grain }
