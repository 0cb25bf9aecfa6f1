package admin

import (
	"cmp"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire"
)

// The max sizes of the headers with a caller's name and reason.
const (
	maxActorBytes  = 128
	maxReasonBytes = 1 << 10
)

// authorize checks that a request may use an endpoint that is not open. It returns the name
// of its token, or "" if no tokens are configured. Errors: Unauthenticated, Forbidden.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) (token string, err error) {
	switch {
	case s.tokens.Any():
		token, err = s.tokens.Bearer([]byte(r.Header.Get("Authorization")))
		if infer.CodeOf(err) == infer.Unauthenticated {
			w.Header().Set("WWW-Authenticate", wire.Challenge)
		}
		return token, err
	case !s.loopback:
		return "", infer.Errorf(infer.Forbidden,
			"this address serves only /metrics, /-/healthy, /-/ready, /openapi.json and /docs; configure admin.tokens, or listen on a loopback address, to serve the control API")
	default:
		return "", sameOrigin(r)
	}
}

// actorOf returns the actor of a change and the reason. The name is that of the token, or,
// without a token, the one that the caller gives. Both go into the journal, where other
// people read them.
func actorOf(r *http.Request, token string) (api.Actor, error) {
	reason, err := said(r, "Sluice-Change-Reason", maxReasonBytes, unicode.IsControl)
	if err != nil || token != "" {
		return api.Actor{Actor: token, Verified: true, Reason: reason}, err
	}
	name, err := said(r, "Sluice-Actor", maxActorBytes, func(c rune) bool { return !unicode.IsPrint(c) })
	return api.Actor{Actor: cmp.Or(name, "anonymous"), Reason: reason}, err
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

// sameOrigin refuses requests of web pages if every program on this machine has access. A
// page of another site can send requests through its reader's browser, which marks them. If
// the site's host name resolves to this machine, the page can read the answers too; then the
// Host header has that name.
func sameOrigin(r *http.Request) error {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if ip := net.ParseIP(strings.Trim(host, "[]")); !strings.EqualFold(host, "localhost") && !ip.IsLoopback() {
		return infer.Errorf(infer.Forbidden, "host '%s' is not this machine; use localhost or a loopback address, or configure admin.tokens", host)
	}
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
