package loadgen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// Open sends requests at times of its own for d, rate of them a second on
// average, at random as independent callers do; the same times for the same rate
// and d. A request's latency counts from when it was due, so that one that waited
// for a connection, of which there are conns, shows the wait.
func Open(ctx context.Context, t Target, rate float64, conns int, d time.Duration) (*Result, error) {
	times := arrivals(rate, d)
	client := &fasthttp.HostClient{Addr: hostOf(t.URL), MaxConns: conns, ReadBufferSize: 16 << 10, WriteBufferSize: 16 << 10}
	defer client.CloseIdleConnections()
	due := make(chan time.Time, len(times)) // never blocks who is on time
	results := make([]*Result, conns)
	var wg sync.WaitGroup
	for i := range results {
		results[i] = newResult()
		wg.Go(func() {
			send, done := results[i].sender(client, &t)
			defer done()
			for at := range due {
				send(at)
			}
		})
	}
	start := time.Now()
	for _, after := range times {
		if ctx.Err() != nil {
			break
		}
		at := start.Add(after)
		sleepUntil(at)
		due <- at
	}
	close(due)
	wg.Wait()
	total := newResult()
	total.Elapsed = time.Since(start)
	for _, r := range results {
		total.add(r)
	}
	if total.Requests == 0 {
		return total, fmt.Errorf("no request was answered 200; errors by status: %v", total.Errors)
	}
	return total, nil
}

// arrivals are those of a Poisson process.
func arrivals(rate float64, d time.Duration) (times []time.Duration) {
	rng := rand.New(rand.NewPCG(20260101, uint64(d)))
	for at := 0.0; ; {
		at += rng.ExpFloat64() / rate
		if at >= d.Seconds() {
			return times
		}
		times = append(times, time.Duration(at*float64(time.Second)))
	}
}
