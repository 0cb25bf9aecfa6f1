package jwt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/jwt"
)

func wantError(t testing.TB, err error, code infer.Code, message string) {
	t.Helper()
	if infer.CodeOf(err) != code || !strings.Contains(infer.Message(err), message) {
		t.Errorf("got %v: %v; want %v and %q", infer.CodeOf(err), err, code, message)
	}
}

// Tokens of other libraries, with each algorithm.
func TestVerifyVectors(t *testing.T) {
	content, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		JWKS   json.RawMessage
		Tokens []struct{ By, Alg, Token string }
	}
	if err := json.Unmarshal(content, &vectors); err != nil {
		t.Fatal(err)
	}
	opts := fromFile(t, string(vectors.JWKS))
	v := verifier(t, opts)
	if got := v.Stats()[0].Keys; got != 5 {
		t.Errorf("%d keys of the set can be used, want 5: those for signatures of known kinds", got)
	}
	if len(vectors.Tokens) != 2*len(opts.Algorithms) {
		t.Errorf("%d tokens, want 2 for each algorithm", len(vectors.Tokens))
	}
	for _, vector := range vectors.Tokens {
		got, err := v.Verify(vector.Token)
		if err != nil {
			t.Errorf("%s %s: %v", vector.By, vector.Alg, err)
			continue
		}
		want := jwt.Claims{Issuer: issuer, Subject: "ada", Groups: []string{"analysts", "on-call"}, Expires: got.Expires}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %s: %s", vector.By, vector.Alg, diff)
		}
		payload := strings.Split(vector.Token, ".")
		payload[1] = strings.Replace(payload[1], payload[1][40:41], string(payload[1][40]^1), 1)
		if _, err := v.Verify(strings.Join(payload, ".")); infer.CodeOf(err) != infer.Unauthenticated {
			t.Errorf("%s %s, changed: got %v", vector.By, vector.Alg, err)
		}
	}
}

// RFC 7515, appendices A.2 and A.3. Their tokens have no audience: the check after the signature.
func TestVerifyRFC7515(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // their end is in 2011; the time is 2000
		const payload = ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
		opts := fromFile(t, `{"keys": [
			{"kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"},
			{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`)
		opts.Name = "joe"
		v := verifier(t, opts)
		for _, parts := range [][2]string{
			{"eyJhbGciOiJSUzI1NiJ9", "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
			{"eyJhbGciOiJFUzI1NiJ9", "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
		} {
			_, err := v.Verify(parts[0] + payload + parts[1])
			wantRefused(t, err, "the token has no audience")
			_, err = v.Verify(parts[0] + payload + strings.Replace(parts[1], "w", "x", 1))
			wantRefused(t, err, "the signature of the token is not valid")
		}
	})
}

func TestVerifyChecksClaims(t *testing.T) {
	key := newKey(t, "1")
	v := verifier(t, fromFile(t, keySet(t, key.public())))
	for name, c := range map[string]struct {
		change  map[string]any
		message string
	}{
		"another issuer":      {map[string]any{"iss": "https://evil.example"}, "the issuer of the token"},
		"issuer with a slash": {map[string]any{"iss": issuer + "/"}, "the issuer of the token"},
		"no issuer":           {map[string]any{"iss": nil}, "the issuer of the token"},
		"another audience":    {map[string]any{"aud": []string{"other", "Sluice"}}, "the audience of the token"},
		"no audience":         {map[string]any{"aud": nil}, "the token has no audience"},
		"empty audience":      {map[string]any{"aud": []string{}}, "the token has no audience"},
		"audience of numbers": {map[string]any{"aud": []int{1}}, "has the wrong type"},
		"expired":             {map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}, "the token is expired"},
		"no end":              {map[string]any{"exp": nil}, "the token has no end"},
		"end as text":         {map[string]any{"exp": "4102444800"}, "has the wrong type"},
		"end too large":       {map[string]any{"exp": 1e300}, "has the wrong type"},
		"not yet valid":       {map[string]any{"nbf": time.Now().Add(time.Minute).Unix()}, "the token is not valid yet"},
		"no subject":          {map[string]any{"sub": nil}, "the token does not name its subject"},
		"empty subject":       {map[string]any{"sub": ""}, "the token does not name its subject"},
		"long subject":        {map[string]any{"sub": strings.Repeat("a", 256)}, "the token does not name its subject"},
		"subject of lines":    {map[string]any{"sub": "ada\nadmin"}, "the token does not name its subject"},
		"subject as number":   {map[string]any{"sub": 7}, "has the wrong type"},
		"groups as number":    {map[string]any{"groups": 7}, "the groups of the token"},
		"groups of numbers":   {map[string]any{"groups": []any{"analysts", 7}}, "the groups of the token"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v.Verify(key.token(t, c.change))
			wantRefused(t, err, c.message)
		})
	}
}

