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

// Tokens are who may change things, and what each must show for it. Its methods may be
// called from any goroutine.
type Tokens struct{ list atomic.Pointer[[]token] }

// token holds a digest, since digests are of equal length: comparing them tells
// nothing about the token's.
type token struct {
	name   string
	digest [sha256.Size]byte
}

// NewTokens takes bearer tokens by the name of who holds them. Names and tokens
// must not be empty, and no two names may share a token.
func NewTokens(named map[string]string) (*Tokens, error) {
	t := &Tokens{}
	return t, t.Replace(named)
}

// Replace takes others in their place, or changes nothing.
func (t *Tokens) Replace(named map[string]string) error {
	var list []token
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if name == "" || named[name] == "" {
			return fmt.Errorf("admin.tokens.%s: name and token must not be empty", name)
		}
		digest := sha256.Sum256([]byte(named[name]))
		if i := slices.IndexFunc(list, func(o token) bool { return o.digest == digest }); i >= 0 {
			return fmt.Errorf("admin.tokens: %s and %s have the same token, so who acts could not be told", list[i].name, name)
		}
		list = append(list, token{name, digest})
	}
	t.list.Store(&list)
	return nil
}

// Any reports whether a token is configured at all.
func (t *Tokens) Any() bool { return len(*t.list.Load()) > 0 }

// Bearer returns the name of the token that the value of an Authorization header
// shows: Unauthenticated where it shows none, Forbidden where that is not known.
// It compares with every token, so that the time taken does not tell which one
// came close.
func (t *Tokens) Bearer(authorization []byte) (name string, err error) {
	scheme, shown, _ := bytes.Cut(authorization, []byte{' '})
	if shown = bytes.TrimSpace(shown); len(shown) == 0 || !bytes.EqualFold(scheme, []byte("Bearer")) {
		return "", infer.Errorf(infer.Unauthenticated, "this needs the header 'Authorization: Bearer TOKEN' with one of admin.tokens")
	}
	digest := sha256.Sum256(shown)
	list := *t.list.Load()
	for i := range list {
		if subtle.ConstantTimeCompare(digest[:], list[i].digest[:]) == 1 {
			name = list[i].name
		}
	}
	if name == "" {
		return "", infer.Errorf(infer.Forbidden, "the token is none of admin.tokens")
	}
	return name, nil
}
