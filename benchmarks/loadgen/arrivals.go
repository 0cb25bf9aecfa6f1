package loadgen

import (
	"math"
	"math/rand/v2"
	"time"
)

// arrivals yields the times at which an open loop's requests are due. They are
// where the integral of the rate passes 1, 2, 3 …, or the steps of a Poisson
// process of rate 1, which makes the process follow any rate.
type arrivals struct {
	rng    *rand.Rand // nil for constant arrivals
	mass   float64    // the integral up to the last one
	pieces []piece
	// Of all arrivals, those whose number modulo step is offset: one thread's share.
	number, step, offset int
}

// piece is a stretch of time with a constant rate, or one that grows from 0.
type piece struct {
	from, length float64 // seconds
	rate         float64 // at its end
	grows        bool
	mass         float64 // the integral of all pieces before it
}

func (p *piece) end() float64 {
	if p.grows {
		return p.mass + p.rate*p.length/2
	}
	return p.mass + p.rate*p.length
}

func newArrivals(p *Plan, offset, step int) *arrivals {
	a := &arrivals{step: step, offset: offset, number: -1}
	if p.Arrival == Poisson {
		a.rng = rand.New(rand.NewPCG(p.Seed, math.Float64bits(p.Rate)))
	}
	a.add(p.Ramp, p.Rate, true)
	if b := p.Burst; b.Factor > 0 {
		a.add(p.Warmup+b.At, p.Rate, false)
		a.add(b.For, p.Rate*b.Factor, false)
		a.add(p.Duration-b.At-b.For, p.Rate, false)
	} else {
		a.add(p.Warmup+p.Duration, p.Rate, false)
	}
	return a
}

func (a *arrivals) add(d time.Duration, rate float64, grows bool) {
	if d <= 0 {
		return
	}
	p := piece{length: d.Seconds(), rate: rate, grows: grows}
	if n := len(a.pieces); n > 0 {
		last := &a.pieces[n-1]
		p.from, p.mass = last.from+last.length, last.end()
	}
	a.pieces = append(a.pieces, p)
}

// next returns when the next request is due, in nanoseconds since the run began,
// or never after the last.
func (a *arrivals) next() int64 {
	for {
		if a.rng != nil {
			a.mass += a.rng.ExpFloat64()
		} else {
			a.mass++
		}
		a.number++
		if a.number%a.step == a.offset {
			break
		}
	}
	for len(a.pieces) > 0 && a.mass >= a.pieces[0].end() {
		a.pieces = a.pieces[1:]
	}
	if len(a.pieces) == 0 {
		return never
	}
	p := &a.pieces[0]
	after := (a.mass - p.mass) / p.rate
	if p.grows {
		after = math.Sqrt(2 * after * p.length)
	}
	return int64((p.from + after) * float64(time.Second))
}

const never = math.MaxInt64
