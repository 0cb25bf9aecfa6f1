package loadgen_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
)

// served is a server whose address ends with the test.
func served(t *testing.T, h http.HandlerFunc) loadgen.Target {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return loadgen.Target{URL: server.URL + "/v2", Body: []byte("hello")}
}

func run(t *testing.T, p loadgen.Plan) *loadgen.Result {
	t.Helper()
	r, err := loadgen.Run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sum(errors map[int]int64) (n int64) {
	for _, k := range errors {
		n += k
	}
	return n
}

// Whatever a server answers is counted once, by status, in both loops.
func TestRunCountsEveryAnswer(t *testing.T) {
	var seen [3]atomic.Int64
	statuses := []int{http.StatusOK, http.StatusTooManyRequests, http.StatusGatewayTimeout}
	var next atomic.Int64
	target := served(t, func(w http.ResponseWriter, _ *http.Request) {
		i := next.Add(1) % 3
		seen[i].Add(1)
		w.WriteHeader(statuses[i])
	})
	for _, p := range []loadgen.Plan{
		{Conns: 7, Duration: 150 * time.Millisecond, Threads: 2},
		{Conns: 40, Rate: 2000, Duration: 150 * time.Millisecond, Threads: 2},
	} {
		for i := range seen {
			seen[i].Store(0)
		}
		p.Targets = []loadgen.Target{target}
		r := run(t, p)
		if r.Requests != seen[0].Load() || r.Errors[429] != seen[1].Load() || r.Errors[504] != seen[2].Load() || len(r.Errors) != 2 {
			t.Errorf("%d requests, errors %v; the server saw %d, %d, %d", r.Requests, r.Errors, seen[0].Load(), seen[1].Load(), seen[2].Load())
		}
		if r.Sent != r.Requests+sum(r.Errors) || r.Requests == 0 {
			t.Errorf("%d sent, %d and %v came back", r.Sent, r.Requests, r.Errors)
		}
		if r.Latency.TotalCount() != r.Requests || r.Refused.TotalCount() != sum(r.Errors) {
			t.Errorf("%d and %d latencies", r.Latency.TotalCount(), r.Refused.TotalCount())
		}
		var answered, refused, due int64
		for _, s := range r.Timeline {
			answered, refused, due = answered+s.Answered, refused+s.Refused, due+s.Due
		}
		if answered != r.Requests || refused != sum(r.Errors) || (p.Rate > 0 && due != r.Sent) {
			t.Errorf("the timeline has %d answered, %d refused, %d due", answered, refused, due)
		}
	}
}

// Warm-up and ramp are sent and not counted; a constant rate sends what it should
// to the request.
func TestRunCountsTheCountedTime(t *testing.T) {
	var served64 atomic.Int64
	target := served(t, func(http.ResponseWriter, *http.Request) { served64.Add(1) })
	r := run(t, loadgen.Plan{
		Targets: []loadgen.Target{target}, Conns: 64, Rate: 1000, Arrival: loadgen.Constant,
		Ramp: 200 * time.Millisecond, Warmup: 100 * time.Millisecond, Duration: 500 * time.Millisecond,
		Burst: loadgen.Burst{Factor: 4, At: 200 * time.Millisecond, For: 100 * time.Millisecond},
	})
	const ramp, warmup, counted = 100, 100, 400 + 400
	if r.Sent != served64.Load() || r.Sent < ramp+warmup+counted-1 || r.Sent > ramp+warmup+counted+1 {
		t.Errorf("%d sent, %d served, want %d", r.Sent, served64.Load(), ramp+warmup+counted)
	}
	if r.Requests < counted-1 || r.Requests > counted+1 || r.Elapsed != 500*time.Millisecond {
		t.Errorf("%d counted in %v, want %d", r.Requests, r.Elapsed, counted)
	}
	for i, want := range []int64{100, 100, 400, 100, 100} {
		if got := r.Timeline[i].Due; got < want-1 || got > want+1 {
			t.Errorf("%d due in slice %d, want %d", got, i, want)
		}
	}
}

// The connections of a closed loop grow during the ramp: none begins before its
// time. All are answered at the end, so that each has sent one request until then.
func TestRunRampsAClosedLoop(t *testing.T) {
	const conns, ramp, counted = 40, 400 * time.Millisecond, 400 * time.Millisecond
	times := make(chan time.Time, conns)
	end := make(chan struct{})
	target := served(t, func(http.ResponseWriter, *http.Request) {
		select {
		case times <- time.Now():
		default:
		}
		<-end
	})
	began := time.Now()
	timer := time.AfterFunc(ramp+counted/2, func() { close(end) })
	defer timer.Stop()
	r := run(t, loadgen.Plan{Targets: []loadgen.Target{target}, Conns: conns, Ramp: ramp, Duration: counted, Threads: 2})
	if len(times) != conns || len(r.Errors) > 0 {
		t.Fatalf("%d connections sent, errors %v", len(times), r.Errors)
	}
	for i := range conns {
		if after, least := (<-times).Sub(began), ramp*time.Duration(i)/conns; after < least {
			t.Errorf("number %d began after %v, before its time %v", i, after, least)
		}
	}
}

// While a server stalls, an open loop goes on counting: of what was due meanwhile
// every request shows its wait. A loop that waited for answers would show one per
// connection.
func TestRunDoesNotOmitWhatAStallDelays(t *testing.T) {
	const rate, stall = 500, 300 * time.Millisecond
	var begun atomic.Int64
	target := served(t, func(http.ResponseWriter, *http.Request) {
		now := time.Now().UnixNano()
		begun.CompareAndSwap(0, now)
		at := time.Duration(now - begun.Load())
		if from := 200 * time.Millisecond; at >= from && at < from+stall {
			time.Sleep(from + stall - at)
		}
	})
	r := run(t, loadgen.Plan{Targets: []loadgen.Target{target}, Conns: 4, Rate: rate, Arrival: loadgen.Constant, Duration: 800 * time.Millisecond})
	late := int64(0)
	for _, bar := range r.Latency.Distribution() {
		if bar.From > (stall / 3).Microseconds() {
			late += bar.Count
		}
	}
	if want := int64(rate * 2 / 3 * stall.Seconds()); late < want*9/10 {
		t.Errorf("%d requests show a third of the stall; %d were due in time to", late, want)
	}
	if r.Requests != r.Sent || r.Requests < 398 {
		t.Errorf("%d of %d answered", r.Requests, r.Sent)
	}
	var worst time.Duration
	for _, s := range r.Timeline {
		worst = max(worst, s.Worst)
	}
	if worst < stall/2 {
		t.Errorf("the worst in the timeline is %v", worst)
	}
}

// Whoever shares the server's cores does not wait on them.
func TestRunAsleepSpendsNothingOnWaiting(t *testing.T) {
	target := served(t, func(http.ResponseWriter, *http.Request) {})
	for _, asleep := range []bool{true, false} {
		r := run(t, loadgen.Plan{Targets: []loadgen.Target{target}, Conns: 16, Rate: 1000, Asleep: asleep, Duration: 200 * time.Millisecond})
		if r.Requests < 100 || len(r.Errors) > 0 || (r.Spun == 0) != (asleep || runtime.GOOS != "linux") {
			t.Errorf("asleep %v: %d requests, errors %v, %v awake", asleep, r.Requests, r.Errors, r.Spun)
		}
	}
}

// What ended late in an open loop is no throughput of the counted time.
func TestRunDoesNotCountTheBacklogAsThroughput(t *testing.T) {
	target := served(t, func(http.ResponseWriter, *http.Request) { time.Sleep(10 * time.Millisecond) })
	r := run(t, loadgen.Plan{Targets: []loadgen.Target{target}, Conns: 2, Rate: 400, Duration: 500 * time.Millisecond})
	if r.Rate() > 205 || r.Requests < 150 {
		t.Errorf("%.0f/s through two connections of 100/s; %d in all", r.Rate(), r.Requests)
	}
}

func TestRunTimesOut(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	target := served(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Wait") != "" {
			<-release
		}
	})
	slow := target
	slow.Headers = map[string]string{"X-Wait": "1"}
	closed := run(t, loadgen.Plan{Targets: []loadgen.Target{slow}, Conns: 3, Duration: 150 * time.Millisecond, Timeout: 50 * time.Millisecond})
	if closed.Requests != 0 || closed.Errors[0] < 3 || closed.Errors[0] != closed.Sent {
		t.Errorf("closed: %d answered, errors %v of %d", closed.Requests, closed.Errors, closed.Sent)
	}
	// Those that never find a connection time out too, without being sent.
	open := run(t, loadgen.Plan{
		Targets: []loadgen.Target{slow}, Conns: 3, Rate: 1000, Arrival: loadgen.Constant,
		Duration: 200 * time.Millisecond, Timeout: 50 * time.Millisecond,
	})
	if open.Requests != 0 || open.Errors[0] < 199 || open.Sent >= 100 {
		t.Errorf("open: %d answered, errors %v, %d sent", open.Requests, open.Errors, open.Sent)
	}
	if r := run(t, loadgen.Plan{Targets: []loadgen.Target{slow, target}, Conns: 1, Duration: time.Second, Timeout: 300 * time.Millisecond}); r.Requests == 0 || r.Errors[0] == 0 {
		t.Errorf("in turn: %d answered, errors %v", r.Requests, r.Errors)
	}
}

