package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

// SessionLimits bound the sessions of browsers. All are required.
type SessionLimits struct {
	Max    int           // in all
	MaxAge time.Duration // from the sign-in on
	Idle   time.Duration // without a request
}

// sessionsPerCaller is the max number of sessions of one caller. Another one ends its oldest one.
const sessionsPerCaller = 16

// errEnded is the cause of an error about a cookie whose session does not exist any more.
var errEnded = errors.New("the session has ended")

func ended(why string) error {
	return &infer.Error{Code: infer.Unauthenticated, Msg: "the session has ended" + why + ": sign in again", Err: errEnded}
}

// sessions are the sign-ins of browsers. A browser has a random id in a cookie. Here its digest finds what the browser
// has shown, which is verified again at each request. So a session ends with the key or the token of its caller.
type sessions struct {
	limits SessionLimits

	mu   sync.Mutex
	list map[sessionKey]*session
}

type sessionKey [sha256.Size]byte

type session struct {
	authorization string // the header of the sign-in
	caller        string
	began, used   time.Time
}

func newSessions(limits SessionLimits) *sessions {
	return &sessions{limits: limits, list: map[sessionKey]*session{}}
}

// begin makes a session, and returns its id. It fails with Overloaded if there are too many.
func (s *sessions) begin(authorization, caller string, now time.Time) (id string, until time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var oldest sessionKey
	own := 0
	for key, x := range s.list {
		switch {
		case s.over(x, now):
			delete(s.list, key)
		case x.caller == caller:
			if own++; own == 1 || x.began.Before(s.list[oldest].began) {
				oldest = key
			}
		}
	}
	if own >= sessionsPerCaller {
		delete(s.list, oldest)
	}
	if len(s.list) >= s.limits.Max {
		return "", until, infer.Errorf(infer.Overloaded, "there are %d sessions, the max (admin.sessions.max); send the key in the header 'Authorization' of each request, or retry later", s.limits.Max)
	}
	var random [32]byte
	rand.Read(random[:]) // never fails
	id = base64.RawURLEncoding.EncodeToString(random[:])
	s.list[sha256.Sum256([]byte(id))] = &session{authorization: authorization, caller: caller, began: now, used: now}
	return id, now.Add(s.limits.MaxAge), nil
}

// over reports whether a session has ended by time.
func (s *sessions) over(x *session, now time.Time) bool {
	return now.Sub(x.began) >= s.limits.MaxAge || now.Sub(x.used) >= s.limits.Idle
}

// caller returns who has signed in to a session. Errors: Unauthenticated, and those of Book.Identify that pass.
func (s *sessions) caller(id string, book *callers.Book, remote address, now time.Time) (*callers.Caller, error) {
	key := sessionKey(sha256.Sum256([]byte(id)))
	s.mu.Lock()
	x := s.list[key]
	if x != nil && s.over(x, now) {
		delete(s.list, key)
		x = nil
	}
	if x == nil {
		s.mu.Unlock()
		return nil, ended("")
	}
	x.used = now
	s.mu.Unlock()
	caller, err := x.identify(book, remote)
	if errors.Is(err, errEnded) {
		s.end(id)
	}
	return caller, err
}

// until returns when a session ends at the latest, the zero time if there is none.
func (s *sessions) until(id string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.list[sha256.Sum256([]byte(id))]; x != nil {
		return x.began.Add(s.limits.MaxAge)
	}
	return time.Time{}
}

// identify returns the caller of a session.
func (x *session) identify(book *callers.Book, remote address) (*callers.Caller, error) {
	caller, err := book.Identify(callers.Credentials{Authorization: []byte(x.authorization), Remote: remote})
	switch code := infer.CodeOf(err); {
	case code == infer.Unauthenticated, code == infer.Forbidden:
		return nil, ended(", since its key or token is not accepted any more")
	case err != nil:
		return nil, err // it may be accepted soon
	case caller.Name() != x.caller:
		return nil, ended(", since its key is another caller's")
	}
	return caller, nil
}

// end ends a session, if there is one.
func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.list, sha256.Sum256([]byte(id)))
}

// verify ends the sessions whose callers are not known any more.
func (s *sessions) verify(book *callers.Book) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, x := range s.list {
		if _, err := x.identify(book, ""); errors.Is(err, errEnded) {
			delete(s.list, key)
		}
	}
}

// CallersChanged ends the sessions of callers that the present book does not know any more.
func (s *Server) CallersChanged() { s.sessions.verify(s.opts.Callers.Load()) }

// The names of the cookie. A browser takes one with the second prefix only over TLS, so that a page of plain HTTP on the
// same host cannot set it. The port follows, since a browser has one set of cookies for all ports of a host.
const (
	cookieName       = "sluice-session"
	secureCookieName = "__Secure-sluice-session"
)

// cookieNames returns the names under which a request may have the cookie.
func cookieNames(r *http.Request) []string {
	port := ""
	if i := strings.LastIndexByte(r.Host, ':'); i >= 0 && !strings.HasSuffix(r.Host, "]") {
		port = "-" + r.Host[i+1:]
	}
	if r.TLS != nil {
		return []string{secureCookieName + port}
	}
	return []string{cookieName + port, secureCookieName + port} // a proxy may speak TLS
}

// sessionID returns the id in a request's cookie, "" if there is none. Two of them are an error: another program on this host
// may have set one.
func sessionID(r *http.Request) (string, error) {
	if len(r.Header["Cookie"]) == 0 {
		return "", nil
	}
	id, n := "", 0
	for _, name := range cookieNames(r) {
		for _, cookie := range r.CookiesNamed(name) {
			id = cookie.Value
			n++
		}
	}
	if n > 1 {
		return "", infer.Errorf(infer.Invalid, "the request has %d session cookies, expected one: remove the cookies of this host, and sign in again", n)
	}
	return id, nil
}

// headerSession is a header that requests with the cookie need if they change something. A form cannot send it, and a script
// of another origin must ask first, which is refused.
const headerSession = "Sluice-Session"

// ownPage refuses a request with the cookie that does not come from the gateway's own page.
func ownPage(r *http.Request) error {
	if err := sameOrigin(r); err != nil {
		return err
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Header.Get(headerSession) == "" {
		return infer.Errorf(infer.Forbidden, "a change with the session cookie needs the header '%s: 1'", headerSession)
	}
	return nil
}
