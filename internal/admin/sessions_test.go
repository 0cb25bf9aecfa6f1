package admin

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/testing/access"
)

func TestSessionsEndByTime(t *testing.T) {
	book := access.Keys(map[string]string{"alice": "alice-key"}).Load()
	s := newSessions(SessionLimits{Max: 10, MaxAge: 12 * time.Hour, Idle: time.Hour})
	start := time.Now()
	begin := func() string {
		id, until, err := s.begin("Bearer alice-key", "alice", start)
		if err != nil || !until.Equal(start.Add(12*time.Hour)) || !s.until(id).Equal(until) {
			t.Fatal(until, err)
		}
		return id
	}
	known := func(id string, after time.Duration) bool {
		_, err := s.caller(id, book, "", start.Add(after))
		if err != nil && !errors.Is(err, errEnded) {
			t.Error(err)
		}
		return err == nil
	}
	idle, busy := begin(), begin()
	if !known(idle, 59*time.Minute) || known(idle, 2*time.Hour) || known(idle, 59*time.Minute) {
		t.Error("a session without requests does not end after an hour")
	}
	for at := time.Duration(0); at < 12*time.Hour; at += 30 * time.Minute {
		if !known(busy, at) {
			t.Fatalf("a session with requests has ended after %v", at)
		}
	}
	if known(busy, 12*time.Hour) {
		t.Error("a session does not end after 12 hours")
	}
	begin()
	if _, _, err := s.begin("Bearer alice-key", "alice", start.Add(24*time.Hour)); err != nil || len(s.list) != 1 {
		t.Errorf("%v; %d sessions, want the new one", err, len(s.list))
	}
}

// What is in memory does not find the way back to a cookie.
func TestSessionsKeepNoID(t *testing.T) {
	s := newSessions(SessionLimits{Max: 10, MaxAge: time.Hour, Idle: time.Hour})
	seen := map[string]bool{}
	for range 10 {
		id, _, err := s.begin("Bearer alice-key", "alice", time.Now())
		if err != nil || seen[id] || strings.Contains(id, "alice") || len(id) != 43 {
			t.Fatal(id, err)
		}
		seen[id] = true
		for key := range s.list {
			if strings.Contains(string(key[:]), id) || strings.Contains(id, string(key[:])) {
				t.Error("the id is in memory")
			}
		}
	}
}

func TestCookieOverTLS(t *testing.T) {
	f := func(r *http.Request) *http.Cookie {
		t.Helper()
		w := httptest.NewRecorder()
		setCookie(w, r, "id")
		return w.Result().Cookies()[0]
	}
	request := func(host string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, sessionPath, nil)
		r.Host = host
		return r
	}
	plain, encrypted, behind, six := request("gateway:8002"), request("gateway"), request("gateway"), request("[::1]:8002")
	encrypted.TLS = &tls.ConnectionState{}
	behind.Header.Set("Origin", "https://gateway")
	for _, c := range []struct {
		r      *http.Request
		name   string
		secure bool
	}{{plain, "sluice-session-8002", false}, {encrypted, "__Secure-sluice-session", true}, {behind, "__Secure-sluice-session", true}, {six, "sluice-session-8002", false}} {
		got := f(c.r)
		if got.Name != c.name || got.Secure != c.secure {
			t.Errorf("%+v", got)
		}
		c.r.Header.Set("Cookie", got.Name+"="+got.Value)
		if id, err := sessionID(c.r); id != "id" || err != nil {
			t.Errorf("%s: %q %v", c.name, id, err)
		}
	}
	// A page of plain HTTP on the same host can set a cookie without the prefix. It does not count.
	encrypted.Header.Set("Cookie", "sluice-session=other; __Secure-sluice-session=id")
	if id, err := sessionID(encrypted); id != "id" || err != nil {
		t.Errorf("%q %v", id, err)
	}
	encrypted.Header.Set("Cookie", "sluice-session=other")
	if id, err := sessionID(encrypted); id != "" || err != nil {
		t.Errorf("%q %v", id, err)
	}
}
