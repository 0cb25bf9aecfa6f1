package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"sluice.io/sluice/benchmarks/loadgen"
)

// polite is a caller like any other, beside whom something happens: a request at fixed times
// on a few connections that it opened before. It keeps every sample, so that any span of
// time can be looked at afterwards; loadgen adds them up.
type polite struct {
	rate    float64
	start   time.Time
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	samples [politeConns][]sample // of each connection
}

// sample is one request of the polite caller.
type sample struct {
	due     time.Duration // since the start
	latency time.Duration // from when it was due
	status  int           // 0: no answer
}

const politeConns = 8

// politeTarget is a request that any gateway here serves quickly.
func politeTarget(base string) loadgen.Target {
	return loadgen.FP32Target(base, "polite", "input", []int64{1, 16}, true)
}

// startPolite sends rate requests per second until stop.
func startPolite(ctx context.Context, t loadgen.Target, rate float64) *polite {
	ctx, cancel := context.WithCancel(ctx)
	p := &polite{rate: rate, start: time.Now(), cancel: cancel}
	every := time.Duration(politeConns * float64(time.Second) / rate)
	for i := range p.samples {
		p.wg.Go(func() {
			ask, end := asker(t, 1) // one for each, so that each has one connection and keeps it
			defer end()
			for due := time.Duration(i) * every / politeConns; ctx.Err() == nil; due += every {
				time.Sleep(time.Until(p.start.Add(due)))
				status, _, _ := ask()
				p.samples[i] = append(p.samples[i], sample{due, p.now() - due, status})
			}
		})
	}
	return p
}

// asker returns a func that sends the target over one of so many connections.
func asker(t loadgen.Target, conns int) (ask func() (status int, body string, err error), end func()) {
	host, _, _ := strings.Cut(strings.TrimPrefix(t.URL, "http://"), "/")
	client := &fasthttp.HostClient{Addr: host, MaxConns: conns, MaxIdleConnDuration: time.Hour, MaxIdemponentCallAttempts: 1}
	return func() (int, string, error) {
		req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		defer fasthttp.ReleaseRequest(req)
		defer fasthttp.ReleaseResponse(resp)
		req.SetRequestURI(t.URL)
		req.Header.SetMethod(fasthttp.MethodPost)
		for k, v := range t.Headers {
			req.Header.Set(k, v)
		}
		req.SetBodyRaw(t.Body)
		if err := client.DoTimeout(req, resp, 30*time.Second); err != nil {
			return 0, "", err
		}
		return resp.StatusCode(), string(resp.Body()), nil
	}, client.CloseIdleConnections
}

// keepAsking keeps a request in flight on each of n connections for d.
func keepAsking(ctx context.Context, t loadgen.Target, n int, d time.Duration, ends *tally) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	ask, end := asker(t, n)
	defer end()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for ctx.Err() == nil {
				begun := time.Now()
				if status, body, err := ask(); err != nil {
					ends.add(broken(err, begun))
				} else {
					ends.add(ending{status, body, time.Since(begun)})
				}
			}
		})
	}
	wg.Wait()
}

// now is a moment on the polite caller's clock.
func (p *polite) now() time.Duration { return time.Since(p.start) }

// stop ends the caller; only then can spans be looked at.
func (p *polite) stop() {
	p.cancel()
	p.wg.Wait()
}

// view is what the caller saw in a span of time.
type view struct {
	latencies []time.Duration // of what was answered 200
	errors    map[int]int
}

func (v view) failed() (sum int) {
	for _, n := range v.errors {
		sum += n
	}
	return sum
}

// between looks at the requests that were due from one moment to another.
func (p *polite) between(from, to time.Duration) view {
	v := view{errors: map[int]int{}}
	for _, list := range p.samples {
		for _, s := range list {
			switch {
			case s.due < from || s.due >= to:
			case s.status != fasthttp.StatusOK:
				v.errors[s.status]++
			default:
				v.latencies = append(v.latencies, s.latency)
			}
		}
	}
	return v
}

// quantile sorts the list and returns milliseconds; 0 of nothing.
func quantile(list []time.Duration, q float64) float64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return millis(list[min(len(list)-1, int(q*float64(len(list))))])
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// recovered returns how long after a moment the caller was served as before, if it was.
func (p *polite) recovered(before view, after, to time.Duration) (took time.Duration, ok bool) {
	var line []loadgen.Slice
	for at := after; at+window <= to; at += window {
		v := p.between(at, at+window)
		s := loadgen.Slice{Answered: int64(len(v.latencies)), Failed: int64(v.failed())}
		if len(v.latencies) > 0 {
			s.Worst = slices.Max(v.latencies)
		}
		line = append(line, s)
	}
	return recovery(line, slices.Max(append(before.latencies, 0)))
}
