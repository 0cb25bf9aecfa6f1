package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
)

// The swarm opens as many connections as it says, and the tally tells endings
// apart.
func TestSwarm(t *testing.T) {
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if n := served.Add(1); n%4 == 0 {
			panic(http.ErrAbortHandler) // closes without an answer
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "too many connections")
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	request := raw(loadgen.Target{URL: server.URL + "/x", Body: []byte("hello"), Headers: map[string]string{"X-Test": "1"}})
	ends := newTally()
	opened, ended := swarm(t.Context(), address, 40, ends, func(_ int, c *net.TCPConn, begun time.Time) ending {
		_, _ = c.Write(request)
		return readEnding(c, begun)
	})
	opened()
	ended()
	if served.Load() != 40 || ends.total != 40 || ends.counts["closed without an answer"] != 10 {
		t.Errorf("served %d, %d endings: %v", served.Load(), ends.total, ends.counts)
	}
	if got := ends.share(http.StatusServiceUnavailable, "too many"); got != 75 {
		t.Errorf("%g %%", got)
	}
	if got := ends.share(http.StatusServiceUnavailable, "else") + ends.share(http.StatusOK, ""); got != 0 {
		t.Errorf("%g %% of what there was not", got)
	}
	if rows := ends.table("").Rows; len(rows) != 2 || rows[0][0] != "503 too many connections" || rows[0][1] != 30 {
		t.Errorf("%v", rows)
	}
}

// A slow client sends on until it is answered, in the middle of its request.
func TestDribble(t *testing.T) {
	client, server := pair(t)
	received := make(chan string, 1)
	go func() {
		b := make([]byte, 3)
		_, _ = io.ReadFull(server, b)
		_, _ = io.WriteString(server, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\n\r\nslow")
		received <- string(b)
	}()
	_, _ = client.Write([]byte("P"))
	if e := dribble(client, []byte("OST /"), time.Now()); e.status != http.StatusRequestTimeout || e.text != "slow" || e.after < 2*time.Second {
		t.Errorf("%+v", e)
	}
	if got := <-received; got != "POS" {
		t.Errorf("received %q", got)
	}
}

// pair returns both ends of a connection.
func pair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // one connection is enough
	if client, err = dial(t.Context(), l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server = c.(*net.TCPConn) //nolint:forcetypeassert // tcp was asked for
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server
}

// No hostile client leaves the machine.
func TestDialStaysOnTheLoopback(t *testing.T) {
	if c, err := dial(t.Context(), "192.0.2.1:80"); err == nil || c != nil {
		t.Errorf("dialled %v", c)
	}
}

func TestBracketBodiesAreLarge(t *testing.T) {
	for name, body := range bracketBodies() {
		if len(body) > bracketBytes || len(body) < bracketBytes-1000 {
			t.Errorf("%s: %d bytes", name, len(body))
		}
	}
}

// The polite caller keeps what it saw: spans are cut from it afterwards.
func TestPoliteViews(t *testing.T) {
	p := &polite{rate: 20, samples: [][]sample{
		{{0, 2 * ms, 200}, {100 * ms, 4 * ms, 200}, {200 * ms, 90 * ms, 200}},
		{{150 * ms, 3 * ms, 200}, {250 * ms, ms, 503}, {350 * ms, 0, 0}},
	}}
	v := p.between(0, 200*ms)
	if v.Answered != 15 || v.Offered != 20 || v.P50 != 3 || v.P99 != 4 || v.Worst != 4 || v.failed() != 0 {
		t.Errorf("%+v", v)
	}
	v = p.between(200*ms, 400*ms)
	if v.Answered != 5 || v.Worst != 90 || v.Errors[503] != 1 || v.Errors[0] != 1 || v.failed() != 2 {
		t.Errorf("%+v", v)
	}
	var later []sample // as before from 700 ms on
	for at := 400 * ms; at < 2*time.Second; at += 50 * ms {
		s := sample{at, 2 * ms, 200}
		if at == 650*ms {
			s.latency = 5 * ms
		}
		later = append(later, s)
	}
	p.samples = append(p.samples, later)
	if took, ok := p.recovered(0, 200*ms, 200*ms, 2*time.Second); took != 500*ms || !ok {
		t.Errorf("%v, %v", took, ok)
	}
	if took, ok := p.recovered(0, 200*ms, 200*ms, 900*ms); ok {
		t.Errorf("%v, %v", took, ok)
	}
}

// The bombs are small where they are compressed, and become what they say.
func TestBombs(t *testing.T) {
	const most = 1 << 20
	doc := numbers(most)
	if len(doc) > most+1024 || !json.Valid(doc) || !json.Valid(members(1<<10)) {
		t.Errorf("%d bytes, or not JSON", len(doc))
	}
	for _, k := range bombKinds(&gateway{Gateway: &process.Gateway{HTTP: "127.0.0.1:1"}}, most) {
		head, body, ok := bytes.Cut(k.request, []byte("\r\n\r\n"))
		if !ok || len(body) == 0 && !bytes.Contains(head, []byte("Accept-Encoding")) {
			t.Errorf("%s: %.200q", k.name, k.request)
		}
		if bytes.Contains(head, []byte("Content-Encoding")) && len(body) > most/20 {
			t.Errorf("%s: %d bytes", k.name, len(body))
		}
	}
}
