package wire

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"sluice.io/sluice/internal/infer"
)

// Challenge is the value of WWW-Authenticate in an Unauthenticated answer.
const Challenge = `Bearer realm="sluice"`

// Tokens are the names of those who may make changes, each with its bearer token. Its methods may
// be called from any goroutine.
type Tokens struct{ list atomic.Pointer[[]token] }

// token has a digest. Digests have equal lengths, so that a comparison does not reveal the length
// of the token.
type token struct {
	name   string
	digest [sha256.Size]byte
}

// NewTokens returns the tokens by name. Names and tokens must not be empty, and two names must not
// have the same token.
func NewTokens(named map[string]string) (*Tokens, error) {
	t := &Tokens{}
	return t, t.Replace(named)
}

// Replace replaces the tokens. After an error nothing has changed.
func (t *Tokens) Replace(named map[string]string) error {
	var list []token
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if name == "" || named[name] == "" {
			return fmt.Errorf("admin.tokens.%s: name and token must not be empty", name)
		}
		digest := sha256.Sum256([]byte(named[name]))
		if i := slices.IndexFunc(list, func(o token) bool { return o.digest == digest }); i >= 0 {
			return fmt.Errorf("admin.tokens: %s and %s have the same token; expected different ones, so that the journal can name the author of a change", list[i].name, name)
		}
		list = append(list, token{name, digest})
	}
	t.list.Store(&list)
	return nil
}

// Any reports whether any token is configured.
func (t *Tokens) Any() bool { return len(*t.list.Load()) > 0 }

// Bearer returns the name of the token in the value of an Authorization header. The error is
// Unauthenticated if it has none, and Forbidden if the token is not known. It compares with every
// token, so that the time does not reveal a near match.
func (t *Tokens) Bearer(authorization []byte) (name string, err error) {
	scheme, shown, _ := bytes.Cut(authorization, []byte{' '})
	if shown = bytes.TrimSpace(shown); len(shown) == 0 || !bytes.EqualFold(scheme, []byte("Bearer")) {
		return "", infer.Errorf(infer.Unauthenticated, "this request needs the header 'Authorization: Bearer TOKEN' with one of admin.tokens")
	}
	digest := sha256.Sum256(shown)
	list := *t.list.Load()
	for i := range list {
		if subtle.ConstantTimeCompare(digest[:], list[i].digest[:]) == 1 {
			name = list[i].name
		}
	}
	if name == "" {
		return "", infer.Errorf(infer.Forbidden, "the token is not one of admin.tokens")
	}
	return name, nil
}
