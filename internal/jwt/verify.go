package jwt

import (
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // refuses objects that have a name twice

	"sluice.io/sluice/internal/infer"
)

// MaxTokenBytes is the max length of a token.
const MaxTokenBytes = 8 << 10

// forbidden are the names in a header that would bring a key, or change what is signed.
var forbidden = [...]string{"jwk", "jku", "x5c", "x5u", "crit", "b64", "zip", "enc", "cty"}

// Verify checks a token. It does not wait for keys. Messages say which check failed, and nothing
// of what the token holds. Errors: Unauthenticated; Unavailable if the issuer's keys were not
// loaded yet.
func (v *Verifier) Verify(token string) (Claims, error) {
	if len(token) > MaxTokenBytes {
		return Claims{}, refused("the token has %d bytes, expected at most %d", len(token), MaxTokenBytes)
	}
	t := v.trust.Load()
	if len(t.issuers) == 0 {
		return Claims{}, refused("tokens of this kind (JWT) are not accepted: no issuer is configured")
	}
	signed, err := parse(token, t.algorithms)
	if err != nil {
		return Claims{}, err
	}
	// The claims count only after the signature was checked. Before, the issuer's name finds the key.
	claims, err := parseClaims(signed.UnsafePayloadWithoutVerification())
	if err != nil {
		return Claims{}, err
	}
	i := t.issuers[claims.Issuer]
	if i == nil {
		return Claims{}, refused("the issuer of the token (the claim 'iss') is not one of those that are configured")
	}
	if err := i.checkSignature(signed); err != nil {
		return Claims{}, err
	}
	return i.check(claims, time.Now())
}

func refused(format string, args ...any) error {
	return infer.Errorf(infer.Unauthenticated, format, args...)
}

// parse reads the parts of a token. Its header may not ask for more than a check with one of the
// issuer's keys.
func parse(token string, algorithms []jose.SignatureAlgorithm) (*jose.JSONWebSignature, error) {
	invalid := refused("the token is not a valid JWT: expected three parts in base64url, joined by dots, with a JSON object in each of the first two")
	first, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return nil, invalid
	}
	var header map[string]json.RawMessage
	if json.Unmarshal(text, &header) != nil {
		return nil, invalid
	}
	for _, name := range forbidden {
		if _, ok := header[name]; ok {
			return nil, refused("the header of the token has '%s', which is not allowed", name)
		}
	}
	if !isAccessToken(header["typ"]) {
		return nil, refused("the type of the token (the header 'typ') is not allowed: expected JWT or at+jwt")
	}
	signed, err := jose.ParseSignedCompact(token, algorithms)
	if _, ok := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); ok {
		return nil, errAlgorithm()
	}
	if err != nil {
		return nil, invalid
	}
	return signed, nil
}

func errAlgorithm() error {
	return refused("the algorithm of the token's signature (the header 'alg') is not one of those that are allowed for its issuer")
}

// isAccessToken reports whether a header 'typ' is absent, or that of a token that tells who calls.
// Others, as those for a logout or of a proof, may have the same issuer, key and audience.
func isAccessToken(text json.RawMessage) bool {
	if text == nil {
		return true
	}
	var kind string
	if json.Unmarshal(text, &kind) != nil {
		return false
	}
	kind = strings.TrimPrefix(strings.ToLower(kind), "application/")
	return kind == "jwt" || kind == "at+jwt"
}

// checkSignature checks the signature with the issuer's key. If the issuer may have a new key, it
// asks for an early fetch.
func (i *issuer) checkSignature(signed *jose.JSONWebSignature) error {
	header := &signed.Signatures[0].Protected
	algorithm := jose.SignatureAlgorithm(header.Algorithm)
	if !i.allows(algorithm) {
		return errAlgorithm()
	}
	keys := i.keys.Load()
	if keys == nil {
		return &infer.Error{
			Code: infer.Unavailable, RetryAfter: firstRetry,
			Msg: "the keys of issuer '" + i.Name + "' are not loaded yet; try again in a few seconds",
		}
	}
	key, err := keys.pick(header.KeyID, algorithm)
	if err != nil {
		return err
	}
	if key == nil {
		i.fetchEarly()
		return refused("the token's key is not one of its issuer's for this algorithm; if the key is new, try again in a minute")
	}
	if _, err := signed.Verify(key); err != nil {
		return refused("the signature of the token is not valid")
	}
	return nil
}
