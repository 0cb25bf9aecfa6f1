package app_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

const idpName = "https://idp.example"

// idp is an issuer of tokens with a server for its keys.
type idp struct {
	server *httptest.Server
	key    atomic.Pointer[idpKey]
	hangs  atomic.Bool
}

type idpKey struct {
	id  string
	key ed25519.PrivateKey
}

func startIDP(t *testing.T) *idp {
	t.Helper()
	p := &idp{}
	p.rotate(t, "1")
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.hangs.Load() {
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, p.keys())
	}))
	t.Cleanup(p.server.Close)
	return p
}

// rotate replaces the key by a new one.
func (p *idp) rotate(t *testing.T, id string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	p.key.Store(&idpKey{id, key})
}

// keys returns the key set.
func (p *idp) keys() string {
	k := p.key.Load()
	return fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","use":"sig","kid":%q,"x":%q}]}`, k.id,
		base64.RawURLEncoding.EncodeToString(k.key.Public().(ed25519.PublicKey)))
}

// token returns a token of ada that is valid, with changes.
func (p *idp) token(t testing.TB, change map[string]any) string {
	t.Helper()
	k := p.key.Load()
	return p.signed(t, fmt.Sprintf(`{"alg":"EdDSA","typ":"JWT","kid":%q}`, k.id), change)
}

func (p *idp) signed(t testing.TB, header string, change map[string]any) string {
	t.Helper()
	claims := map[string]any{"iss": idpName, "aud": "sluice", "sub": "ada", "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(claims, change)
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	return input + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(p.key.Load().key, []byte(input)))
}

// settings returns those of a gateway that knows the issuer, by a setting for its keys.
func (p *idp) settings(keys string) string {
	return fmt.Sprintf(`
auth: {required: true, jwt: [{issuer: %q, audience: sluice, %s}]}
groups: {readers: {allow: [{models: ['*'], actions: [metadata]}]}}
callers: {ada: {jwt: [{issuer: %q, subject: ada}], allow: [{models: [double], actions: [infer, metadata, load, route]}]}}`, idpName, keys, idpName)
}

func (p *idp) url() string { return "jwks_url: '" + p.server.URL + "/keys'" }

// bearer sends a request with a token, and returns the answer's status and body.
func (g *gateway) bearer(t testing.TB, method, url, token, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// untilBearer waits until a request with a token gets a status.
func (g *gateway) untilBearer(t testing.TB, want int, url, token string) {
	t.Helper()
	for range 3000 {
		if got, _ := g.bearer(t, http.MethodGet, url, token, ""); got == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s was never answered %d", url, want)
}

const doubleRow = `{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}]}`

// Each listener decides in the same way about a token, and says the same.
func TestTokens(t *testing.T) {
	p, other := startIDP(t), startIDP(t)
	g := startOn(t, &fakes{}, doubles(t, 1), p.settings(p.url()))
	g.untilBearer(t, http.StatusOK, g.url+"/v2/models/double", p.token(t, nil))
	grpc := dialGRPC(t, g)
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(p.token(t, nil), ".")[1] + "."
	for name, c := range map[string]struct {
		token   string
		status  int
		code    codes.Code
		message string
	}{
		"good":              {p.token(t, nil), http.StatusOK, codes.OK, ""},
		"several audiences": {p.token(t, map[string]any{"aud": []string{"other", "sluice"}}), http.StatusOK, codes.OK, ""},
		"wrong audience":    {p.token(t, map[string]any{"aud": "other"}), http.StatusUnauthorized, codes.Unauthenticated, "the audience of the token"},
		"expired":           {p.token(t, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), http.StatusUnauthorized, codes.Unauthenticated, "the token is expired"},
		"not yet valid":     {p.token(t, map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}), http.StatusUnauthorized, codes.Unauthenticated, "the token is not valid yet"},
		"alg none":          {none, http.StatusUnauthorized, codes.Unauthenticated, "the algorithm of the token"},
		"other's key":       {other.token(t, nil), http.StatusUnauthorized, codes.Unauthenticated, "the signature of the token"},
		"other issuer":      {other.token(t, map[string]any{"iss": "https://other.example"}), http.StatusUnauthorized, codes.Unauthenticated, "the issuer of the token"},
		"group":             {p.token(t, map[string]any{"sub": "bob", "groups": []string{"readers"}}), http.StatusForbidden, codes.PermissionDenied, "it needs the action 'infer'"},
		"stranger":          {p.token(t, map[string]any{"sub": "eve"}), http.StatusForbidden, codes.PermissionDenied, "neither its subject nor one of its groups"},
		"anonymous by name": {p.token(t, map[string]any{"sub": "anonymous"}), http.StatusForbidden, codes.PermissionDenied, "neither its subject nor one of its groups"},
	} {
		t.Run(name, func(t *testing.T) {
			got, text := g.bearer(t, http.MethodPost, g.url+"/v2/models/double/infer", c.token, doubleRow)
			if got != c.status || !strings.Contains(text, c.message) {
				t.Errorf("HTTP: %d %s", got, text)
			}
			ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+c.token)
			_, err := grpc.ModelInfer(ctx, doubleInfer())
			if status.Code(err) != c.code || !strings.Contains(fmt.Sprint(err), c.message) {
				t.Errorf("gRPC: %v", err)
			}
			got, text = g.bearer(t, http.MethodPost, g.admin+"/api/v1/models/double/load", c.token, "")
			if wrong := got == http.StatusUnauthorized || got == http.StatusForbidden; wrong != (c.status != http.StatusOK) || wrong && got != c.status {
				t.Errorf("admin: %d %s", got, text)
			}
		})
	}
	if got, text := g.bearer(t, http.MethodGet, g.url+"/v2/models/double", p.token(t, map[string]any{"sub": "bob", "groups": "readers"}), ""); got != http.StatusOK {
		t.Errorf("metadata by a group: %d %s", got, text)
	}
}

