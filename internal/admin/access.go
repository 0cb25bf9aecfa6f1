package admin

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire"
)

// actor is who asks, as far as that is known.
type actor struct {
	name     string
	verified bool // a token shows it; else the caller only says so
}

// authorize decides whether a request may have what is not open to everyone.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) (actor, error) {
	switch {
	case s.tokens.Any():
		name, err := s.tokens.Bearer([]byte(r.Header.Get("Authorization")))
		if infer.CodeOf(err) == infer.Unauthenticated {
			w.Header().Set("WWW-Authenticate", wire.Challenge)
		}
		return actor{name, true}, err
	case !s.loopback:
		return actor{}, infer.Errorf(infer.Forbidden,
			"this address serves only /metrics, /-/healthy and /-/ready; configure admin.tokens, or listen on a loopback address, to have the rest")
	default:
		return actor{name: r.Header.Get("Sluice-Actor")}, sameOrigin(r)
	}
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
