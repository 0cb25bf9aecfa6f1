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

// The longest that a caller may say of itself and of its reason.
const (
	maxActorBytes  = 128
	maxReasonBytes = 1 << 10
)

// authorize decides whether a request may have what is not open to everyone, and
// returns the name of the token that it shows, if any.
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
			"this address serves only /metrics, /-/healthy and /-/ready; configure admin.tokens, or listen on a loopback address, to have the rest")
	default:
		return "", sameOrigin(r)
	}
}

// actorOf says who makes a change, and why. What is not shown by a token is what
// the caller says; it goes into the journal, where others read it later.
func actorOf(r *http.Request, token string) (api.Actor, error) {
	reason, err := said(r, "Sluice-Change-Reason", maxReasonBytes, unicode.IsControl)
	if err != nil || token != "" {
		return api.Actor{Actor: token, Verified: true, Reason: reason}, err
	}
	name, err := said(r, "Sluice-Actor", maxActorBytes, func(c rune) bool { return !unicode.IsPrint(c) })
	return api.Actor{Actor: cmp.Or(name, "anonymous"), Reason: reason}, err
}

// said returns a header that holds text for people, once and without what is
// not to be in it.
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

// sameOrigin keeps web pages out where being on this machine is what gives the
// right. A page of another site can send requests here through its reader's
// browser, which marks them; with a host name of its own that it points at this
// machine it can read the answers too, and then the Host header bears that name.
func sameOrigin(r *http.Request) error {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if ip := net.ParseIP(strings.Trim(host, "[]")); !strings.EqualFold(host, "localhost") && !ip.IsLoopback() {
		return infer.Errorf(infer.Forbidden, "host '%s' is not this machine; without admin.tokens ask for localhost or a loopback address", host)
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return infer.Errorf(infer.Forbidden, "requests of another site's page are refused")
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
			return infer.Errorf(infer.Forbidden, "requests of another origin's page are refused")
		}
	}
	return nil
}
