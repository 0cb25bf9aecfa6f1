package loadgen_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
)

// raw is a server that speaks for itself: answer gets each request's connection
// once the request was read, and returns whether the connection stays.
func raw(t *testing.T, answer func(c net.Conn) bool) loadgen.Target {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() { // ends with the listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { // ends with its connection
				defer c.Close() //nolint:errcheck // a test's
				for r := bufio.NewReader(c); ; {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					if _, err := io.Copy(io.Discard, req.Body); err != nil || !answer(c) {
						return
					}
				}
			}()
		}
	}()
	return loadgen.Target{URL: "http://" + ln.Addr().String(), Body: []byte("hello")}
}

// A server may send its answer in chunks, in parts, after hints, until it closes
// the connection, and may close it after each.
func TestRunReadsEveryKindOfAnswer(t *testing.T) {
	write := func(stays bool, parts ...string) func(c net.Conn) bool {
		return func(c net.Conn) bool {
			for _, p := range parts {
				if _, err := io.WriteString(c, p); err != nil {
					return false
				}
			}
			return stays
		}
	}
	body := strings.Repeat("x", 3<<20)
	for name, answer := range map[string]func(c net.Conn) bool{
		"chunks":       write(true, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "lo\r\n0\r", "\n\r\n"),
		"hints":        write(true, "HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
		"large":        write(true, "HTTP/1.1 200 OK\r\nContent-Length: 3145728\r\n\r\n", body),
		"large chunks": write(true, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n300000\r\n", body, "\r\n0\r\n\r\n"),
		"until closed": write(false, "HTTP/1.1 200 OK\r\n\r\n", body),
		"says close":   write(false, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
	} {
		r := run(t, loadgen.Plan{Targets: []loadgen.Target{raw(t, answer)}, Conns: 2, Duration: 60 * time.Millisecond})
		if r.Requests == 0 || len(r.Errors) > 0 {
			t.Errorf("%s: %d answered, errors %v", name, r.Requests, r.Errors)
		}
	}
}

func TestRunCountsWhatBreaks(t *testing.T) {
	for name, answer := range map[string]func(c net.Conn) bool{
		"closed unanswered": func(net.Conn) bool { return false },
		"closed midway": func(c net.Conn) bool {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
			return false
		},
		"reset": func(c net.Conn) bool {
			_ = c.(*net.TCPConn).SetLinger(0)
			return false
		},
		"no HTTP": func(c net.Conn) bool {
			_, _ = io.WriteString(c, "220 mail.example ESMTP\r\n\r\n")
			return true
		},
	} {
		target := raw(t, answer)
		for _, rate := range []float64{0, 200} {
			r := run(t, loadgen.Plan{Targets: []loadgen.Target{target}, Conns: 2, Rate: rate, Duration: 100 * time.Millisecond})
			// A closed loop pauses after a failure, so that it counts tens and not thousands.
			if r.Requests != 0 || r.Errors[0] == 0 || r.Errors[0] != r.Sent || r.Errors[0] > 60 {
				t.Errorf("%s at %g/s: %d answered, errors %v, %d sent", name, rate, r.Requests, r.Errors, r.Sent)
			}
		}
	}
}

// A connection that the server closes while it has no request is no error.
func TestRunReplacesConnectionsThatEndIdle(t *testing.T) {
	var conns atomic.Int64
	target := raw(t, func(c net.Conn) bool {
		conns.Add(1)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		return false // without a word about it
	})
	// Where this machine stalls, a request follows the last one so closely that the
	// server's end of the connection has not been seen yet. It does not always stall.
	for try := 1; ; try++ {
		conns.Store(0)
		r := run(t, loadgen.Plan{Targets: []loadgen.Target{target}, Conns: 1, Rate: 50, Arrival: loadgen.Constant, Duration: 300 * time.Millisecond})
		if r.Sent != conns.Load()+r.Errors[0] {
			t.Fatalf("%d answered over %d connections, errors %v", r.Requests, conns.Load(), r.Errors)
		}
		if r.Requests >= 10 && r.Errors[0] <= r.Requests/4 {
			return
		}
		if try == 20 {
			t.Fatalf("%d answered, errors %v", r.Requests, r.Errors)
		}
	}
}

// A refusal that comes before the whole request was sent counts as what it is.
func TestRunReadsAnEarlyRefusal(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() //nolint:errcheck // a test's
	go func() {      // ends with the listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { // ends with its connection
				_, _ = io.ReadFull(c, make([]byte, 100))
				_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
			}()
		}
	}()
	target := loadgen.Target{URL: "http://" + ln.Addr().String(), Body: make([]byte, 16<<20)}
	r := run(t, loadgen.Plan{Targets: []loadgen.Target{target}, Conns: 2, Duration: 100 * time.Millisecond})
	if r.Errors[413] == 0 || len(r.Errors) != 1 {
		t.Errorf("errors %v", r.Errors)
	}
}