func TestRunFindsAddresses(t *testing.T) {
	for listen, hosts := range map[string][]string{"127.0.0.1:0": {"127.0.0.1", "localhost"}, "[::1]:0": {"::1"}} {
		ln, err := net.Listen("tcp", listen)
		if err != nil {
			t.Logf("%s is not tried: %v", listen, err)
			continue
		}
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		_ = server.Listener.Close()
		server.Listener = ln
		server.Start()
		t.Cleanup(server.Close)
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		for _, host := range hosts {
			target := loadgen.Target{URL: "http://" + net.JoinHostPort(host, port)}
			if r := run(t, loadgen.Plan{Targets: []loadgen.Target{target}, Conns: 2, Duration: 20 * time.Millisecond}); r.Requests == 0 || len(r.Errors) > 0 {
				t.Errorf("%s: %d answered, errors %v", host, r.Requests, r.Errors)
			}
		}
	}
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	good := loadgen.Target{URL: gone.URL}
	second := time.Second
	for want, p := range map[string]loadgen.Plan{
		"refused":          {Targets: []loadgen.Target{good}, Conns: 4, Duration: second},
		"refused ":         {Targets: []loadgen.Target{good}, Conns: 4, Rate: 1, Duration: second},
		"no target":        {Conns: 1, Duration: second},
		"0 connections":    {Targets: []loadgen.Target{good}, Duration: second},
		"durations":        {Targets: []loadgen.Target{good}, Conns: 1},
		"different hosts":  {Targets: []loadgen.Target{good, {URL: "http://127.0.0.2:1"}}, Conns: 1, Duration: second},
		"ftp://x":          {Targets: []loadgen.Target{{URL: "ftp://x"}}, Conns: 1, Duration: second},
		"load generator":   {Targets: []loadgen.Target{{URL: good.URL, Headers: map[string]string{"Content-length": "1"}}}, Conns: 1, Duration: second},
		"needs a rate":     {Targets: []loadgen.Target{good}, Conns: 1, Duration: second, Burst: loadgen.Burst{Factor: 2, For: 1}},
		"within the count": {Targets: []loadgen.Target{good}, Conns: 1, Rate: 1, Duration: second, Burst: loadgen.Burst{Factor: 2, At: second, For: 1}},
		"a rate of -1":     {Targets: []loadgen.Target{good}, Conns: 1, Rate: -1, Duration: second},
	} {
		if _, err := loadgen.Run(t.Context(), p); err == nil || !strings.Contains(err.Error()+" ", want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	target := served(t, func(http.ResponseWriter, *http.Request) { <-release })
	for _, rate := range []float64{0, 10} {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond) // to connect, too
		r, err := loadgen.Run(ctx, loadgen.Plan{Targets: []loadgen.Target{target}, Conns: 2, Rate: rate, Duration: time.Hour})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || r == nil || r.Elapsed <= 0 || r.Elapsed > time.Minute {
			t.Errorf("%v, %+v", err, r)
		}
	}
}

func TestRunTellsOfProgress(t *testing.T) {
	target := served(t, func(http.ResponseWriter, *http.Request) {})
	var said []loadgen.Progress
	r := run(t, loadgen.Plan{
		Targets: []loadgen.Target{target}, Conns: 2, Warmup: 500 * time.Millisecond, Duration: 2 * time.Second, // it is told each second
		Progress: func(p loadgen.Progress) { said = append(said, p) },
	})
	if len(said) == 0 || said[0].Phase != "counted" || said[0].Answered == 0 || said[0].Rate == 0 {
		t.Errorf("%+v", said)
	}
	if r.ClientCPU <= 0 || r.Busy <= 0 || r.Busy > 1.2 {
		t.Errorf("processor time %v, busy %g", r.ClientCPU, r.Busy)
	}
}

// Over TLS goroutines send; all that is said above of the loops holds.
func TestRunOverTLS(t *testing.T) {
	var n, late atomic.Int64
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%10 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			late.Add(1)
		}
	}))
	defer server.Close()
	for _, rate := range []float64{0, 1000} {
		n.Store(0)
		late.Store(0)
		r := run(t, loadgen.Plan{
			Targets: []loadgen.Target{{URL: server.URL, Body: []byte("x")}}, Conns: 8, Rate: rate, Arrival: loadgen.Constant, Duration: 200 * time.Millisecond,
		})
		if r.Requests+late.Load() != n.Load() || r.Errors[503] != late.Load() || r.Sent != n.Load() || r.Requests == 0 {
			t.Errorf("%d answered, errors %v; the server saw %d and refused %d", r.Requests, r.Errors, n.Load(), late.Load())
		}
		if rate > 0 && (r.Sent < 199 || r.Sent > 200) {
			t.Errorf("%d sent, want 200", r.Sent)
		}
	}
	block := make(chan struct{})
	stuck := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-block }))
	defer stuck.Close()
	defer close(block)
	r := run(t, loadgen.Plan{
		Targets: []loadgen.Target{{URL: stuck.URL}}, Conns: 2, Rate: 200, Arrival: loadgen.Constant,
		Duration: 200 * time.Millisecond, Timeout: 50 * time.Millisecond,
	})
	if r.Requests != 0 || r.Errors[0] < 39 {
		t.Errorf("of a server that is stuck: %d answered, errors %v", r.Requests, r.Errors)
	}
}

