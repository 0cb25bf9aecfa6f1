package retrain_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/retrain"
)

const secret = "a secret of the receiver"

func webhook(t testing.TB, url string) *retrain.Webhook {
	t.Helper()
	w, err := retrain.NewWebhook(retrain.WebhookOptions{URL: url, Secret: []byte(secret), Source: "/gateway/test", Version: "1.2"})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// signal is one that has been recorded.
func signal(t testing.TB, s api.RetrainSignal) api.RetrainSignal {
	t.Helper()
	o := retrain.New(retrain.NewStore(), retrain.Options{Journal: &tape{}})
	out, err := o.Detected(s)
	if err != nil {
		t.Fatal(err)
	}
	r, err := o.Get(out.ID)
	if err != nil {
		t.Fatal(err)
	}
	return r.RetrainSignal
}

// serve starts a receiver that answers as f does.
func serve(t testing.TB, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

func TestWebhookSendsACloudEvent(t *testing.T) {
	f := func(s api.RetrainSignal, severity string) {
		t.Helper()
		s = signal(t, s)
		var header http.Header
		var body []byte
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			header = r.Header
			body, _ = io.ReadAll(r.Body)
			if r.Method != http.MethodPost || r.URL.RequestURI() != "/in?k=v" || !r.Close {
				t.Errorf("got %s %s", r.Method, r.URL)
			}
			w.WriteHeader(http.StatusAccepted)
		})
		began := time.Now()
		if wait, err := webhook(t, url+"/in?k=v").Deliver(t.Context(), s); err != nil || wait != 0 {
			t.Fatal(wait, err)
		}
		if header.Get("Content-Type") != "application/cloudevents+json" || header.Get("User-Agent") != "sluice/1.2" {
			t.Errorf("got %v", header)
		}
		var at int64
		if _, err := fmt.Sscanf(header.Get("Sluice-Signature"), "t=%d,", &at); err != nil || at < began.Unix() || at > time.Now().Unix() {
			t.Errorf("signed at %d, %v", at, err)
		}
		if want := retrain.Sign([]byte(secret), time.Unix(at, 0), body); header.Get("Sluice-Signature") != want {
			t.Errorf("got %s, want %s", header.Get("Sluice-Signature"), want)
		}
		var e event.Event
		if err := json.Unmarshal(body, &e); err != nil {
			t.Fatal(err)
		}
		if err := e.Validate(); err != nil {
			t.Error(err)
		}
		var data api.RetrainSignal
		if err := e.DataAs(&data); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(s, data); diff != "" {
			t.Error(diff)
		}
		got := []any{
			e.SpecVersion(), e.ID(), e.Source(), e.Type(), e.Subject(), e.Time(), e.DataSchema(), e.DataContentType(), e.Extensions(),
		}
		want := []any{
			"1.0", s.ID, "/gateway/test", s.Type, s.Model + "/1", s.CreatedAt, "urn:sluice:schema:" + s.Type, "application/json", map[string]any{
				"modelname": s.Model, "modelversion": "1", "severity": severity,
				"windowstart": "2026-11-01T03:00:00Z", "windowend": "2026-11-01T03:05:00Z",
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	f(drift("iris", 1, 3), "warning")
	s := missing(`größe "<&>"`, "a\u2028b", 3)
	s.Detector = json.RawMessage(`{"name":"windows/1","tolerance":0.1}`)
	f(s, "critical")
}

// TestGolden: a body and its signature as docs/drift.md has them checked. They were
// also checked with that Python code.
func TestGolden(t *testing.T) {
	body, err := os.ReadFile(filepath.Join("testdata", "event.json"))
	if err != nil {
		t.Fatal(err)
	}
	signature, err := os.ReadFile(filepath.Join("testdata", "event.signature"))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 1, 0, 5, 1, 0, time.UTC)
	if got := retrain.Sign([]byte(secret), at, body); got != strings.TrimSpace(string(signature)) {
		t.Errorf("got %s", got)
	}
	s := drift("iris", 1, 0)
	s.Cause, s.Began, s.CreatedAt, s.FeaturesTotal = api.CauseDrift, s.Window.Start, at, 1
	s.ID = retrain.ID(s)
	got, err := retrain.Encode(s, "/gateway/sluice")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(body), string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestWebhookFailures(t *testing.T) {
	s := signal(t, drift("iris", 1, 0))
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

// TestWebhookEndsWithItsContext, whatever the receiver is at.
func TestWebhookEndsWithItsContext(t *testing.T) {
	s := signal(t, drift("iris", 1, 0))
	over := make(chan struct{})
	defer close(over) // before the servers are closed, which waits for their handlers
	f := func(url, want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
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

// raw starts a receiver that says something as it is and then no more.
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
			_, _ = http.ReadRequest(bufio.NewReader(c)) // it is well-formed
		}
		_, _ = io.WriteString(c, text)
		<-over
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return "http://" + l.Addr().String()
}

// TestLongAnswersCostNothing: neither what comes with a success nor what comes with
// a failure is read to its end, which is at 1 GB.
func TestLongAnswersCostNothing(t *testing.T) {
	s := signal(t, drift("iris", 1, 0))
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

func TestNewWebhookRefuses(t *testing.T) {
	f := func(url, secret, source, want string) {
		t.Helper()
		_, err := retrain.NewWebhook(retrain.WebhookOptions{URL: url, Secret: []byte(secret), Source: source})
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want %q", url, err, want)
		}
	}
	const badURL = "expected a URL that begins with https:// or http:// and a host"
	f("", "s", "", badURL)
	f("hunter2", "s", "", badURL)
	f("ftp://hunter2", "s", "", badURL)
	f("http:///hunter2", "s", "", badURL)
	f("http://hunter2:x/%zz", "s", "", badURL)
	f("//hunter2", "s", "", badURL)
	f("https://x", "", "", "expected a secret to sign with")
	f("https://x", "s", "%zz", `expected a URI reference, got "%zz"`)
}

func TestPlainHTTPIsWarnedOf(t *testing.T) {
	f := func(url string, want int) {
		t.Helper()
		core, logs := observer.New(zap.WarnLevel)
		_, err := retrain.NewWebhook(retrain.WebhookOptions{URL: url, Secret: []byte("s"), Logger: zap.New(core)})
		if err != nil || logs.Len() != want {
			t.Errorf("%s: %v, %v", url, err, logs.All())
		}
	}
	f("http://example.com/x", 1)
	f("http://10.0.0.1:8080", 1)
	f("https://example.com/x", 0)
	f("http://localhost:8080", 0)
	f("http://127.0.0.1", 0)
	f("http://[::1]:80", 0)
}

// TestOutboxAndWebhook: a receiver that is down, then broken, then well, over real
// connections.
func TestOutboxAndWebhook(t *testing.T) {
	var n int
	arrived := make(chan string, 10)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n < 4 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		body, _ := io.ReadAll(r.Body)
		var e event.Event
		if err := json.Unmarshal(body, &e); err != nil {
			t.Error(err)
		}
		arrived <- e.ID()
	})
	o := retrain.New(retrain.NewStore(), retrain.Options{Journal: &tape{}, Sink: webhook(t, url), Initial: time.Millisecond})
	ran := make(chan error, 1)
	go func() { ran <- o.Run(context.Background()) }()
	out, err := o.Detected(drift("iris", 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	if got := <-arrived; got != out.ID {
		t.Errorf("got %s, want %s", got, out.ID)
	}
	if err := o.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if r, err := o.Get(out.ID); err != nil || r.State != api.RetrainDelivered || r.Attempts != 4 || len(arrived) > 0 {
		t.Errorf("got %+v %v", r, err)
	}
}
