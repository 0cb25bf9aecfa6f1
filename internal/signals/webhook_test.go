package signals_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/signals"
)

const secret = "a secret of the receiver"

func webhook(t testing.TB, url string) *signals.Webhook {
	t.Helper()
	w, err := signals.NewWebhook(signals.WebhookOptions{URL: url, Secret: []byte(secret), Source: "/gateway/test", Version: "1.2"})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// recorded returns a signal as it is in the journal.
func recorded(t testing.TB, s api.SignalData) api.SignalData {
	t.Helper()
	o := outbox(t, signals.NewStore(), &tape{}, nil)
	out, err := o.Detected(s)
	if err != nil {
		t.Fatal(err)
	}
	r, err := o.Get(out.ID)
	if err != nil {
		t.Fatal(err)
	}
	return r.SignalData
}

// serve starts a receiver with the handler f.
func serve(t testing.TB, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

// The token of a trainer is in the data of its request, unless others could read it, and in no error.
func TestWebhookSendsAToken(t *testing.T) {
	s := recorded(t, drift("iris", 1, 0))
	asked := 0
	post := func(ctx context.Context, url string, s api.SignalData) error {
		w, err := signals.NewWebhook(signals.WebhookOptions{
			URL: url, Secret: []byte(secret), Source: "/gateway/test",
			Token: func(of *api.SignalData) (string, error) {
				if asked++; of.ID != s.ID {
					return "", errors.New("another signal")
				}
				return "the-token", nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Deliver(ctx, s)
		return err
	}
	var e struct {
		Data struct {
			ID, Token string
		}
	}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &e); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusBadRequest)
		_, rest, _ := bytes.Cut(body, []byte(`"features_total"`))
		_, _ = w.Write(rest[max(0, len(rest)-150):]) // an answer that repeats the request
	})
	if err := post(t.Context(), url, s); err == nil || strings.Contains(err.Error(), "the-token") || !strings.Contains(err.Error(), "…") || e.Data.Token != "the-token" || e.Data.ID != s.ID || asked != 1 {
		t.Errorf("%v, got %+v", err, e)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, to := range []string{"http://192.0.2.1/", "https://192.0.2.1/"} { // nothing is sent any more
		_ = post(ctx, to, s)
	}
	if asked != 2 {
		t.Errorf("asked %d times, want one more, over TLS", asked)
	}
	if _ = post(ctx, url, recorded(t, missing("iris", "a", 0))); asked != 2 {
		t.Error("a report of bad data gets a token")
	}
}

func TestWebhookSendsACloudEvent(t *testing.T) {
	f := func(s api.SignalData, severity string) {
		t.Helper()
		s = recorded(t, s)
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
		if want := signals.Sign([]byte(secret), time.Unix(at, 0), body); header.Get("Sluice-Signature") != want {
			t.Errorf("got %s, want %s", header.Get("Sluice-Signature"), want)
		}
		var e event.Event
		if err := json.Unmarshal(body, &e); err != nil {
			t.Fatal(err)
		}
		if err := e.Validate(); err != nil {
			t.Error(err)
		}
		var data api.SignalData
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

// TestGolden checks a body and its signature. The Python code in docs/drift-reference.md accepted them
// too.
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
	if got := signals.Sign([]byte(secret), at, body); got != strings.TrimSpace(string(signature)) {
		t.Errorf("got %s", got)
	}
	s := drift("iris", 1, 0)
	s.Cause, s.Began, s.CreatedAt, s.FeaturesTotal = api.CauseDrift, s.Window.Start, at, 1
	s.ID = signals.ID(s)
	got, err := signals.Encode(s, "/gateway/sluice")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(body), string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestNewWebhookRefuses(t *testing.T) {
	f := func(url, secret, source, want string) {
		t.Helper()
		_, err := signals.NewWebhook(signals.WebhookOptions{URL: url, Secret: []byte(secret), Source: source})
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
	f("https://x", "", "", "the secret for the signature is missing")
	f("https://x", "s", "%zz", `expected a URI reference, got "%zz"`)
	f("https://x", "s", "", `expected a URI reference, got ""`)
}

func TestPlainHTTPIsWarnedOf(t *testing.T) {
	f := func(url string, want int) {
		t.Helper()
		core, logs := observer.New(zap.WarnLevel)
		_, err := signals.NewWebhook(signals.WebhookOptions{URL: url, Secret: []byte("s"), Source: "/gateway/test", Logger: zap.New(core)})
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

// TestOutboxAndWebhook: over real connections, the receiver is down, then fails, then
// accepts.
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
	opts := options()
	opts.Journal, opts.Sink, opts.Initial = &tape{}, webhook(t, url), time.Millisecond
	o := newOutbox(t, signals.NewStore(), opts)
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
	if r, err := o.Get(out.ID); err != nil || r.State != api.SignalDelivered || r.Attempts != 4 || len(arrived) > 0 {
		t.Errorf("got %+v %v", r, err)
	}
}

func TestWebhookSignsWithTheSecretThatIsSet(t *testing.T) {
	const renewed = "another secret of it"
	right := make(chan bool, 1)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		given := r.Header.Get(signals.SignatureHeader)
		at, _, _ := strings.Cut(strings.TrimPrefix(given, "t="), ",")
		seconds, _ := strconv.ParseInt(at, 10, 64)
		right <- given == signals.Sign([]byte(renewed), time.Unix(seconds, 0), body)
	})
	w := webhook(t, url)
	w.SetSecret([]byte(renewed))
	if _, err := w.Deliver(t.Context(), recorded(t, drift("iris", 1, 0))); err != nil {
		t.Fatal(err)
	}
	if !<-right {
		t.Error("the signature is not of the new secret")
	}
}
