package front

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

// Actor returns who asks for a change, and why as far as they say: the name of the token
// that authorization shows, or if no tokens are configured the name that they give. field
// returns the value of a header, nil if it is absent; an error of it is returned.
func (f *Front) Actor(authorization []byte, field func(name string) ([]byte, error)) (by api.Actor, err error) {
	if f.tokens.Any() {
		if by.Actor, err = f.tokens.Bearer(authorization); err != nil {
			return by, err
		}
		by.Verified = true
	} else if by.Actor, err = text("Sluice-Actor", field); err != nil {
		return by, err
	}
	if by.Actor == "" {
		by.Actor = anonymous
	}
	by.Reason, err = text("Sluice-Change-Reason", field)
	return by, err
}

// text returns the text in a header. What people read later must not be able to pretend
// to be something else, so only what can be seen is accepted.
func text(name string, field func(string) ([]byte, error)) (string, error) {
	value, err := field(name)
	if err != nil {
		return "", err
	}
	invisible := func(r rune) bool { return !unicode.IsGraphic(r) }
	if len(value) > maxActorText || !utf8.Valid(value) || strings.ContainsFunc(string(value), invisible) {
		return "", infer.Errorf(infer.Invalid, "header '%s' must be printable UTF-8 of at most %d bytes", name, maxActorText)
	}
	return string(value), nil
}
