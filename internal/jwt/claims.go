package jwt

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json"
	standard "github.com/go-jose/go-jose/v4/jwt"
)

const maxSubjectBytes = 255 // as in OpenID Connect Core, section 2

// Claims are what a verified token says.
type Claims struct {
	Issuer, Subject string
	Groups          []string
	Expires         time.Time // the time from which on the token is refused: its end and the leeway
}

// claims are the claims of a token, the standard ones and all by name.
type claims struct {
	standard.Claims
	all map[string]json.RawMessage
}

func parseClaims(payload []byte) (*claims, error) {
	var c claims
	if json.Unmarshal(payload, &c.all) != nil || c.all == nil {
		return nil, refused("the claims of the token are not a JSON object that has each name once")
	}
	if json.Unmarshal(payload, &c.Claims) != nil {
		return nil, refused("a claim of the token has the wrong type: expected text in 'iss' and 'sub', text or a list of texts in 'aud', and numbers in 'exp', 'nbf' and 'iat'")
	}
	return &c, nil
}

// check checks verified claims and returns those that count.
func (i *issuer) check(c *claims, now time.Time) (Claims, error) {
	var expires time.Time
	if c.Expiry != nil {
		expires = c.Expiry.Time().Add(i.Leeway)
	}
	switch {
	case len(c.Audience) == 0:
		return Claims{}, refused("the token has no audience (the claim 'aud')")
	case !c.Audience.Contains(i.Audience):
		return Claims{}, refused("the audience of the token (the claim 'aud') is not this gateway's")
	case c.Expiry == nil:
		return Claims{}, refused("the token has no end (the claim 'exp')")
	case !now.Before(expires):
		return Claims{}, refused("the token is expired")
	case c.NotBefore != nil && now.Before(c.NotBefore.Time().Add(-i.Leeway)):
		return Claims{}, refused("the token is not valid yet (the claim 'nbf')")
	}
	subject, ok := c.subject(i.SubjectClaim)
	if !ok {
		return Claims{}, refused("the token does not name its subject: expected printable text of 1 to %d bytes in the claim '%s'", maxSubjectBytes, i.SubjectClaim)
	}
	groups, ok := c.groups(i.GroupsClaim)
	if !ok {
		return Claims{}, refused("the groups of the token are not valid: expected names in the claim '%s', as a list or with blanks between them", i.GroupsClaim)
	}
	return Claims{Issuer: i.Name, Subject: subject, Groups: groups, Expires: expires}, nil
}

func (c *claims) subject(name string) (subject string, ok bool) {
	if json.Unmarshal(find(c.all, name), &subject) != nil || subject == "" || len(subject) > maxSubjectBytes {
		return "", false
	}
	return subject, !strings.ContainsFunc(subject, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) })
}

// groups returns the groups; a token without the claim has none.
func (c *claims) groups(name string) (list []string, ok bool) {
	text := find(c.all, name)
	if name == "" || text == nil {
		return nil, true
	}
	var joined string
	if json.Unmarshal(text, &joined) == nil {
		return strings.Fields(joined), true
	}
	return list, json.Unmarshal(text, &list) == nil
}

// find returns the claim of a name. If there is none, the first part of a name with dots leads into
// an object.
func find(in map[string]json.RawMessage, name string) json.RawMessage {
	if text, ok := in[name]; ok {
		return text
	}
	first, rest, ok := strings.Cut(name, ".")
	var inner map[string]json.RawMessage
	if !ok || json.Unmarshal(in[first], &inner) != nil {
		return nil
	}
	return find(inner, rest)
}
