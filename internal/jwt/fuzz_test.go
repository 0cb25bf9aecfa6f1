package jwt_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/jwt"
)

// No token is accepted whose header and claims were not signed, and each other gets an error.
func FuzzVerify(f *testing.F) {
	key := newKey(f, "1")
	good := []string{
		key.token(f, map[string]any{"exp": 1e11}),
		key.raw(`{"alg":"EdDSA","typ":"JWT"}`, text(f, claims(map[string]any{"exp": 1e11, "aud": []string{"a", audience}, "groups": "a b"}))),
	}
	for _, token := range good {
		f.Add(token)
		f.Add(token[:len(token)-1])
		f.Add(strings.ReplaceAll(token, ".", ".."))
	}
	f.Add(key.raw(`{"alg":"none"}`, `{"iss":"`+issuer+`"}`))
	f.Add(key.raw(`{"alg":"EdDSA","crit":["b64"],"b64":false}`, `{"iss":"`+issuer+`","exp":1e400,"aud":{}}`))
	f.Add(newKey(f, "1").token(f, nil))
	v := verifier(f, fromFile(f, keySet(f, key.public())))
	f.Fuzz(func(t *testing.T, token string) {
		got, err := v.Verify(token)
		if err != nil {
			if infer.CodeOf(err) != infer.Unauthenticated || infer.Message(err) == "" {
				t.Errorf("got %v", err)
			}
			return
		}
		for _, known := range good {
			if content(token) == content(known) && got.Subject == "ada" {
				return
			}
		}
		t.Errorf("accepted as %+v", got)
	})
}

// content returns the header and the claims without their encoding, which is not unique: decoders
// skip ends of lines and the unused bits of the last letter.
func content(token string) (text [2]string) {
	for i, part := range strings.SplitN(token, ".", 3)[:2] {
		decoded, _ := base64.RawURLEncoding.DecodeString(part)
		text[i] = string(decoded)
	}
	return text
}

// A key set of whatever text is refused, or has at least one key.
func FuzzKeys(f *testing.F) {
	vectors, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		f.Fatal(err)
	}
	key := newKey(f, "1")
	f.Add(string(vectors))
	f.Add(keySet(f, key.public()))
	f.Add(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"","y":""},{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`)
	f.Add(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","x5c":["AA"]}]}`)
	opts := fromFile(f, keySet(f, key.public()))
	f.Fuzz(func(t *testing.T, keys string) {
		opts := opts
		opts.KeysFile = t.TempDir() + "/keys.json"
		write(t, opts.KeysFile, keys)
		v, err := jwt.New(jwt.Options{Issuers: []jwt.Issuer{opts}, Logger: zap.NewNop()})
		if err != nil {
			wantError(t, err, infer.Invalid, "the file with its keys: ")
			return
		}
		if v.Stats()[0].Keys == 0 {
			t.Error("a set without keys is in use")
		}
		x := encode(key.key.Public().(ed25519.PublicKey))
		if _, err := v.Verify(key.token(t, nil)); err == nil && !strings.Contains(keys, x[:len(x)-1]) {
			t.Error("a token was accepted without its key")
		} else if err != nil && infer.CodeOf(err) != infer.Unauthenticated {
			t.Errorf("got %v", err)
		}
	})
}
