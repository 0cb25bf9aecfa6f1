package loadgen

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// served is a server whose address ends with the test.
func served(t *testing.T, h http.HandlerFunc) []Target {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return []Target{{URL: server.URL + "/v2", Body: []byte("hello")}}
}

func carryOut(t *testing.T, p Plan) *Result {
	t.Helper()
	r, err := Run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func arrivalsOf(p Plan, offset, step int) (times []float64) {
	a := newArrivals(&p, offset, step)
	for at := a.next(); at != never; at = a.next() {
		times = append(times, time.Duration(at).Seconds())
	}
	return times
}

// The gaps of a Poisson process are exponential: their mean and their standard deviation
// are equal.
func TestArrivalsAreAPoissonProcess(t *testing.T) {
	const rate, seconds = 1000.0, 200
	times := arrivalsOf(Plan{Rate: rate, Warmup: 10 * time.Second, Duration: (seconds - 10) * time.Second}, 0, 1)
	n := float64(len(times))
	if math.Abs(n-rate*seconds) > 4*math.Sqrt(rate*seconds) || !slices.IsSorted(times) {
		t.Errorf("%g arrivals", n)
	}
	sum, squares, last, short := 0.0, 0.0, 0.0, 0.0
	for _, at := range times {
		gap := at - last
		sum, squares, last = sum+gap, squares+gap*gap, at
		if gap < 0.1/rate {
			short++
		}
	}
	if sd := math.Sqrt(squares/n - sum/n*sum/n); math.Abs(sd*rate-1) > 0.02 {
		t.Errorf("the gaps' standard deviation is %g of their mean", sd*rate)
	}
	if share := short / n; math.Abs(share-(1-math.Exp(-0.1))) > 0.005 {
		t.Errorf("%g of the gaps are below a tenth of the mean", share)
	}
}

func TestArrivalsOfABurst(t *testing.T) {
	times := arrivalsOf(Plan{
		Rate: 10_000, Warmup: time.Second, Duration: 5 * time.Second, Burst: Burst{Factor: 10, At: 2 * time.Second, For: 200 * time.Millisecond},
	}, 0, 1)
	for _, c := range []struct{ from, to, want float64 }{{0, 3, 30_000}, {3, 3.2, 20_000}, {3.2, 6, 28_000}, {6, 99, 0}} {
		n := 0.0
		for _, at := range times {
			if at >= c.from && at < c.to {
				n++
			}
		}
		if math.Abs(n-c.want) > 4*math.Sqrt(c.want) {
			t.Errorf("%g arrivals from %g to %g s, want %g", n, c.from, c.to, c.want)
		}
	}
}

// The threads of a run share the arrivals; together they send the same ones.
func TestArrivalsAreShared(t *testing.T) {
	p := Plan{Rate: 500, Duration: 3 * time.Second}
	got := slices.Concat(arrivalsOf(p, 0, 3), arrivalsOf(p, 1, 3), arrivalsOf(p, 2, 3))
	slices.Sort(got)
	if want := arrivalsOf(p, 0, 1); !slices.Equal(got, want) {
		t.Errorf("%d arrivals of three threads, %d of one", len(got), len(want))
	}
}

// Whatever a server answers is counted once, by status, in both loops.
func TestRunCountsEveryAnswer(t *testing.T) {
	var seen [3]atomic.Int64
	var next atomic.Int64
	targets := served(t, func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err != nil || string(body) != "hello" {
			t.Errorf("body %q, %v", body, err)
		}
		i := next.Add(1) % 3
		seen[i].Add(1)
		w.WriteHeader([]int{200, 429, 504}[i])
	})
	for _, p := range []Plan{{Conns: 7, Duration: 150 * time.Millisecond}, {Conns: 40, Rate: 2000, Duration: 150 * time.Millisecond}} {
		for i := range seen {
			seen[i].Store(0)
		}
		p.Targets = targets
		r := carryOut(t, p)
		if r.Requests != seen[0].Load() || r.Errors[429] != seen[1].Load() || r.Errors[504] != seen[2].Load() || len(r.Errors) != 2 || r.Requests == 0 {
			t.Errorf("%d requests, errors %v; the server saw %d, %d, %d", r.Requests, r.Errors, seen[0].Load(), seen[1].Load(), seen[2].Load())
		}
		failed := r.Errors[429] + r.Errors[504]
		var answered, refused int64
		for _, s := range r.Timeline {
			answered, refused = answered+s.Answered, refused+s.Refused
		}
		if r.Sent != r.Requests+failed || r.Refused.TotalCount() != failed || answered != r.Requests || refused != failed {
			t.Errorf("%d sent; the timeline has %d answered, %d refused", r.Sent, answered, refused)
		}
	}
}

// While a server stalls, an open loop goes on counting: of what was due meanwhile every
// request shows its wait. A loop that waited for answers would show one per connection.
func TestRunDoesNotOmitWhatAStallDelays(t *testing.T) {
	const rate, stall = 500, 300 * time.Millisecond
	var begun atomic.Int64
	targets := served(t, func(http.ResponseWriter, *http.Request) {
		now := time.Now().UnixNano()
		begun.CompareAndSwap(0, now)
		if from, at := 200*time.Millisecond, time.Duration(now-begun.Load()); at >= from && at < from+stall {
			time.Sleep(from + stall - at)
		}
	})
	for _, asleep := range []bool{false, true} {
		begun.Store(0)
		r := carryOut(t, Plan{Targets: targets, Conns: 4, Rate: rate, Duration: 800 * time.Millisecond, Asleep: asleep})
		late := int64(0)
		for _, bar := range r.Latency.Distribution() {
			if bar.From > (stall / 3).Microseconds() {
				late += bar.Count
			}
		}
		if want := rate * 2 / 3 * stall.Seconds(); float64(late) < want*0.6 { // those that were due vary by a tenth
			t.Errorf("%d requests show a third of the stall; %.0f were due in time to", late, want)
		}
		if r.Requests != r.Sent {
			t.Errorf("%d of %d answered", r.Requests, r.Sent)
		}
	}
}