func doubleInfer() *pb.ModelInferRequest {
	return &pb.ModelInferRequest{ModelName: "double", Inputs: []*pb.ModelInferRequest_InferInputTensor{{
		Name: "x", Datatype: "FP32", Shape: []int64{1, 3}, Contents: &pb.InferTensorContents{Fp32Contents: []float32{1, 2, 3}},
	}}}
}

// A server that hangs refuses nobody whose key is known; before the first keys, callers are told to
// come back. A new key is found without a restart.
func TestTokensWithoutTheirServer(t *testing.T) {
	p := startIDP(t)
	p.hangs.Store(true)
	g := startOn(t, &fakes{}, doubles(t, 1), p.settings(p.url()))
	path := g.url + "/v2/models/double"
	got, text := g.bearer(t, http.MethodGet, path, p.token(t, nil), "")
	if got != http.StatusServiceUnavailable || !strings.Contains(text, "are not loaded yet") {
		t.Errorf("before the keys are loaded: %d %s", got, text)
	}
	_, err := dialGRPC(t, g).ModelInfer(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+p.token(t, nil)), doubleInfer())
	if status.Code(err) != codes.Unavailable {
		t.Errorf("gRPC, before the keys are loaded: %v", err)
	}
	p.hangs.Store(false)
	p.server.CloseClientConnections() // else the fetch in progress waits for its limit
	g.untilBearer(t, http.StatusOK, path, p.token(t, nil))

	unseen := p.token(t, map[string]any{"jti": "old"})
	p.rotate(t, "2")
	g.untilBearer(t, http.StatusOK, path, p.token(t, nil))
	if got, text := g.bearer(t, http.MethodGet, path, unseen, ""); got != http.StatusUnauthorized {
		t.Errorf("with a key that the issuer has withdrawn: %d %s", got, text)
	}
	p.hangs.Store(true)
	if got, text := g.bearer(t, http.MethodGet, path, p.token(t, map[string]any{"jti": "new"}), ""); got != http.StatusOK {
		t.Errorf("while the server hangs: %d %s", got, text)
	}
}

// A reload adds and removes issuers. One with a file that cannot be used is refused as a whole.
func TestReloadChangesIssuers(t *testing.T) {
	p := startIDP(t)
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, []byte(p.keys()), 0o600); err != nil {
		t.Fatal(err)
	}
	repository := doubles(t, 1)
	const root = "callers: {root: {keys: ['${ROOT_KEY}'], allow: [{models: ['*'], actions: [admin, metadata]}]}}"
	t.Setenv("ROOT_KEY", "root-key-0123456789")
	g := startOn(t, &fakes{}, repository, root)
	reload := func(want int, yaml string) string {
		t.Helper()
		g.configure(t, repository, yaml)
		got, text := g.bearer(t, http.MethodPost, g.admin+"/-/reload", "root-key-0123456789", "")
		if got != want {
			t.Fatalf("reload: %d %s", got, text)
		}
		return text
	}
	with := func(file string) string {
		return fmt.Sprintf("%s\nauth: {jwt: [{issuer: %q, audience: sluice, jwks_file: %q}]}\ngroups: {readers: {allow: [{models: ['*'], actions: [metadata]}]}}", root, idpName, file)
	}
	path := g.url + "/v2/models/double"
	token := p.token(t, map[string]any{"groups": []string{"readers"}})
	if got, _ := g.bearer(t, http.MethodGet, path, token, ""); got != http.StatusUnauthorized {
		t.Errorf("without an issuer: %d", got)
	}
	reload(http.StatusOK, with(file))
	if series := g.must(t, http.MethodGet, g.admin+"/metrics", ""); !strings.Contains(series, `sluice_jwt_keys{issuer="https://idp.example"} 1`) {
		t.Error("the metrics do not have the issuer's keys")
	}
	if got, text := g.bearer(t, http.MethodGet, path, token, ""); got != http.StatusOK {
		t.Errorf("with the issuer: %d %s", got, text)
	}
	text := reload(http.StatusBadRequest, with(g.file))
	if !strings.Contains(text, "auth.jwt[0].jwks_file: expected a JSON Web Key Set") || strings.Contains(text, g.file) {
		t.Errorf("the refusal says %s", text)
	}
	if got, text := g.bearer(t, http.MethodGet, path, token, ""); got != http.StatusOK {
		t.Errorf("after a refused reload: %d %s", got, text)
	}
	reload(http.StatusOK, root)
	if got, _ := g.bearer(t, http.MethodGet, path, token, ""); got != http.StatusUnauthorized {
		t.Errorf("after the issuer was removed: %d", got)
	}
	if _, text := g.call(t, http.MethodGet, g.admin+"/metrics", ""); strings.Contains(text, "sluice_jwt_keys") {
		t.Error("the metrics still have the issuer that was removed")
	}
}
