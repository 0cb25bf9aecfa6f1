package admin

import (
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

// sessionPath is that of the session. A browser sends the cookie, which has no path of its own, to all paths beside this one
// (RFC 6265, 5.1.4), also if a proxy puts a prefix before them.
const sessionPath = "/api/v1/session"

// session says who the caller is.
func (s *Server) session(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	var until time.Time
	if r.Header["Authorization"] == nil {
		id, err := sessionID(r)
		if err != nil {
			return err
		}
		until = s.sessions.until(id)
	}
	return answer(w, sessionDocument(callerOf(r), until))
}

// beginSession gives the caller of a key or a token a cookie.
func (s *Server) beginSession(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	caller, shown := callerOf(r), r.Header["Authorization"]
	if len(shown) == 0 {
		return infer.Errorf(infer.Invalid, "a sign-in needs the header 'Authorization: Bearer KEY' with the key or the token of a caller")
	}
	if caller.IsAnonymous() {
		return infer.Errorf(infer.Invalid, "this gateway has no callers: a sign-in is not needed")
	}
	if caller.Retraining() != "" {
		return infer.Errorf(infer.Forbidden, "the token of a retraining is for its trainer, and not for browsers")
	}
	if old, err := sessionID(r); err == nil && old != "" {
		s.sessions.end(old)
	}
	id, until, err := s.sessions.begin(shown[0], caller.Name(), time.Now())
	if err != nil {
		return err
	}
	s.log.Info("signed in", zap.String("caller", caller.Name()), zap.String("remote", r.RemoteAddr))
	setCookie(w, r, id)
	return answer(w, sessionDocument(caller, until))
}

// endSession ends the session of the request's cookie.
func (s *Server) endSession(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	if id != "" {
		s.sessions.end(id)
		s.log.Info("signed out", zap.String("caller", callerOf(r).Name()), zap.String("remote", r.RemoteAddr))
		setCookie(w, r, "")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func sessionDocument(c *callers.Caller, until time.Time) api.Session {
	doc := api.Session{Caller: c.Name(), Anonymous: c.IsAnonymous(), Groups: append([]string{}, c.Groups()...), May: []api.CallerRule{}}
	for _, rule := range c.Rules() {
		if rule.Actions != 0 {
			doc.May = append(doc.May, api.CallerRule{Models: rule.Models, Actions: rule.Actions.Names()})
		}
	}
	if !until.IsZero() {
		doc.Until = &until
	}
	return doc
}

// setCookie gives a browser the id of a session, or takes it away if that is empty.
func setCookie(w http.ResponseWriter, r *http.Request, id string) {
	secure := r.TLS != nil
	if u, err := url.Parse(r.Header.Get("Origin")); err == nil && u.Scheme == "https" {
		secure = true // before a proxy
	}
	names := cookieNames(r)
	c := http.Cookie{Name: names[0], Value: id, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure}
	if secure {
		c.Name = names[len(names)-1]
	}
	if id != "" {
		http.SetCookie(w, &c)
		return
	}
	c.MaxAge = -1
	for _, c.Name = range names {
		c.Secure = c.Name == names[len(names)-1]
		http.SetCookie(w, &c)
	}
}
