package loadgen

import (
	"math"
	"math/rand/v2"
	"time"
)

const never = math.MaxInt64

// arrivals yields the times at which an open loop's requests are due: those of a Poisson
// process whose rate changes from piece to piece.
type arrivals struct {
	rng                  *rand.Rand
	pieces               []piece
	at                   float64 // the last one, in seconds since the run began
	number, step, offset int     // a thread takes those whose number modulo step is offset
}

type piece struct{ end, rate float64 }

func newArrivals(p *Plan, offset, step int) *arrivals {
	a := &arrivals{step: step, offset: offset, rng: rand.New(rand.NewPCG(20260101, math.Float64bits(p.Rate)))} //nolint:gosec // the same times in each run
	end := 0.0
	add := func(d time.Duration, rate float64) {
		end += d.Seconds()
		a.pieces = append(a.pieces, piece{end, rate})
	}
	b := p.Burst
	add(p.Warmup+b.At, p.Rate)
	add(b.For, p.Rate*b.Factor)
	add(p.Duration-b.At-b.For, p.Rate)
	return a
}

// next returns when the next request is due, in nanoseconds since the run began, or never.
func (a *arrivals) next() int64 {
	for {
		mass := a.rng.ExpFloat64() // integral of the rate until the next
		for len(a.pieces) > 0 && mass >= a.pieces[0].rate*(a.pieces[0].end-a.at) {
			mass -= a.pieces[0].rate * (a.pieces[0].end - a.at)
			a.at = a.pieces[0].end
			a.pieces = a.pieces[1:]
		}
		if len(a.pieces) == 0 {
			return never
		}
		a.at += mass / a.pieces[0].rate
		if a.number++; a.number%a.step == a.offset {
			return int64(a.at * float64(time.Second))
		}
	}
}
