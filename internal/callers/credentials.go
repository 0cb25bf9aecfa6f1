package callers

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Credentials are what a request shows of its caller.
type Credentials struct {
	Authorization []byte   // the value of that header; nil if it is absent
	Names         []string // of the client's verified certificate: see NamesOf
	Remote        net.Addr // whom the request comes from; nil: not known
}

// NamesOf returns the names in a verified certificate of a client: its URIs, DNS names and e-mail
// addresses. They are the same for all requests of a connection.
func NamesOf(leaf *x509.Certificate) []string {
	list := make([]string, 0, len(leaf.URIs)+len(leaf.DNSNames)+len(leaf.EmailAddresses))
	for _, u := range leaf.URIs {
		list = append(list, u.String())
	}
	return append(append(list, leaf.DNSNames...), leaf.EmailAddresses...)
}

// Key is the digest of a bearer key. Digests have equal lengths, and finding one in a map reveals
// nothing about others.
type Key [sha256.Size]byte

// KeyOf returns the digest of a key.
func KeyOf(key []byte) Key { return sha256.Sum256(key) }

// Claims are what a verified token (a JWT) says of its bearer.
type Claims struct {
	Issuer, Subject string
	Groups          []string
	Expires         time.Time
}

// Verifier verifies tokens. It never waits for the network. Its errors are *infer.Error.
type Verifier interface {
	Verify(token string) (Claims, error)
}

// Subject names the bearer of a token.
type Subject struct{ Issuer, Subject string }

// errUnknown is the cause of an error about credentials that were shown and not accepted.
var errUnknown = errors.New("the credentials are not accepted")

func unknown(text string) error {
	return &infer.Error{Code: infer.Unauthenticated, Msg: text, Err: errUnknown}
}

// Challenge returns the header WWW-Authenticate for an error of code Unauthenticated (RFC 6750, 3).
func Challenge(err error) string {
	const challenge = `Bearer realm="sluice"`
	if errors.Is(err, errUnknown) {
		return challenge + `, error="invalid_token"`
	}
	return challenge
}

// Identify returns the caller of a request. The error is Unauthenticated if it shows credentials
// that are not known, and that of the Verifier for a token, and Overloaded if too many tokens of its address were
// refused. A key takes precedence over a
// certificate. If no credentials are configured at all, those of a request are ignored, unless they are the token of a retraining.
func (b *Book) Identify(c Credentials) (*Caller, error) {
	if trainer := b.trainers.of(c.Authorization); trainer != nil {
		return trainer, nil
	}
	if c.Authorization != nil && b.credentialed {
		return b.bearer(&c)
	}
	if len(c.Names) == 0 || len(b.certificates) == 0 {
		return b.anonymous, nil
	}
	for _, name := range c.Names {
		if caller := b.certificates[name]; caller != nil {
			return caller, nil
		}
	}
	return nil, unknown("the client certificate has no name that a caller has in 'certificates'")
}

// bearer returns the caller of a key or a token.
func (b *Book) bearer(shows *Credentials) (*Caller, error) {
	authorization := shows.Authorization
	c, accepted := b.seen.get(authorization)
	if c != nil {
		return c, nil
	}
	scheme, shown, _ := bytes.Cut(authorization, []byte{' '})
	if shown = bytes.TrimSpace(shown); len(shown) == 0 || !bytes.EqualFold(scheme, []byte("Bearer")) {
		return nil, unknown("the header 'Authorization' is not valid: expected 'Authorization: Bearer KEY'")
	}
	digest := KeyOf(shown)
	if c := b.keys[digest]; c != nil {
		b.seen.put(authorization, c, time.Time{})
		return c, nil
	}
	if bytes.HasPrefix(shown, []byte(api.TrainerTokenPrefix)) {
		return nil, unknown("the token is that of a retraining that has ended, or that does not exist")
	}
	if b.verifier == nil || bytes.Count(shown, []byte{'.'}) != 2 {
		return nil, unknown("the key in the header 'Authorization' is not the key of a caller")
	}
	now, from := time.Now(), addressOf(shows.Remote)
	if !accepted {
		if err := b.refusals.check(digest, from, now); err != nil {
			return nil, err
		}
	}
	c, expires, err := b.token(string(shown))
	switch infer.CodeOf(err) {
	case infer.OK:
		b.seen.put(authorization, c, expires)
	case infer.Unauthenticated, infer.Forbidden:
		b.refusals.add(digest, from, err, now)
	default: // it may be accepted soon
	}
	return c, err
}

// rememberToken is how long a verified token is not verified again, so that a token whose key was
// withdrawn is noticed.
const rememberToken = time.Minute

// token returns the caller of a token, and when it must be verified again.
func (b *Book) token(token string) (*Caller, time.Time, error) {
	claims, err := b.verifier.Verify(token)
	if err != nil {
		if e, ok := errors.AsType[*infer.Error](err); ok && e.Code == infer.Unauthenticated {
			err = &infer.Error{Code: e.Code, Msg: e.Msg, Err: errors.Join(errUnknown, e.Err)}
		}
		return nil, time.Time{}, err
	}
	until := time.Now().Add(rememberToken)
	if claims.Expires.Before(until) {
		until = claims.Expires
	}
	c, err := b.claimed(&claims)
	return c, until, err
}
