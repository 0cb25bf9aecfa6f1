package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/benchmarks/scenario"
)

// polite is a caller like any other, beside whom something happens: a request at
// fixed times on a few connections that it opened before. It keeps every sample,
// so that any span of time can be looked at afterwards; loadgen adds them up.
type polite struct {
	rate    float64
	start   time.Time
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	samples [][]sample // of each connection
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
	p := &polite{rate: rate, start: time.Now(), cancel: cancel, samples: make([][]sample, politeConns)}
	u := fasthttp.AcquireURI()
	defer fasthttp.ReleaseURI(u)
	_ = u.Parse(nil, []byte(t.URL))
	addr := string(u.Host())
	for i := range p.samples {
		p.wg.Go(func() {
			// A client for each, so that each has one connection and keeps it.
			client := &fasthttp.HostClient{Addr: addr, MaxConns: 1, MaxIdleConnDuration: time.Hour, MaxIdemponentCallAttempts: 1}
			defer client.CloseIdleConnections()
			p.samples[i] = p.loop(ctx, client, t, i)
		})
	}
	return p
}

func (p *polite) loop(ctx context.Context, client *fasthttp.HostClient, t loadgen.Target, conn int) (list []sample) {
	req, resp := prepare(t)
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	every := time.Duration(politeConns * float64(time.Second) / p.rate)
	for due := time.Duration(conn) * every / politeConns; ctx.Err() == nil; due += every {
		time.Sleep(time.Until(p.start.Add(due)))
		s := sample{due: due}
		if err := client.DoTimeout(req, resp, 30*time.Second); err == nil {
			s.status = resp.StatusCode()
		}
		s.latency = time.Since(p.start) - due
		list = append(list, s)
	}
	return list
}

// prepare returns the target as a request that can be sent again and again, and
// room for an answer.
func prepare(t loadgen.Target) (*fasthttp.Request, *fasthttp.Response) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	req.SetRequestURI(t.URL)
	req.Header.SetMethod(fasthttp.MethodPost)
	for k, v := range t.Headers {
		req.Header.Set(k, v)
	}
	req.SetBodyRaw(t.Body)
	return req, resp
}

// keepAsking keeps a request in flight on each of n connections for d.
func keepAsking(ctx context.Context, g *gateway, t loadgen.Target, n int, d time.Duration, ends *tally) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	client := &fasthttp.HostClient{Addr: g.HTTP, MaxConns: n}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			req, resp := prepare(t)
			defer fasthttp.ReleaseRequest(req)
			defer fasthttp.ReleaseResponse(resp)
			for ctx.Err() == nil {
				begun := time.Now()
				if err := client.DoTimeout(req, resp, 30*time.Second); err != nil {
					ends.add(broken(err, begun))
					continue
				}
				ends.add(ending{resp.StatusCode(), string(resp.Body()), time.Since(begun)})
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
	Offered, Answered float64 // per second
	P50, P99, Worst   float64 // ms, of what was answered 200
	Errors            map[int]int
}

func (v view) failed() (sum int) {
	for _, n := range v.Errors {
		sum += n
	}
	return sum
}

// between looks at the requests that were due from one moment to another.
func (p *polite) between(from, to time.Duration) view {
	var latencies []time.Duration
	v := view{Errors: map[int]int{}}
	for _, list := range p.samples {
		for _, s := range list {
			switch {
			case s.due < from || s.due >= to:
			case s.status != fasthttp.StatusOK:
				v.Errors[s.status]++
			default:
				latencies = append(latencies, s.latency)
			}
		}
	}
	seconds := (to - from).Seconds()
	v.Offered, v.Answered = p.rate, float64(len(latencies))/seconds
	v.P50, v.P99, v.Worst = quantile(latencies, 0.5), quantile(latencies, 0.99), quantile(latencies, 1)
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

// window is the span over which recovery is judged.
const window = 100 * time.Millisecond

// recovered returns how long after a moment the caller was served as before: until
// the first of five tenths of a second in a row without an error, whose worst
// latencies are no longer than the longest of the span before. ok is false if
// that did not happen until to.
func (p *polite) recovered(beforeFrom, beforeTo, after, to time.Duration) (took time.Duration, ok bool) {
	usual := p.between(beforeFrom, beforeTo).Worst
	const inRow = 5
	good := 0
	for at := after; at+window <= to; at += window {
		v := p.between(at, at+window)
		if v.failed() > 0 || v.Answered == 0 || v.Worst > usual {
			good = 0
			continue
		}
		if good++; good == inRow {
			return at - (inRow-1)*window - after, true
		}
	}
	return to - after, false
}

// politeTable has a row for each span.
func politeTable() record.Table {
	return record.Table{
		Title:   "The polite caller, open loop on connections of its own",
		Columns: []string{"when", "asked /s", "answered /s", "p50 ms", "p99 ms", "worst ms", "errors"},
	}
}

func addView(t *record.Table, when string, v view) {
	t.Add(when, v.Offered, v.Answered, v.P50, v.P99, v.Worst, scenario.ByStatus(v.Errors))
}