func TestRunManyConnections(t *testing.T) {
	const conns = 1500 // both ends of each are files of this process, which may have 4096
	var open atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			open.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	r := run(t, loadgen.Plan{Targets: []loadgen.Target{{URL: server.URL}}, Conns: conns, Duration: 200 * time.Millisecond})
	if open.Load() != conns || r.Requests < conns || len(r.Errors) > 0 {
		t.Errorf("%d connections, %d answered, errors %v", open.Load(), r.Requests, r.Errors)
	}
}

// Nothing is left of a run: no goroutine and, where they can be counted, no file.
func TestRunLeavesNothing(t *testing.T) {
	target := served(t, func(http.ResponseWriter, *http.Request) {})
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	once := func() {
		run(t, loadgen.Plan{Targets: []loadgen.Target{target}, Conns: 20, Duration: 20 * time.Millisecond, Threads: 2})
		run(t, loadgen.Plan{Targets: []loadgen.Target{target}, Conns: 20, Rate: 500, Duration: 20 * time.Millisecond})
		if _, err := loadgen.Run(t.Context(), loadgen.Plan{Targets: []loadgen.Target{{URL: gone.URL}}, Conns: 3, Rate: 1, Duration: time.Second}); err == nil {
			t.Error("no error of a server that is gone")
		}
	}
	once()
	goroutines, files := settled(), descriptors()
	for range 5 {
		once()
	}
	// The server's side of connections ends a moment later.
	for range 3000 {
		if runtime.NumGoroutine() <= goroutines && descriptors() <= files {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before; %d files, %d before", runtime.NumGoroutine(), goroutines, descriptors(), files)
}

func settled() int {
	n := runtime.NumGoroutine()
	for range 20 {
		time.Sleep(10 * time.Millisecond)
		n = min(n, runtime.NumGoroutine())
	}
	return n
}

func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
