package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
)

const ms = time.Millisecond

func lineOf(n int, s loadgen.Slice) (line []loadgen.Slice) {
	for range n {
		line = append(line, s)
	}
	return line
}

func TestRecovery(t *testing.T) {
	good := loadgen.Slice{Answered: 10, Worst: 5 * ms}
	slow, refusing, silent := loadgen.Slice{Answered: 10, Worst: 6 * ms}, loadgen.Slice{Answered: 10, Refused: 1}, loadgen.Slice{}
	f := func(name string, line []loadgen.Slice, want time.Duration, wantOK bool) {
		t.Helper()
		if took, ok := recovery(line, 5*ms); took != want || ok != wantOK {
			t.Errorf("%s: %v %v, want %v %v", name, took, ok, want, wantOK)
		}
	}
	f("at once", lineOf(5, good), 0, true)
	f("after two", append([]loadgen.Slice{slow, refusing}, lineOf(5, good)...), 200*ms, true)
	f("a relapse", append(lineOf(4, good), append([]loadgen.Slice{silent}, lineOf(5, good)...)...), 500*ms, true)
	f("never", lineOf(9, slow), 900*ms, false)
	f("too short", lineOf(4, good), 400*ms, false)
}

// Goodput is that of the overload without its first second, and refusals at its end do not
// count as recovered.
func TestSurgeIsReadFromTheTimeline(t *testing.T) {
	line := lineOf(10, loadgen.Slice{Answered: 7, Worst: 10 * ms})
	line = append(line, lineOf(10, loadgen.Slice{Answered: 30, Worst: 50 * ms})...)
	line = append(line, lineOf(20, loadgen.Slice{Answered: 9, Refused: 6, Worst: 200 * ms})...)
	line = append(line, lineOf(3, loadgen.Slice{Answered: 9, Worst: 150 * ms})...)
	line = append(line, lineOf(7, loadgen.Slice{Answered: 7, Worst: 9 * ms})...)
	out := surged{seen: seen{Result: &loadgen.Result{Timeline: line}}}
	out.read(surge{before: time.Second, during: 3 * time.Second, after: time.Second})
	if out.goodput != 90 || out.again != 300*ms || !out.ok || out.worst != 200*ms {
		t.Errorf("%+v", out)
	}
}

// Spans are cut from what the polite caller saw.
func TestPoliteViews(t *testing.T) {
	p := &polite{}
	p.samples[0] = []sample{{0, 2 * ms, 200}, {100 * ms, 4 * ms, 200}, {200 * ms, 90 * ms, 200}}
	p.samples[1] = []sample{{150 * ms, 3 * ms, 200}, {250 * ms, ms, 503}, {350 * ms, 0, 0}}
	before, v := p.between(0, 200*ms), p.between(200*ms, 400*ms)
	if len(before.latencies) != 3 || quantile(before.latencies, 0.5) != 3 || quantile(before.latencies, 0.99) != 4 || before.failed() != 0 {
		t.Errorf("%+v", before)
	}
	if len(v.latencies) != 1 || v.errors[503] != 1 || v.errors[0] != 1 || v.failed() != 2 {
		t.Errorf("%+v", v)
	}
	for at := 400 * ms; at < 2*time.Second; at += 50 * ms { // as before from 700 ms on
		s := sample{at, 2 * ms, 200}
		if at == 650*ms {
			s.latency = 5 * ms
		}
		p.samples[2] = append(p.samples[2], s)
	}
	if took, ok := p.recovered(before, 200*ms, 2*time.Second); took != 500*ms || !ok {
		t.Errorf("%v, %v", took, ok)
	}
}

// The swarm opens as many connections as it says, and the tally tells endings apart.
func TestSwarm(t *testing.T) {
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1)%4 == 0 {
			panic(http.ErrAbortHandler) // closes without an answer
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "too many connections")
	}))
	defer server.Close()
	request := loadgen.Target{URL: server.URL + "/x", Body: []byte("hello")}
	ends := newTally()
	_, ended := swarm(t.Context(), strings.TrimPrefix(server.URL, "http://"), 40, ends, func(_ int, c *net.TCPConn, begun time.Time) ending {
		_, _ = c.Write(request.Bytes())
		return readEnding(c, begun)
	})
	ended()
	if ends.total != 40 || len(ends.after["closed without an answer"]) != 10 || ends.share(503, "too many") != 75 || ends.share(503, "else") != 0 {
		t.Errorf("%d endings: %v", ends.total, ends.after)
	}
}
