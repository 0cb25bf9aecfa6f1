package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// token is a name and the digest of what it must show. Digests are of equal
// length, so comparing them tells nothing about the token's.
type token struct {
	name   string
	digest [sha256.Size]byte
}

func newTokens(named map[string]string) ([]token, error) {
	tokens := make([]token, 0, len(named))
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if name == "" || named[name] == "" {
			return nil, fmt.Errorf("admin.tokens.%s: name and token must not be empty", name)
		}
		t := token{name, sha256.Sum256([]byte(named[name]))}
		if i := slices.IndexFunc(tokens, func(o token) bool { return o.digest == t.digest }); i >= 0 {
			return nil, fmt.Errorf("admin.tokens: %s and %s have the same token, so who acts could not be told", tokens[i].name, name)
		}
		tokens = append(tokens, t)
	}
	return tokens, nil
}

// actor is who asks, as far as that is known.
type actor struct {
	name     string
	verified bool // a token shows it; else the caller only says so
}

// authorize decides whether a request may have what is not open to everyone.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) (actor, error) {
	switch {
	case len(s.tokens) > 0:
		name, err := s.bearer(r)
		if infer.CodeOf(err) == infer.Unauthenticated {
			w.Header().Set("WWW-Authenticate", `Bearer realm="sluice"`)
		}
		return actor{name, true}, err
	case !s.loopback:
		return actor{}, infer.Errorf(infer.Forbidden,
			"this address serves only /metrics, /-/healthy and /-/ready; configure admin.tokens, or listen on a loopback address, to have the rest")
	default:
		return actor{name: r.Header.Get("Sluice-Actor")}, sameOrigin(r)
	}
}

// bearer returns the name of the token that a request shows. It compares with
// every token, so that the time taken does not tell which one came close.
func (s *Server) bearer(r *http.Request) (name string, err error) {
	scheme, shown, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || shown == "" {
		return "", infer.Errorf(infer.Unauthenticated, "this needs the header 'Authorization: Bearer TOKEN' with one of admin.tokens")
	}
	digest := sha256.Sum256([]byte(strings.TrimSpace(shown)))
	for i := range s.tokens {
		if subtle.ConstantTimeCompare(digest[:], s.tokens[i].digest[:]) == 1 {
			name = s.tokens[i].name
		}
	}
	if name == "" {
		return "", infer.Errorf(infer.Forbidden, "the token is none of admin.tokens")
	}
	return name, nil
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
