package signals_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
)

func TestWebhookFailures(t *testing.T) {
	s := recorded(t, drift("iris", 1, 0))
	f := func(answer http.HandlerFunc, wantWait time.Duration, want string) {
		t.Helper()
		var calls atomic.Int64
		url := serve(t, func(w http.ResponseWriter, r *http.Request) { calls.Add(1); answer(w, r) })
		wait, err := webhook(t, url).Deliver(t.Context(), s)
		if err == nil || err.Error() != want || wait != wantWait || calls.Load() != 1 {
			t.Errorf("got %v, wait %v, after %d calls; want %s", err, wait, calls.Load(), want)
		}
	}
	status := func(code int, text string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, text)
		}
	}
	f(status(500, "no\r\n\x1b[31mroom\xff"), 0, `the receiver answered 500: "no   [31mroom"`)
	f(status(503, "", "Retry-After", "120"), 2*time.Minute, `the receiver answered 503: ""`)
	f(status(429, "", "Retry-After", "4294967295"), 24*time.Hour, `the receiver answered 429: ""`)
	f(status(429, "", "Retry-After", "-1"), 0, `the receiver answered 429: ""`)
	f(status(429, "", "Retry-After", "Sun, 01 Nov 1998 00:00:00 GMT"), 0, `the receiver answered 429: ""`)
	f(status(404, strings.Repeat("é", 500)), 0, `the receiver answered 404: "`+strings.Repeat("é", 100)+`"`)
	f(status(302, "", "Location", "/elsewhere"), 0, `the receiver answered 302, a redirect to "/elsewhere"; redirects are not followed, so configure the final URL`)
	f(status(308, "", "Location", "https://sluice.example/"), 0, `the receiver answered 308, a redirect to "https://sluice.example/"; redirects are not followed, so configure the final URL`)
	f(status(304, ""), 0, `the receiver answered 304, a redirect to ""; redirects are not followed, so configure the final URL`)
	f(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = c.Close()
		}
	}, 0, "EOF")

	later := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	wait, err := webhook(t, serve(t, status(503, "", "Retry-After", later))).Deliver(t.Context(), s)
	if err == nil || wait < 59*time.Minute || wait > time.Hour {
		t.Errorf("got %v, wait %v", err, wait)
	}
	if _, err := webhook(t, "http://user:hunter2@127.0.0.1:1/?token=hunter2").Deliver(t.Context(), s); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	insecure := httptest.NewTLSServer(status(200, ""))
	defer insecure.Close()
	insecure.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	if _, err := webhook(t, insecure.URL).Deliver(t.Context(), s); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v", err)
	}
}

// TestWebhookEndsWithItsContext: Deliver returns when its context ends, in any phase.
func TestWebhookEndsWithItsContext(t *testing.T) {
	s := recorded(t, drift("iris", 1, 0))
	over := make(chan struct{})
	defer close(over) // before the servers are closed, which waits for their handlers
	f := func(url, want string) {
		t.Helper()
		within := 50 * time.Millisecond
		if strings.Contains(want, "answered") { // needs enough time for an answer on a busy machine
			within = time.Second
		}
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		if _, err := webhook(t, url).Deliver(ctx, s); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	hang := serve(t, func(http.ResponseWriter, *http.Request) { <-over })
	f(hang, "the receiver did not answer in time")
	f(raw(t, over, "HTTP/1.1 200 OK\r\nX-Slow: "), "the receiver did not answer in time")
	f(raw(t, over, "HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\nabc"), `the receiver answered 500: "abc"`)
	f(raw(t, over, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), "the receiver answered 101")
	f(raw(t, over, ""), "the receiver did not answer in time")
}

// raw starts a receiver that sends a text as it is, and nothing after that.
func raw(t testing.TB, over <-chan struct{}, text string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close() //nolint:errcheck // it is over
		if text != "" {
			_, _ = http.ReadRequest(bufio.NewReader(c)) // the request is valid
		}
		_, _ = io.WriteString(c, text)
		<-over
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return "http://" + l.Addr().String()
}

// TestLongAnswersCostNothing: Deliver does not read a body of 1 GB to its end, neither after
// a success nor after a failure.
func TestLongAnswersCostNothing(t *testing.T) {
	s := recorded(t, drift("iris", 1, 0))
	f := func(status string, ok bool) {
		t.Helper()
		sent := make(chan int, 1)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() //nolint:errcheck // it is over
		go func() {
			n := 0
			defer func() { sent <- n }()
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close() //nolint:errcheck // it is over
			if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 "+status+"\r\nContent-Length: 1000000000\r\n\r\n")
			chunk := make([]byte, 1<<16)
			for n < 1_000_000_000 {
				if _, err = c.Write(chunk); err != nil {
					return
				}
				n += len(chunk)
			}
		}()
		if _, err := webhook(t, "http://"+l.Addr().String()).Deliver(t.Context(), s); (err == nil) != ok {
			t.Errorf("%s: %v", status, err)
		}
		if n := <-sent; n > 100_000_000 {
			t.Errorf("%s: %d bytes of the answer were taken", status, n)
		}
	}
	f("200 OK", true)
	f("500 No", false)
}