func TestVerifyTimes(t *testing.T) {
	key := newKey(t, "1")
	keys := keySet(t, key.public())
	synctest.Test(t, func(t *testing.T) {
		v := verifier(t, fromFile(t, keys))
		end := time.Now().Add(90 * time.Second)
		token := key.token(t, map[string]any{"exp": end.Unix(), "nbf": time.Now().Add(time.Minute).Unix()})
		_, err := v.Verify(token)
		wantRefused(t, err, "not valid yet")
		time.Sleep(30 * time.Second) // a minute less the leeway
		if _, err := v.Verify(token); err != nil {
			t.Error(err)
		}
		time.Sleep(90*time.Second - 1)
		got, err := v.Verify(token)
		if err != nil || !got.Expires.Equal(end.Add(30*time.Second)) {
			t.Errorf("got %v, %v; want the end and the leeway", got, err)
		}
		time.Sleep(time.Nanosecond)
		_, err = v.Verify(token)
		wantRefused(t, err, "the token is expired")
	})
}

func TestVerifyFindsNestedClaims(t *testing.T) {
	key := newKey(t, "1")
	opts := fromFile(t, keySet(t, key.public()))
	opts.SubjectClaim, opts.GroupsClaim = "https://idp.example/name", "realm_access.roles"
	v := verifier(t, opts)
	for name, c := range map[string]struct {
		change map[string]any
		want   []string
	}{
		"list":         {map[string]any{"realm_access": map[string]any{"roles": []string{"a", "b c"}}}, []string{"a", "b c"}},
		"text":         {map[string]any{"realm_access": map[string]any{"roles": "a b"}}, []string{"a", "b"}},
		"name of dots": {map[string]any{"realm_access.roles": []string{"a"}, "realm_access": map[string]any{"roles": "b"}}, []string{"a"}},
		"no object":    {map[string]any{"realm_access": []string{"roles"}}, nil},
		"none":         {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			change := map[string]any{"sub": nil, "https://idp.example/name": "ada lovelace"}
			maps.Copy(change, c.change)
			got, err := v.Verify(key.token(t, change))
			if err != nil || got.Subject != "ada lovelace" {
				t.Errorf("got %v, %v", got, err)
			}
			if diff := cmp.Diff(c.want, got.Groups); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestVerifyChecksHeader(t *testing.T) {
	key, other := newKey(t, "1"), newKey(t, "1")
	v := verifier(t, fromFile(t, keySet(t, key.public())))
	payload := text(t, claims(nil))
	embedded := text(t, other.public())
	for name, c := range map[string]struct{ token, message string }{
		"none":            {encode([]byte(`{"alg":"none","kid":"1"}`)) + "." + encode([]byte(payload)) + ".", "the algorithm of the token's signature"},
		"None":            {key.raw(`{"alg":"None","kid":"1"}`, payload), "the algorithm of the token's signature"},
		"no algorithm":    {key.raw(`{"kid":"1"}`, payload), "the algorithm of the token's signature"},
		"null algorithm":  {key.raw(`{"alg":null,"kid":"1"}`, payload), "the algorithm of the token's signature"},
		"wrong case":      {key.raw(`{"Alg":"EdDSA","kid":"1"}`, payload), "the algorithm of the token's signature"},
		"two algorithms":  {key.raw(`{"alg":"EdDSA","alg":"none","kid":"1"}`, payload), "not a valid JWT"},
		"escaped twin":    {key.raw(`{"alg":"EdDSA","\u0061lg":"none","kid":"1"}`, payload), "not a valid JWT"},
		"unknown key":     {key.raw(`{"alg":"EdDSA","kid":"2"}`, payload), "the token's key is not one of its issuer's"},
		"number as kid":   {key.raw(`{"alg":"EdDSA","kid":1}`, payload), "not a valid JWT"},
		"other's key":     {other.raw(`{"alg":"EdDSA","kid":"1"}`, payload), "the signature of the token is not valid"},
		"jwk":             {other.raw(`{"alg":"EdDSA","kid":"1","jwk":`+embedded+`}`, payload), "has 'jwk', which is not allowed"},
		"jku":             {key.raw(`{"alg":"EdDSA","kid":"1","jku":"https://evil.example"}`, payload), "has 'jku', which is not allowed"},
		"x5u":             {key.raw(`{"alg":"EdDSA","kid":"1","x5u":"https://evil.example"}`, payload), "has 'x5u', which is not allowed"},
		"x5c":             {key.raw(`{"alg":"EdDSA","kid":"1","x5c":[]}`, payload), "has 'x5c', which is not allowed"},
		"crit":            {key.raw(`{"alg":"EdDSA","kid":"1","crit":["exp"],"exp":1}`, payload), "has 'crit', which is not allowed"},
		"b64":             {key.raw(`{"alg":"EdDSA","kid":"1","b64":false}`, payload), "has 'b64', which is not allowed"},
		"zip":             {key.raw(`{"alg":"EdDSA","kid":"1","zip":"DEF"}`, payload), "has 'zip', which is not allowed"},
		"type of logouts": {key.raw(`{"alg":"EdDSA","kid":"1","typ":"logout+jwt"}`, payload), "the type of the token"},
		"type as number":  {key.raw(`{"alg":"EdDSA","kid":"1","typ":1}`, payload), "the type of the token"},
		"list":            {key.raw(`["EdDSA"]`, payload), "not a valid JWT"},
		"null":            {key.raw(`null`, payload), "not a valid JWT"},
		"two parts":       {encode([]byte(`{"alg":"EdDSA"}`)) + "." + encode([]byte(payload)), "not a valid JWT"},
		"four parts":      {key.token(t, nil) + ".x", "not a valid JWT"},
		"five parts":      {"eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..a.b.c", "has 'enc', which is not allowed"},
		"padding":         {strings.Replace(key.token(t, nil), ".", "=.", 1), "not a valid JWT"},
		"standard base64": {key.token(t, nil) + "+/", "not a valid JWT"},
		"too long":        {strings.Repeat("x", jwt.MaxTokenBytes+1), "expected at most 8192"},
		"empty":           {"", "not a valid JWT"},
		"dots":            {"..", "not a valid JWT"},
		"no claims":       {key.raw(`{"alg":"EdDSA","kid":"1"}`, ""), "the claims of the token are not"},
		"claims of null":  {key.raw(`{"alg":"EdDSA","kid":"1"}`, "null"), "the claims of the token are not"},
		"claims twice":    {key.raw(`{"alg":"EdDSA","kid":"1"}`, payload+payload), "the claims of the token are not"},
		"claim twice":     {key.raw(`{"alg":"EdDSA","kid":"1"}`, strings.Replace(payload, `"sub":"ada"`, `"sub":"ada","sub":"bob"`, 1)), "the claims of the token are not"},
		"deep claims":     {key.raw(`{"alg":"EdDSA","kid":"1"}`, strings.Repeat("[", 5000)), "the claims of the token are not"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v.Verify(c.token)
			wantRefused(t, err, c.message)
		})
	}
	for name, header := range map[string]string{
		"type of access tokens": `{"alg":"EdDSA","kid":"1","typ":"at+JWT"}`,
		"media type":            `{"alg":"EdDSA","kid":"1","typ":"application/jwt"}`,
		"no key, one fits":      `{"alg":"EdDSA"}`,
		"others":                `{"alg":"EdDSA","kid":"1","x5t":"AA","nonce":"n","new":{"a":[1]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := v.Verify(key.raw(header, payload)); err != nil {
				t.Error(err)
			}
		})
	}
}

// The public key of an issuer is known to all. It must not be taken for a shared secret, nor for
// a key of another algorithm.
func TestVerifyKeepsKindsOfKeysApart(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	opts := fromFile(t, keySet(t,
		jose.JSONWebKey{Key: private.Public(), KeyID: "1", Algorithm: "RS256", Use: "sig"}, jose.JSONWebKey{Key: ec.Public(), KeyID: "2"}))
	opts.Algorithms = []string{"RS256", "RS512", "ES384"}
	v := verifier(t, opts)
	payload := text(t, claims(nil))
	sign := func(algorithm jose.SignatureAlgorithm, id string) string {
		var key any = private
		if id == "2" {
			key = ec
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign([]byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		token, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	if _, err := v.Verify(sign(jose.RS256, "1")); err != nil {
		t.Error(err)
	}
	_, err = v.Verify(sign(jose.RS512, "1")) // the key says that it is for RS256
	wantRefused(t, err, "the token's key is not one of its issuer's for this algorithm")
	_, err = v.Verify(sign(jose.PS256, "1"))
	wantRefused(t, err, "the algorithm of the token's signature")
	_, err = v.Verify(sign(jose.ES256, "2"))
	wantRefused(t, err, "the algorithm of the token's signature")

	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]byte{der, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), private.N.Bytes()} {
		input := encode([]byte(`{"alg":"HS256","kid":"1"}`)) + "." + encode([]byte(payload))
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		_, err = v.Verify(input + "." + encode(mac.Sum(nil)))
		wantRefused(t, err, "the algorithm of the token's signature")
	}
}

// An algorithm of one issuer is not one of another.
func TestVerifyKeepsIssuersApart(t *testing.T) {
	key, other := newKey(t, "1"), newKey(t, "1")
	one, two := fromFile(t, keySet(t, key.public())), fromFile(t, keySet(t, other.public()))
	two.Name, two.Audience, two.Algorithms = "https://two.example", "two", []string{"ES256"}
	v := verifier(t, one, two)
	_, err := v.Verify(key.token(t, map[string]any{"iss": two.Name, "aud": "two"}))
	wantRefused(t, err, "the algorithm of the token's signature")
	_, err = v.Verify(other.token(t, nil))
	wantRefused(t, err, "the signature of the token is not valid")
	_, err = v.Verify(key.token(t, map[string]any{"aud": "two"}))
	wantRefused(t, err, "the audience of the token")
}

func TestVerifyWithoutKeyID(t *testing.T) {
	key, other := newKey(t, ""), newKey(t, "")
	token := key.raw(`{"alg":"EdDSA"}`, text(t, claims(nil)))
	v := verifier(t, fromFile(t, keySet(t, key.public())))
	if _, err := v.Verify(token); err != nil {
		t.Error(err)
	}
	v = verifier(t, fromFile(t, keySet(t, key.public(), other.public())))
	_, err := v.Verify(token)
	wantRefused(t, err, "the token does not name its key")
}

func TestVerifyWithoutIssuers(t *testing.T) {
	_, err := verifier(t).Verify(newKey(t, "1").token(t, nil))
	wantRefused(t, err, "no issuer is configured")
}
