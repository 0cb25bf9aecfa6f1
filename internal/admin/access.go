package admin

import (
	"cmp"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

// The max sizes of the headers with a caller's name and reason.
const (
	maxActorBytes  = 128
	maxReasonBytes = 1 << 10
)

// authorize returns the caller of a request if it may use an endpoint. The caller is nil if the
// endpoint is open. Errors: Invalid, Unauthenticated, Forbidden.
func (s *Server) authorize(r *http.Request, need callers.Need) (*callers.Caller, error) {
	book := s.opts.Callers.Load()
	if book.Opens(need) {
		return nil, nil //nolint:nilnil // an open endpoint has no caller
	}
	caller, err := s.identify(r, book)
	if err != nil {
		return nil, err
	}
	return caller, caller.Meets(need, modelOf(r))
}

// identify returns the caller of a request. Errors: those of authorize.
func (s *Server) identify(r *http.Request, book *callers.Book) (*callers.Caller, error) {
	shown, err := credentialsOf(r)
	if err != nil {
		return nil, err
	}
	id := ""
	if shown.Authorization == nil && book.HasCredentials() { // else they are ignored
		if id, err = sessionID(r); err != nil {
			return nil, err
		}
	}
	if id != "" {
		if err := ownPage(r); err != nil {
			return nil, err
		}
		return s.sessions.caller(id, book, address(r.RemoteAddr), time.Now())
	}
	caller, err := book.Identify(shown)
	switch {
	case err != nil:
		return nil, err
	case !caller.IsAnonymous():
		err = sameSite(r)
	case s.loopback:
		err = sameMachine(r)
	case book.IsOpen():
		err = infer.Errorf(infer.Forbidden,
			"this address serves only /metrics, /-/healthy, /-/ready, /openapi.json and /docs; configure callers or admin.tokens, or listen on a loopback address, to serve the control API")
	case book.ImpliesAnonymous(): // rights that nobody has configured end at this machine
		err = infer.Errorf(infer.Unauthenticated, "this request needs the header 'Authorization: Bearer KEY' with the key of a caller")
	}
	return caller, err
}

// credentialsOf returns what a request shows of its caller.
func credentialsOf(r *http.Request) (c callers.Credentials, err error) {
	switch values := r.Header["Authorization"]; len(values) {
	case 0:
	case 1:
		c.Authorization = []byte(values[0])
	default:
		return c, infer.Errorf(infer.Invalid, "more than one Authorization header")
	}
	c.Remote = address(r.RemoteAddr)
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		c.Names = callers.NamesOf(r.TLS.VerifiedChains[0][0])
	}
	return c, nil
}

// address is the text of a TCP address.
type address string

// Network implements net.Addr.
func (a address) Network() string { return "tcp" }

// String implements net.Addr.
func (a address) String() string { return string(a) }

// modelOf returns the model or route that a path names, "" if it names none.
func modelOf(r *http.Request) string { return cmp.Or(r.PathValue("name"), r.PathValue("model")) }

// callerKey is the key of a request's caller in its context.
type callerKey struct{}

// callerOf returns the caller of a request to an endpoint that is not open.
func callerOf(r *http.Request) *callers.Caller {
	caller, _ := r.Context().Value(callerKey{}).(*callers.Caller)
	return caller
}

// visible returns the items of a list about whose models the caller may do something.
func visible[T any](r *http.Request, a callers.Action, list []T, model func(*T) string) []T {
	caller, seen := callerOf(r), make([]T, 0, len(list)) // [] instead of null
	for i := range list {
		if caller.Can(a, model(&list[i])) {
			seen = append(seen, list[i])
		}
	}
	return seen
}

// actorOf returns the actor of a change and the reason. The name is that of the caller or, if it is
// anonymous, the one that it gives. Both go into the journal, where other people read them.
func actorOf(r *http.Request, caller *callers.Caller) (api.Actor, error) {
	reason, err := said(r, "Sluice-Change-Reason", maxReasonBytes, unicode.IsControl)
	if err != nil || !caller.IsAnonymous() {
		return api.Actor{Actor: caller.Name(), Verified: true, Reason: reason}, err
	}
	name, err := said(r, "Sluice-Actor", maxActorBytes, func(c rune) bool { return !unicode.IsPrint(c) })
	return api.Actor{Actor: cmp.Or(name, callers.Anonymous), Reason: reason}, err
}

// said returns a header with text for people. It refuses a header that is given twice, is
// too long, or has refused characters.
func said(r *http.Request, header string, most int, refused func(rune) bool) (string, error) {
	values := r.Header.Values(header)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", infer.Errorf(infer.Invalid, "%s is given %d times, expected once", header, len(values))
	case len(values[0]) > most:
		return "", infer.Errorf(infer.Invalid, "%s is %d bytes long, expected at most %d", header, len(values[0]), most)
	case !utf8.ValidString(values[0]) || strings.ContainsFunc(values[0], refused):
		return "", infer.Errorf(infer.Invalid, "%s: expected printable UTF-8 text", header)
	}
	return strings.TrimSpace(values[0]), nil
}

// sameMachine refuses requests of web pages if every program on this machine has access. A
// page of another site can send requests through its reader's browser, which marks them. If
// the site's host name resolves to this machine, the page can read the answers too; then the
// Host header has that name.
func sameMachine(r *http.Request) error {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if ip := net.ParseIP(strings.Trim(host, "[]")); !strings.EqualFold(host, "localhost") && !ip.IsLoopback() {
		return infer.Errorf(infer.Forbidden, "host '%s' is not this machine; use localhost or a loopback address, or the key of a caller", host)
	}
	return sameOrigin(r)
}

// sameSite refuses changes by pages of other sites, whose reader's browser may add credentials by
// itself: a client certificate.
func sameSite(r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	return sameOrigin(r)
}

// sameOrigin refuses requests of pages of another origin.
func sameOrigin(r *http.Request) error {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return infer.Errorf(infer.Forbidden, "requests from a page of another site are not allowed")
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
			return infer.Errorf(infer.Forbidden, "requests from a page of another origin are not allowed")
		}
	}
	return nil
}
