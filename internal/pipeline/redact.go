package pipeline

import (
	"bytes"
	"io"
	"regexp"

	"sluice.io/sluice/api"
)

// tokenPattern finds the tokens of trainers in a text.
func tokenPattern() *regexp.Regexp {
	return regexp.MustCompile(regexp.QuoteMeta(api.TrainerTokenPrefix) + `[A-Za-z0-9_-]{43}`)
}

// withoutTokens returns a text of a trainer with its tokens cut short.
func withoutTokens(text string) string {
	return tokenPattern().ReplaceAllLiteralString(text, api.TrainerTokenPrefix+"…")
}

// redactor writes the output of a program without tokens. It holds back what may be the beginning of one.
type redactor struct {
	to      io.Writer
	pattern *regexp.Regexp
	held    []byte
}

func newRedactor(to io.Writer) *redactor { return &redactor{to: to, pattern: tokenPattern()} }

// Write implements io.Writer.
func (r *redactor) Write(b []byte) (int, error) {
	text := r.pattern.ReplaceAllLiteral(append(r.held, b...), []byte(api.TrainerTokenPrefix+"…"))
	cut := beginning(text)
	r.held = bytes.Clone(text[cut:])
	if _, err := r.to.Write(text[:cut]); err != nil {
		return 0, err
	}
	return len(b), nil
}

// flush writes what is held back.
func (r *redactor) flush() error {
	_, err := r.to.Write(r.held)
	r.held = nil
	return err
}

// beginning returns where the beginning of a token at the end of a text is, or the length of the text.
func beginning(text []byte) int {
	prefix := []byte(api.TrainerTokenPrefix)
	for at := max(0, len(text)-api.TrainerTokenBytes+1); at < len(text); at++ {
		if text[at] != prefix[0] {
			continue
		}
		rest := text[at:]
		if n := min(len(rest), len(prefix)); !bytes.Equal(rest[:n], prefix[:n]) || bytes.ContainsFunc(rest[n:], notOfToken) {
			continue
		}
		return at
	}
	return len(text)
}

func notOfToken(c rune) bool {
	return (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_'
}
