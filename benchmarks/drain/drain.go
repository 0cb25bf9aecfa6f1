// Package drain simulates the queue that batching by draining can be at best:
// requests come at random, a free server takes at once all that wait, up to a
// number, and a run of n takes a + b·n. Nothing else costs time, so a gateway's
// tail can be compared with it.
package drain

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Queue is what is simulated.
type Queue struct {
	Rate     float64 // arrivals a second, a Poisson process
	Servers  int     // runs at the same time
	MaxBatch int     // requests of one run
	Cost     Cost    // of a run
	Arrivals int     // how many are simulated; the first tenth is not counted
	Seed     uint64  // the same seed gives the same times
}

// Result is how long requests took, from their arrival to the end of their run.
type Result struct {
	Mean, P50, P99, P999 time.Duration
	Batch                float64 // requests in a run, on average
}

// Capacity is the rate that full batches reach, in requests a second.
func (q Queue) Capacity() float64 {
	return float64(q.Servers*q.MaxBatch) / q.Cost.Of(q.MaxBatch)
}

func (q Queue) check() error {
	switch {
	case q.Rate <= 0 || q.Servers < 1 || q.MaxBatch < 1 || q.Arrivals < 1:
		return errors.New("drain: rate, servers, batch and arrivals must be above 0")
	case q.Rate >= q.Capacity():
		return fmt.Errorf("drain: %.4g arrivals a second are more than the capacity of %.4g", q.Rate, q.Capacity())
	}
	return nil
}

// Simulate runs the queue.
func (q Queue) Simulate() (Result, error) {
	if err := q.check(); err != nil {
		return Result{}, err
	}
	at := q.arrivals()
	free := make([]float64, q.Servers) // when each server has done what it took
	times := make([]float64, 0, q.Arrivals)
	counted, runs := q.Arrivals/10, 0
	for next := 0; next < len(at); runs++ {
		server := slices.Index(free, slices.Min(free))
		start := max(free[server], at[next])
		first := next
		for next < len(at) && next-first < q.MaxBatch && at[next] <= start {
			next++
		}
		end := start + q.Cost.Of(next-first)
		free[server] = end
		for i := max(first, counted); i < next; i++ {
			times = append(times, end-at[i])
		}
	}
	r := summary(times)
	r.Batch = float64(len(at)) / float64(runs)
	return r, nil
}

func (q Queue) arrivals() []float64 {
	rng := rand.New(rand.NewPCG(q.Seed, 0))
	at, now := make([]float64, q.Arrivals), 0.0
	for i := range at {
		now += rng.ExpFloat64() / q.Rate
		at[i] = now
	}
	return at
}

func summary(times []float64) Result {
	slices.Sort(times)
	sum := 0.0
	for _, t := range times {
		sum += t
	}
	quantile := func(p float64) time.Duration { return seconds(times[int(p*float64(len(times)-1))]) }
	return Result{
		Mean: seconds(sum / float64(len(times))),
		P50:  quantile(0.50), P99: quantile(0.99), P999: quantile(0.999),
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
