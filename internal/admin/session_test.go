package admin_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/testing/access"
	"sluice.io/sluice/internal/testing/sideport"
)

const sessionPath = "/api/v1/session"

// signedIn signs in, and returns the cookie as a browser sends it.
func (s *side) signedIn(key string) (cookie string) {
	s.t.Helper()
	a := s.ask(http.MethodPost, sessionPath, nil, "Authorization", "Bearer "+key)
	set := a.header.Values("Set-Cookie")
	if a.status != http.StatusOK || len(set) != 1 {
		s.t.Fatalf("%+v", a)
	}
	cookie, _, _ = strings.Cut(set[0], ";")
	return cookie
}

func sessionOf(t *testing.T, a answer) (doc api.Session) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.status != http.StatusOK {
		t.Fatalf("%+v: %v", a, err)
	}
	return doc
}

func TestSessionSaysWhoTheCallerIs(t *testing.T) {
	s := serve(t, "127.0.0.1:0", map[string]string{"alice": "alice-key"})
	anonymous := sessionOf(t, s.ask(http.MethodGet, sessionPath, nil))
	if !anonymous.Anonymous || anonymous.Caller != "anonymous" || anonymous.Until != nil ||
		!cmp.Equal(anonymous.May, []api.CallerRule{{Models: []string{"*"}, Actions: []string{"infer", "metadata", "statistics"}}}) {
		t.Errorf("%+v", anonymous)
	}
	alice := sessionOf(t, s.ask(http.MethodGet, sessionPath, nil, "Authorization", "Bearer alice-key"))
	if alice.Anonymous || alice.Caller != "alice" || alice.Until != nil || len(alice.May) != 1 || !slices.Contains(alice.May[0].Actions, "admin") || alice.Groups == nil {
		t.Errorf("%+v", alice)
	}
	s.expectError(s.ask(http.MethodGet, sessionPath, nil, "Authorization", "Bearer nobody"), http.StatusUnauthorized, "not the key")
	s.expectError(s.ask(http.MethodPost, sessionPath, nil), http.StatusBadRequest, "Authorization")
	s.expectError(s.ask(http.MethodPost, sessionPath, nil, "Authorization", "Bearer nobody"), http.StatusUnauthorized, "not the key")

	open := serve(t, "127.0.0.1:0", nil)
	open.expectError(open.ask(http.MethodPost, sessionPath, nil, "Authorization", "Bearer any"), http.StatusBadRequest, "no callers")
	if doc := sessionOf(t, open.ask(http.MethodGet, sessionPath, nil, "Cookie", "sluice-session=x")); !doc.Anonymous || !slices.Contains(doc.May[0].Actions, "admin") {
		t.Errorf("%+v", doc)
	}
}

func TestSessionCookie(t *testing.T) {
	s := serve(t, "127.0.0.1:0", map[string]string{"alice": "alice-key"})
	a := s.ask(http.MethodPost, sessionPath, nil, "Authorization", "Bearer alice-key")
	resp := http.Response{Header: a.header}
	c := resp.Cookies()[0]
	at, _ := url.Parse(s.url)
	if c.Name != "sluice-session-"+at.Port() || !c.HttpOnly || c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "" || c.Domain != "" || c.MaxAge != 0 ||
		len(c.Value) < 43 || strings.Contains(c.Value, "alice") {
		t.Errorf("%+v", c)
	}
	if doc := sessionOf(t, a); doc.Caller != "alice" || doc.Until == nil {
		t.Errorf("%+v", doc)
	}
	cookie := c.Name + "=" + c.Value
	if doc := sessionOf(t, s.ask(http.MethodGet, sessionPath, nil, "Cookie", cookie)); doc.Caller != "alice" || doc.Until == nil {
		t.Errorf("%+v", doc)
	}
	// A change has the caller as its verified actor.
	if a := s.ask(http.MethodPost, "/api/v1/models/iris/load", nil, "Cookie", cookie, "Sluice-Session", "1", "Sluice-Actor", "mallory"); a.status != http.StatusOK {
		t.Fatalf("%+v", a)
	}
	if s.control.by.Actor != "alice" || !s.control.by.Verified {
		t.Errorf("%+v", s.control.by)
	}
	// The header goes before the cookie.
	s.expectError(s.ask(http.MethodGet, sessionPath, nil, "Cookie", cookie, "Authorization", "Bearer nobody"), http.StatusUnauthorized, "not the key")
	// Another sign-in ends the session.
	again := s.ask(http.MethodPost, sessionPath, nil, "Cookie", cookie, "Authorization", "Bearer alice-key")
	s.expectError(s.ask(http.MethodGet, "/api/v1/status", nil, "Cookie", cookie), http.StatusUnauthorized, "sign in again")
	next, _, _ := strings.Cut(again.header.Get("Set-Cookie"), ";")
	// A sign-out ends it for everybody who has the cookie.
	if a := s.ask(http.MethodDelete, sessionPath, nil, "Cookie", next, "Sluice-Session", "1"); a.status != http.StatusNoContent || !strings.Contains(a.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("%+v", a)
	}
	s.expectError(s.ask(http.MethodGet, "/api/v1/status", nil, "Cookie", next), http.StatusUnauthorized, "sign in again")
	// The browser forgets a cookie without a session, so that it is anonymous from then on.
	if a := s.ask(http.MethodGet, sessionPath, nil, "Cookie", next); a.status != http.StatusUnauthorized || !strings.Contains(a.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("%+v", a)
	}
	if a := s.ask(http.MethodDelete, sessionPath, nil); a.status != http.StatusNoContent {
		t.Errorf("%+v", a)
	}
	for _, e := range s.logs.All() {
		if text, _ := json.Marshal(e.ContextMap()); strings.Contains(string(text), "alice-key") || strings.Contains(string(text), c.Value) {
			t.Errorf("a secret is in the log: %s", text)
		}
	}
}

