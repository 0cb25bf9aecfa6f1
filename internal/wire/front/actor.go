package front

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

// maxActorText is the max size of a name or reason in bytes; the journal keeps both.
const maxActorText = 1 << 10

// Actor returns the author of a change, and the reason if given: the caller or, if it is anonymous,
// the name that it gives. field returns the value of a header, nil if it is absent. Errors are
// Invalid, and those of field.
func Actor(caller *callers.Caller, field func(name string) ([]byte, error)) (by api.Actor, err error) {
	if !caller.IsAnonymous() {
		by.Actor, by.Verified = caller.Name(), true
	} else if by.Actor, err = text("Sluice-Actor", field); err != nil {
		return by, err
	}
	if by.Actor == "" {
		by.Actor = callers.Anonymous
	}
	by.Reason, err = text("Sluice-Change-Reason", field)
	return by, err
}

// text returns the text in a header. Only visible characters are accepted, since invisible ones
// could mislead readers of the journal.
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