// An open loop does not count an answer as throughput if it came after the measured time.
func TestRunDoesNotCountTheBacklogAsThroughput(t *testing.T) {
	targets := served(t, func(http.ResponseWriter, *http.Request) { time.Sleep(10 * time.Millisecond) })
	r := carryOut(t, Plan{Targets: targets, Conns: 2, Rate: 400, Duration: 500 * time.Millisecond})
	if r.Rate() > 205 || r.Requests < 150 {
		t.Errorf("%.0f/s through two connections of 100/s; %d in all", r.Rate(), r.Requests)
	}
}

func TestRunTimesOut(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	targets := served(t, func(http.ResponseWriter, *http.Request) { <-release })
	for _, rate := range []float64{0, 1000} { // those that never find a connection time out without being sent
		r := carryOut(t, Plan{Targets: targets, Conns: 3, Rate: rate, Duration: 200 * time.Millisecond, Timeout: 50 * time.Millisecond})
		if r.Requests != 0 || r.Errors[0] < 3 || rate > 0 && r.Errors[0] <= r.Sent {
			t.Errorf("%d answered, errors %v of %d", r.Requests, r.Errors, r.Sent)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if r, err := Run(ctx, Plan{Targets: targets, Conns: 2, Duration: time.Hour}); !errors.Is(err, context.DeadlineExceeded) || r.Elapsed > time.Minute {
		t.Errorf("%v, %+v", err, r)
	}
}

// Connections that break are errors, and are replaced.
func TestRunCountsWhatBreaks(t *testing.T) {
	for text, statuses := range map[string][]int{
		"": {0}, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf": {0}, "220 mail.example ESMTP\r\n\r\n": {0},
		"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig": {413},
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() { // ends with the listener
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				_, _ = io.ReadFull(c, make([]byte, 60))
				_, _ = io.WriteString(c, text)
				_ = c.(*net.TCPConn).CloseWrite()
				go func() { _, _ = io.Copy(io.Discard, c); _ = c.Close() }()
			}
		}()
		r := carryOut(t, Plan{Targets: []Target{{URL: "http://" + ln.Addr().String() + "/", Body: []byte("hello")}}, Conns: 2, Duration: 100 * time.Millisecond})
		if r.Requests != 0 || r.Errors[statuses[0]] != r.Sent || r.Sent == 0 {
			t.Errorf("%q: %d answered, errors %v, %d sent", text, r.Requests, r.Errors, r.Sent)
		}
		_ = ln.Close()
	}
}

// However an answer is cut into pieces, it is the same answer.
func TestAnswer(t *testing.T) {
	const chunked = "\r\nTransfer-Encoding: chunked\r\n\r\n"
	for text, want := range map[string]int{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello":                                         200,
		"HTTP/1.1 503 No\r\ncontent-length:0\r\n\r\n":                                               503,
		"HTTP/1.1 200 OK" + chunked + "5\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n": 200,
		"HTTP/1.1 404 No" + chunked + "0\r\n\r\n":                                                   404,
		"HTTP/1.1 200 OK" + chunked + "zz\r\n":                                                      0,
		"HTTP/1.1 200 OK\r\n\r\n":                                                                   0,
		"HTTP/1.1 20x OK\r\nContent-Length: 0\r\n\r\n":                                              0,
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n":                                             0,
		"SSH-2.0-OpenSSH_9\r\n\r\n":                                                                 0,
	} {
		for _, n := range []int{1, 3, 1000} {
			a, done, failed := answer{}, false, error(nil)
			for rest := []byte(text); len(rest) > 0 && !done && failed == nil; {
				piece := bytes.Clone(rest[:min(n, len(rest))])
				done, failed = a.feed(piece)
				rest = rest[len(piece):]
				clear(piece) // what was given must not be kept
			}
			if (failed == nil && done) != (want > 0) || done && a.status != want {
				t.Errorf("%q by %d: status %d, done %v, %v", text, n, a.status, done, failed)
			}
		}
	}
}

// The two forms of a body hold the same request.
func TestFP32Target(t *testing.T) {
	for _, binaryForm := range []bool{false, true} {
		target := FP32Target("http://x", "m", "input", []int64{2, 3}, binaryForm)
		head, blob := target.Body, 0
		if text := target.Headers["Inference-Header-Content-Length"]; text != "" {
			n, _ := strconv.Atoi(text)
			head, blob = target.Body[:n], len(target.Body)-n
		}
		var doc struct {
			Inputs []struct {
				Name  string
				Shape []int64
				Data  []float32
			}
		}
		if err := json.Unmarshal(head, &doc); err != nil || len(doc.Inputs) != 1 || len(doc.Inputs[0].Data)*4+blob != 24 || target.URL != "http://x/v2/models/m/infer" {
			t.Errorf("%v, %s, %d bytes to %s", err, head, blob, target.URL)
		}
	}
}