// What a page of another site can make its reader's browser send is refused, and so is a form of any page.
func TestSessionCookieCountsOnlyForTheOwnPage(t *testing.T) {
	s := serve(t, "127.0.0.1:0", map[string]string{"alice": "alice-key"})
	cookie := s.signedIn("alice-key")
	f := func(method, path string, want int, header ...string) {
		t.Helper()
		if a := s.ask(method, path, nil, append(header, "Cookie", cookie)...); a.status != want {
			t.Errorf("%s %s %q: %d %s, want %d", method, path, header, a.status, a.body, want)
		}
	}
	const status, load = "/api/v1/status", "/api/v1/models/iris/load"
	f(http.MethodGet, status, 200)
	f(http.MethodGet, status, 200, "Sec-Fetch-Site", "same-origin")
	f(http.MethodGet, status, 200, "Sec-Fetch-Site", "none")
	f(http.MethodGet, status, 403, "Sec-Fetch-Site", "cross-site")
	f(http.MethodGet, status, 403, "Sec-Fetch-Site", "same-site") // another port or a sibling domain
	f(http.MethodGet, status, 403, "Origin", "https://evil.example")
	f(http.MethodGet, status, 403, "Origin", "null")
	f(http.MethodPost, load, 200, "Sluice-Session", "1", "Origin", s.url, "Sec-Fetch-Site", "same-origin")
	f(http.MethodPost, load, 403, "Origin", s.url, "Sec-Fetch-Site", "same-origin") // a form that was put into a page
	f(http.MethodPost, load, 403, "Content-Type", "application/x-www-form-urlencoded")
	f(http.MethodPost, load, 403, "Sluice-Session", "1", "Origin", "https://evil.example")
	f(http.MethodPost, load, 403, "Sluice-Session", "1", "Sec-Fetch-Site", "cross-site")
	f(http.MethodDelete, sessionPath, 403)
	// The answer to a script that asks whether it may send the header does not allow it.
	if a := s.ask(http.MethodOptions, load, nil, "Origin", "https://evil.example", "Access-Control-Request-Headers", "sluice-session", "Access-Control-Request-Method", "POST"); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%+v", a)
	}
	// Another program on this host may add a cookie. Nobody acts by mistake in its session.
	s.expectError(s.ask(http.MethodGet, status, nil, "Cookie", cookie+"; "+cookie), http.StatusBadRequest, "2 session cookies")
	name, _, _ := strings.Cut(cookie, "=")
	s.expectError(s.ask(http.MethodGet, status, nil, "Cookie", name+"=guess"), http.StatusUnauthorized, "sign in again")
}

