package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// The limits of a set of keys. Public issuers have up to ten keys, in 20 KiB.
const (
	maxKeysBytes = 256 << 10
	maxKeys      = 64
	minRSABits   = 2048 // RFC 7518, section 3.3; go-jose has the upper limit of 4096
)

// keySet is the public keys of an issuer. It does not change.
type keySet struct {
	keys    []jose.JSONWebKey
	skipped int // keys of the text that cannot be used
}

// parseKeys reads a JSON Web Key Set. It skips keys that it does not know or that are not for
// signatures, as RFC 7517 demands, and fails if no key is left.
func parseKeys(text []byte) (*keySet, error) {
	var list struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(text, &list); err != nil || list.Keys == nil {
		return nil, errors.New("expected a JSON Web Key Set: an object with a list 'keys'")
	}
	if len(list.Keys) > maxKeys {
		return nil, fmt.Errorf("the set has %d keys, expected at most %d", len(list.Keys), maxKeys)
	}
	set := &keySet{}
	for _, text := range list.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(text) != nil || kindOf(&key) == "" || key.Use != "" && key.Use != "sig" {
			set.skipped++
			continue
		}
		set.keys = append(set.keys, key)
	}
	if len(set.keys) == 0 {
		return nil, fmt.Errorf("none of the %d keys of the set can be used: expected public keys for signatures, RSA with %d to %d bits, EC or Ed25519",
			len(list.Keys), minRSABits, jose.MaxRSAModulusBits)
	}
	return set, nil
}

// kindOf returns the kind of a public key, or "" for one that cannot be used: a private key, a
// secret one, or one that is too short.
func kindOf(key *jose.JSONWebKey) string {
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSABits {
			return ""
		}
		return "RSA"
	case *ecdsa.PublicKey:
		return k.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	default:
		return ""
	}
}

// keyKind returns the kind of the keys of an algorithm, or "" if the algorithm may not be used.
func keyKind(algorithm jose.SignatureAlgorithm) string {
	switch algorithm {
	case jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512:
		return "RSA"
	case jose.ES256:
		return "P-256"
	case jose.ES384:
		return "P-384"
	case jose.ES512:
		return "P-521"
	case jose.EdDSA:
		return "Ed25519"
	default:
		return ""
	}
}

// pick returns the key with an id that is made for an algorithm, or nil if there is none. A token
// without an id may only mean the one key for its algorithm: trying several would take the time of
// all of them.
func (s *keySet) pick(id string, algorithm jose.SignatureAlgorithm) (found *jose.JSONWebKey, err error) {
	for n := range s.keys {
		key := &s.keys[n]
		if kindOf(key) != keyKind(algorithm) || key.Algorithm != "" && key.Algorithm != string(algorithm) || id != "" && id != key.KeyID {
			continue
		}
		if id != "" {
			return key, nil
		}
		if found != nil {
			return nil, refused("the token does not name its key, and its issuer has several: expected a header 'kid'")
		}
		found = key
	}
	return found, nil
}
