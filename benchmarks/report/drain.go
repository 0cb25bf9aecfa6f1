package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// runCost is the time of a run of n: a + b·n, both in seconds.
type runCost struct{ a, b float64 }

func (c runCost) of(n int) float64 { return c.a + c.b*float64(n) }

// fit returns the line through measured runs, the seconds of each batch size, whose relative
// errors have the least squares, so that the short run of one counts as much as the long one
// of 32. Neither part is below 0.
func fit(batches []int, seconds []float64) (runCost, error) {
	var w, x, y, xx, xy float64 // sums, weighted
	for i, batch := range batches {
		weight, n := 1/(seconds[i]*seconds[i]), float64(batch)
		w += weight
		x += weight * n
		y += weight * seconds[i]
		xx += weight * n * n
		xy += weight * n * seconds[i]
	}
	det := w*xx - x*x
	if det <= 1e-12*w*xx { // one batch size, or none
		return runCost{}, errors.New("drain: a line needs runs of two batch sizes")
	}
	c := runCost{a: (xx*y - x*xy) / det, b: (w*xy - x*y) / det}
	switch {
	case c.a < 0:
		c = runCost{b: xy / xx}
	case c.b < 0:
		c = runCost{a: y / w}
	}
	return c, nil
}

// queue is one that batching by draining can be at best: requests come at random, a free
// server takes at once all that wait, up to a number, and nothing but runs costs time.
type queue struct {
	rate              float64 // arrivals a second, a Poisson process
	servers, maxBatch int     // runs at the same time, requests of one run
	cost              runCost
}

// quantiles simulates arrivals and returns the p50 and the p99 of how long requests took, in
// microseconds, from their arrival to the end of their run. The first tenth is not counted.
func (q queue) quantiles(arrivals int, seed uint64) (p50, p99 float64, err error) {
	if capacity := float64(q.servers*q.maxBatch) / q.cost.of(q.maxBatch); q.rate >= capacity {
		return 0, 0, fmt.Errorf("drain: %.4g arrivals a second are more than the capacity of %.4g", q.rate, capacity)
	}
	rng := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // the same times each time
	at, now := make([]float64, arrivals), 0.0
	for i := range at {
		now += rng.ExpFloat64() / q.rate
		at[i] = now
	}
	free := make([]float64, q.servers) // when each server has done what it took
	var times []float64
	for next := 0; next < len(at); {
		server := slices.Index(free, slices.Min(free))
		start, first := max(free[server], at[next]), next
		for next < len(at) && next-first < q.maxBatch && at[next] <= start {
			next++
		}
		free[server] = start + q.cost.of(next-first)
		for i := max(first, arrivals/10); i < next; i++ {
			times = append(times, free[server]-at[i])
		}
	}
	slices.Sort(times)
	quantile := func(p float64) float64 { return math.Trunc(1e9*times[int(p*float64(len(times)-1))]) / 1e3 } // to a nanosecond
	return quantile(0.50), quantile(0.99), nil
}