func TestSessionEndsWithTheKeyOfItsCaller(t *testing.T) {
	with := callers.Options{Callers: []callers.Member{access.Can("alice", "alice-key", callers.All, "*"), access.Can("bob", "bob-key", callers.Metadata, "*")}}
	without := callers.Options{Callers: []callers.Member{access.Can("alice", "new-key", callers.All, "*"), access.Can("bob", "bob-key", callers.Statistics, "*")}}
	moved := callers.Options{Callers: []callers.Member{access.Can("alice", "new-key", callers.All, "*"), access.Can("eve", "bob-key", callers.All, "*")}}
	s := serve(t, "127.0.0.1:0", nil)
	book := s.books
	book.Store(access.Of(with).Load())
	alice, bob := s.signedIn("alice-key"), s.signedIn("bob-key")
	f := func(cookie string, want int) {
		t.Helper()
		if a := s.ask(http.MethodGet, "/api/v1/models", nil, "Cookie", cookie); a.status != want {
			t.Errorf("%d %s, want %d", a.status, a.body, want)
		}
	}
	f(alice, 200)
	f(bob, 200)
	book.Store(access.Of(without).Load())
	s.server.CallersChanged()
	book.Store(access.Of(with).Load()) // the key comes back, and the session does not
	f(alice, 401)
	f(bob, 200)
	book.Store(access.Of(without).Load())
	f(bob, 403) // it has fewer rights
	book.Store(access.Of(moved).Load())
	f(bob, 401)
	book.Store(access.Of(with).Load())
	f(bob, 401)
	alice = s.signedIn("alice-key")
	book.Store(access.Open().Load()) // nobody is configured: there is nothing to sign in to
	f(alice, 200)
	s.server.CallersChanged()
	book.Store(access.Of(with).Load())
	f(alice, 401)
}

func TestSessionsAreBounded(t *testing.T) {
	s := serve(t, "127.0.0.1:0", map[string]string{"alice": "alice-key", "bob": "bob-key", "carol": "carol-key"})
	first := s.signedIn("alice-key")
	for range 15 {
		s.signedIn("alice-key")
	}
	if a := s.ask(http.MethodGet, "/api/v1/status", nil, "Cookie", first); a.status != http.StatusOK {
		t.Fatalf("%+v", a)
	}
	s.signedIn("alice-key")
	s.expectError(s.ask(http.MethodGet, "/api/v1/status", nil, "Cookie", first), http.StatusUnauthorized, "sign in again")
	for range 40 { // of which 16 remain
		s.signedIn("bob-key")
	}
	for range 8 {
		s.signedIn("carol-key")
	}
	s.expectError(s.ask(http.MethodPost, sessionPath, nil, "Authorization", "Bearer carol-key"), http.StatusTooManyRequests, "admin.sessions.max")
}

// A browser sends the cookie to the control API and nowhere else, also behind a proxy that puts a prefix before the paths.
func TestSessionCookieBehindAPrefix(t *testing.T) {
	s := serve(t, "127.0.0.1:0", map[string]string{"alice": "alice-key"})
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	var sent []string
	forward := httputil.NewSingleHostReverseProxy(target)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "" {
			sent = append(sent, r.URL.Path)
		}
		http.StripPrefix("/ops/sluice", forward).ServeHTTP(w, r)
	}))
	defer proxy.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := http.Client{Jar: jar}
	f := func(method, path, key string, want int) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, proxy.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			req.Header.Set("Authorization", "Bearer "+key)
		}
		resp, err := browser.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.Body.Close() != nil || resp.StatusCode != want {
			t.Errorf("%s %s: %d %s %v", method, path, resp.StatusCode, text, err)
		}
	}
	f(http.MethodPost, "/ops/sluice"+sessionPath, "alice-key", 200)
	f(http.MethodGet, "/ops/sluice/api/v1/config", "", 200) // only a caller may read it
	f(http.MethodGet, "/ops/sluice/metrics", "", 200)
	f(http.MethodGet, "/ops/sluice/-/healthy", "", 200)
	f(http.MethodGet, "/api/v1/config", "", 404)
	if want := []string{"/ops/sluice/api/v1/config"}; !cmp.Equal(sent, want) {
		t.Errorf("the cookie was sent to %q, want %q", sent, want)
	}
	browser.CloseIdleConnections()
}

func TestSessionLimitsAreNeeded(t *testing.T) {
	o := sideport.Options()
	o.Sessions = admin.SessionLimits{Max: 1}
	if _, err := admin.New(o); err == nil {
		t.Error("limits of zero are accepted")
	}
}
