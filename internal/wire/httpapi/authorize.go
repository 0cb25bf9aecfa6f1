package httpapi

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"maps"
	"slices"

	"github.com/valyala/fasthttp"

	"sluice.io/sluice/internal/infer"
)

// token is a name and the digest of what it must show. Digests are of equal
// length, so comparing them tells nothing about the tokens'.
type token struct {
	name   string
	digest [sha256.Size]byte
}

func newTokens(named map[string]string) ([]token, error) {
	tokens := make([]token, 0, len(named))
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if name == "" || named[name] == "" {
			return nil, fmt.Errorf("httpapi: token '%s': name and token must not be empty", name)
		}
		tokens = append(tokens, token{name, sha256.Sum256([]byte(named[name]))})
	}
	return tokens, nil
}

// authorize returns the name of the token that a request shows; it is empty
// where none is asked for. It compares with every token, so that the time taken
// does not tell which one came close.
func (x *exchange) authorize() (name string, err error) {
	if len(x.srv.tokens) == 0 {
		return "", nil
	}
	scheme, shown, _ := bytes.Cut(x.header.authorization, []byte{' '})
	if shown = bytes.TrimSpace(shown); len(shown) == 0 || !bytes.EqualFold(scheme, []byte("Bearer")) {
		x.ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, `Bearer realm="sluice"`)
		return "", infer.Errorf(infer.Unauthenticated, "this needs the header 'Authorization: Bearer TOKEN' with a configured token")
	}
	digest := sha256.Sum256(shown)
	for i := range x.srv.tokens {
		if subtle.ConstantTimeCompare(digest[:], x.srv.tokens[i].digest[:]) == 1 {
			name = x.srv.tokens[i].name
		}
	}
	if name == "" {
		return "", infer.Errorf(infer.Forbidden, "the token is not one of those configured")
	}
	return name, nil
}
