// Package loadgen sends load to an HTTP server and measures it.
package loadgen

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/valyala/fasthttp"
)

// Target is the one request that is sent again and again.
type Target struct {
	URL     string
	Body    []byte
	Headers map[string]string
}

// Result is what one run of load saw.
type Result struct {
	Requests int64         `json:"requests"` // answered 200
	Errors   map[int]int64 `json:"errors"`   // by status; 0 for a broken connection
	Elapsed  time.Duration `json:"elapsed_ns"`
	// Latency holds microseconds, from just before a request is written.
	Latency *hdrhistogram.Histogram `json:"-"`
}

// Rate returns the answered requests per second.
func (r *Result) Rate() float64 { return float64(r.Requests) / r.Elapsed.Seconds() }

// The histogram's range in microseconds and its significant digits.
const (
	minLatency, maxLatency = 1, 60_000_000
	digits                 = 3
)

// Closed keeps c requests in flight for d: each of c connections sends its next
// request when the last was answered. In a closed loop a stalled server is also
// sent less, so its latencies are flattered; its throughput is not.
func Closed(ctx context.Context, t Target, c int, d time.Duration) (*Result, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	client := &fasthttp.HostClient{Addr: hostOf(t.URL), MaxConns: c, ReadBufferSize: 16 << 10, WriteBufferSize: 16 << 10}
	defer client.CloseIdleConnections()
	results := make([]*Result, c)
	start := time.Now()
	var wg sync.WaitGroup
	for i := range results {
		results[i] = newResult()
		wg.Go(func() { results[i].loop(ctx, client, &t) })
	}
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

func newResult() *Result {
	return &Result{Errors: map[int]int64{}, Latency: hdrhistogram.New(minLatency, maxLatency, digits)}
}

func (r *Result) loop(ctx context.Context, client *fasthttp.HostClient, t *Target) {
	send, done := r.sender(client, t)
	defer done()
	for ctx.Err() == nil {
		send(time.Now())
	}
}

// sender returns what sends a request and records its end, as one that began at
// the time given. done gives back what that took.
func (r *Result) sender(client *fasthttp.HostClient, t *Target) (send func(begun time.Time), done func()) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	req.SetRequestURI(t.URL)
	req.Header.SetMethod(fasthttp.MethodPost)
	for k, v := range t.Headers {
		req.Header.Set(k, v)
	}
	req.SetBodyRaw(t.Body)
	send = func(begun time.Time) {
		err := client.Do(req, resp)
		switch {
		case err != nil:
			r.Errors[0]++
		case resp.StatusCode() != fasthttp.StatusOK:
			r.Errors[resp.StatusCode()]++
		default:
			r.Requests++
			_ = r.Latency.RecordValue(min(maxLatency, max(minLatency, time.Since(begun).Microseconds())))
		}
	}
	return send, func() {
		fasthttp.ReleaseRequest(req)
		fasthttp.ReleaseResponse(resp)
	}
}

func (r *Result) add(o *Result) {
	r.Requests += o.Requests
	for status, n := range o.Errors {
		r.Errors[status] += n
	}
	r.Latency.Merge(o.Latency)
}

func hostOf(url string) string {
	u := fasthttp.AcquireURI()
	defer fasthttp.ReleaseURI(u)
	if err := u.Parse(nil, []byte(url)); err != nil {
		return ""
	}
	return string(u.Host())
}
