package jwt_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/jwt"
)

// eventually waits for a condition. The test fails by its own deadline only.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("waited for %s", what)
		}
	}
}

func run(t *testing.T, v *jwt.Verifier) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A real server, over the real transport: keys behind a redirect, compressed or not, then rotated.
func TestRealServer(t *testing.T) {
	first, second := newKey(t, "1"), newKey(t, "2")
	var keys atomic.Value
	keys.Store(keySet(t, first.public()))
	mux := http.NewServeMux()
	mux.Handle("/old", http.RedirectHandler("/new", http.StatusMovedPermanently))
	mux.HandleFunc("/new", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", fmt.Sprintf("%q", keys.Load()))
		http.ServeContent(w, r, "keys.json", time.Time{}, strings.NewReader(keys.Load().(string)))
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	v := verifier(t, fromURL(s.URL+"/old"))
	run(t, v)
	eventually(t, "the first keys", func() bool { _, err := v.Verify(first.token(t, nil)); return err == nil })
	keys.Store(keySet(t, second.public()))
	eventually(t, "the new keys", func() bool { _, err := v.Verify(second.token(t, nil)); return err == nil })
	_, err := v.Verify(first.token(t, nil))
	wantRefused(t, err, "the token's key is not one of its issuer's")
}

// A server that sends a body without end, or no answer at all, neither stops Verify nor the end of Run.
func TestRealServerWithoutEnd(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"no answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"body without end": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(strings.Repeat(" ", 1<<10))); err != nil {
					return
				}
			}
		},
		"headers without end": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
		},
		"slow body": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(`{"keys":`))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				handler(w, r)
			}))
			t.Cleanup(s.Close) // after the end of Run, which closes the connections
			v := verifier(t, fromURL(s.URL))
			run(t, v)
			eventually(t, "a request", func() bool { return asked.Load() > 0 })
			_, err := v.Verify(newKey(t, "1").token(t, nil))
			wantError(t, err, infer.Unavailable, "are not loaded yet")
		})
	}
}

// A certificate that the system does not trust is a failure, and not in the message of Verify.
func TestRealServerWithUnknownCertificate(t *testing.T) {
	key := newKey(t, "1")
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(keySet(t, key.public()))) }))
	defer s.Close()
	v := verifier(t, fromURL(s.URL))
	run(t, v)
	eventually(t, "a failure", func() bool { return v.Stats()[0].Failures > 0 })
	_, err := v.Verify(key.token(t, nil))
	wantError(t, err, infer.Unavailable, "are not loaded yet")

	trusting, err := jwt.New(jwt.Options{Issuers: []jwt.Issuer{fromURL(s.URL)}, Transport: s.Client().Transport, Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	run(t, trusting)
	eventually(t, "the keys", func() bool { _, err := trusting.Verify(key.token(t, nil)); return err == nil })
}
