package jwt_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/jwt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	issuer   = "https://issuer.example"
	audience = "sluice"
)

// claims are those of a token that is accepted, with changes; nil takes a claim away.
func claims(change map[string]any) map[string]any {
	c := map[string]any{
		"iss": issuer, "sub": "ada", "aud": audience, "exp": time.Now().Add(time.Hour).Unix(), "nbf": time.Now().Unix(),
		"groups": []string{"analysts"},
	}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// edKey is an Ed25519 key with an id.
type edKey struct {
	id  string
	key ed25519.PrivateKey
}

func newKey(t testing.TB, id string) edKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return edKey{id, key}
}

func encode(text []byte) string { return base64.RawURLEncoding.EncodeToString(text) }

// raw signs a header and a payload as they are.
func (k edKey) raw(header, payload string) string {
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	return input + "." + encode(ed25519.Sign(k.key, []byte(input)))
}

func (k edKey) token(t testing.TB, change map[string]any) string {
	t.Helper()
	return k.raw(`{"alg":"EdDSA","kid":"`+k.id+`"}`, text(t, claims(change)))
}

func (k edKey) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.key.Public(), KeyID: k.id}
}

func text(t testing.TB, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func keySet(t testing.TB, keys ...jose.JSONWebKey) string {
	t.Helper()
	return text(t, jose.JSONWebKeySet{Keys: keys})
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// everything is all algorithms.
func everything() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// fromFile returns the options of an issuer whose keys are in a file.
func fromFile(t testing.TB, keys string) jwt.Issuer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.json")
	write(t, path, keys)
	return jwt.Issuer{
		Name: issuer, Audience: audience, KeysFile: path, SubjectClaim: "sub", GroupsClaim: "groups", Algorithms: everything(), Leeway: 30 * time.Second,
	}
}

func verifier(t testing.TB, issuers ...jwt.Issuer) *jwt.Verifier {
	t.Helper()
	v, err := jwt.New(jwt.Options{Issuers: issuers, Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// wantRefused checks that an error is of code Unauthenticated with a message.
func wantRefused(t testing.TB, err error, message string) {
	t.Helper()
	wantError(t, err, infer.Unauthenticated, message)
}
