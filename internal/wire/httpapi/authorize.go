package httpapi

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

const (
	// anonymous is the actor of a change who neither shows a token nor gives a name.
	anonymous = "anonymous"
	// maxActorText is the most bytes of a name or reason, which the journal keeps for good.
	maxActorText = 1 << 10
)

// actor returns who asks for a change, and why as far as they say: the name of
// the token they show, or where none is asked for the name they give.
func (x *exchange) actor() (by api.Actor, err error) {
	if x.srv.tokens.Any() {
		if by.Actor, err = x.srv.tokens.Bearer(x.header.authorization); err != nil {
			return by, err
		}
		by.Verified = true
	} else if by.Actor, err = x.actorText("Sluice-Actor"); err != nil {
		return by, err
	}
	if by.Actor == "" {
		by.Actor = anonymous
	}
	by.Reason, err = x.actorText("Sluice-Change-Reason")
	return by, err
}

// actorText returns the text in the header name. What people read later must not
// be able to pretend to be something else, so only what can be seen is accepted.
func (x *exchange) actorText(name string) (string, error) {
	value, err := x.field(name)
	if err != nil {
		return "", err
	}
	invisible := func(r rune) bool { return !unicode.IsGraphic(r) }
	if len(value) > maxActorText || !utf8.Valid(value) || strings.ContainsFunc(view(value), invisible) {
		return "", infer.Errorf(infer.Invalid, "header '%s' must be printable UTF-8 of at most %d bytes", name, maxActorText)
	}
	return string(value), nil
}
