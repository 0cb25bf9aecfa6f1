package app_test

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"sluice.io/sluice/internal/testing/pki"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// said is everything that a gateway has said: its log and its answers.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// Sync implements zapcore.WriteSyncer.
func (*said) Sync() error { return nil }

// log returns a logger that writes everything.
func (s *said) log() *zap.Logger {
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewDevelopmentEncoderConfig()), s, zap.DebugLevel))
}

// has reports whether a text was said.
func (s *said) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Contains(s.text.Bytes(), []byte(text))
}

// request sends a request and takes the answer with its headers. header has names and values in turn.
func (s *said) request(t *testing.T, client *http.Client, method, url, body string, header ...string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if err := resp.Header.Write(s); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(s, resp.Body); err != nil {
		t.Fatal(err)
	}
}

// call calls both kinds of gRPC methods and takes the errors.
func (s *said) call(t *testing.T, address string, transport credentials.TransportCredentials, authorization string) {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing to lose
	client := pb.NewGRPCInferenceServiceClient(conn)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", authorization)
	_, err = client.ModelInfer(ctx, doubleInfer())
	_, _ = fmt.Fprintln(s, err)
	_, err = client.ModelMetadata(ctx, &pb.ModelMetadataRequest{Name: "nothing"})
	_, _ = fmt.Fprintln(s, err)
	_, err = client.RepositoryModelLoad(ctx, &pb.RepositoryModelLoadRequest{ModelName: "double"})
	_, _ = fmt.Fprintln(s, err)
	stream, err := client.ModelStreamInfer(ctx)
	if err == nil {
		_ = stream.Send(doubleInfer())
		_ = stream.CloseSend()
		_, err = stream.Recv()
	}
	_, _ = fmt.Fprintln(s, err)
}

// everywhere sends credentials to every listener, in good and in bad requests.
func (s *said) everywhere(t *testing.T, g *gateway, client *http.Client, transport credentials.TransportCredentials, key string) {
	t.Helper()
	shown := []string{"Bearer " + key, "bearer  " + key, "Basic " + key, key, "Bearer " + key + key, "Bearer " + key[:len(key)-1], "Bearer"}
	for _, authorization := range shown {
		for _, path := range []string{
			"/v2", "/v2/models/double", "/v2/models/nothing", "/v2/models/double/stats", "/v2/models/double/config", "/v2/logging", "/v1/models/double",
			"/nothing", "/v2/health/ready", "/v2/models/double?key=" + key, "/v2/models/" + strings.Repeat("x", 3000),
		} {
			s.request(t, client, http.MethodGet, g.url+path, "", "Authorization", authorization)
		}
		for path, body := range map[string]string{
			"/v2/models/double/infer": doubleRow, "/v2/models/nothing/infer": doubleRow, "/v2/models/double/generate": "{}", "/v2/models/double/versions/9/infer": "{",
			"/invocations": `{"instances":[[1,2,3]]}`, "/v2/repository/index": "{}", "/v2/repository/models/double/load": "{}", "/v2/trace/setting": "{}",
		} {
			s.request(t, client, http.MethodPost, g.url+path, body, "Authorization", authorization, "Sluice-Override", "9")
		}
		for _, path := range []string{
			"/-/healthy", "/-/ready", "/metrics", "/docs", "/openapi.json", "/api/v1/status", "/api/v1/config", "/api/v1/models", "/api/v1/models/double",
			"/api/v1/routes", "/api/v1/routes/double", "/api/v1/routes/double/stats", "/api/v1/journal", "/api/v1/journal/verify", "/api/v1/drift",
			"/api/v1/signals", "/api/v1/callers", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2", "/nothing",
		} {
			s.request(t, client, http.MethodGet, g.admin+path, "", "Authorization", authorization)
		}
		for path, body := range map[string]string{
			"/-/reload": "", "/api/v1/models/double/load": "", "/api/v1/models/nothing/unload": "", "/api/v1/signals/x/retry": "", "/api/v1/signals/x/close": "",
		} {
			s.request(t, client, http.MethodPost, g.admin+path, body, "Authorization", authorization, "Sluice-Change-Reason", "test")
		}
		s.request(t, client, http.MethodPut, g.admin+"/api/v1/routes/double", "{", "Authorization", authorization, "If-Match", "*")
		s.call(t, g.grpc, transport, authorization)
	}
	s.request(t, client, http.MethodGet, g.url+"/v2/models/double", "", "Authorization", "Bearer "+key, "Authorization", "Bearer "+key)
	s.request(t, client, http.MethodGet, g.admin+"/api/v1/status", "", "Authorization", "Bearer "+key, "Authorization", "Bearer "+key)
}

// check fails if the gateway has said one of the secrets.
func (s *said) check(t *testing.T, secrets map[string]string) {
	t.Helper()
	for name, secret := range secrets {
		for form, text := range map[string]string{"": secret, " in base64": base64.StdEncoding.EncodeToString([]byte(secret))} {
			if s.has(text) {
				i := strings.Index(s.text.String(), text)
				t.Errorf("the gateway has said the %s%s: …%s…", name, form, s.text.String()[max(0, i-200):i+len(text)])
			}
		}
	}
}

// Whatever a gateway is asked, it keeps its secrets, and those of its callers: in logs, answers,
// metrics and the journal, at the level debug.
func TestSecretsStaySecret(t *testing.T) {
	secrets := map[string]string{
		"admin token": "root-token-aaaaaaaa", "key of a caller": "billing-key-bbbbbbbb", "former key of a caller": "billing-key-cccccccc",
		"override token": "override-token-dddd", "webhook's secret": "webhook-secret-eeee",
	}
	for name, variable := range map[string]string{
		"admin token": "ROOT_TOKEN", "key of a caller": "BILLING_KEY", "former key of a caller": "FORMER_KEY", "override token": "OVERRIDE_TOKEN", "webhook's secret": "WEBHOOK_SECRET",
	} {
		t.Setenv(variable, secrets[name])
	}
	p := startIDP(t)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "busy", http.StatusInternalServerError) }))
	defer receiver.Close()
	d := newDrifts(t, 2)
	s := &said{}
	d.gateway = startLogging(t, s.log(), d.fakes, d.dir, d.compared(),
		"server.access_log: {sample_every: 1, max_errors: 1000000}", "admin.tokens: {root: '${ROOT_TOKEN}'}", fmt.Sprintf(`
auth: {jwt: [{issuer: %q, audience: sluice, jwks_url: "%s/keys"}]}
callers:
  billing: {keys: ['${BILLING_KEY}', '${FORMER_KEY}'], jwt: [{issuer: %q, subject: ada}], allow: [{models: [double], actions: [infer, metadata, route]}]}
  anonymous: {allow: [{models: ['*'], actions: [infer, metadata]}]}
routes: {double: {variants: [{version: 1, weight: 100%%}], override: {token: '${OVERRIDE_TOKEN}'}}}
retrain: {webhook: {url: '%s', secret: '${WEBHOOK_SECRET}'}}`,
			idpName, p.server.URL, idpName, receiver.URL))
	d.untilBearer(t, http.StatusOK, d.url+"/v2/models/double", p.token(t, nil))
	d.feed(t, "double", 4*driftRows, func(row []float64) { row[0] += 5 })
	for name, token := range map[string]string{
		"token": p.token(t, nil), "expired token": p.token(t, map[string]any{"exp": 1}), "token for others": p.token(t, map[string]any{"aud": "others"}),
	} {
		secrets[name] = strings.Split(token, ".")[2] // without it, the rest is of no use
		s.everywhere(t, d.gateway, http.DefaultClient, insecure.NewCredentials(), token)
	}
	for name, key := range secrets {
		if !strings.Contains(name, "token") || name == "admin token" || name == "override token" {
			s.everywhere(t, d.gateway, http.DefaultClient, insecure.NewCredentials(), key)
		}
	}
	// Reloads that are refused for a secret.
	secrets["short token"], secrets["short key"], secrets["passwords in URLs"] = "short-token", "short-key", "url-password-gggg"
	t.Setenv("ROOT_TOKEN", secrets["short token"])
	t.Setenv("BILLING_KEY", secrets["short key"])
	d.configure(t, d.dir, "admin.tokens: {root: '${ROOT_TOKEN}'}", `
auth: {jwt: [{issuer: a, audience: b, jwks_url: 'https://user:url-password-gggg@127.0.0.1/'}]}
callers: {billing: {keys: ['${BILLING_KEY}', former-key-in-the-file], allow: [{models: [double], actions: [infer]}]}}
retrain: {webhook: {url: 'http://user:url-password-gggg@127.0.0.1/', secret: '${WEBHOOK_SECRET}'}}`)
	secrets["key in the file"] = "former-key-in-the-file"
	s.request(t, http.DefaultClient, http.MethodPost, d.admin+"/-/reload", "", "Authorization", "Bearer root-token-aaaaaaaa")
	if !s.has("auth.jwt[0].jwks_url") || !s.has("callers.billing.keys[0]") {
		t.Error("the reload was not refused for the secrets")
	}
	if !s.has(`"caller":"billing"`) || !s.has("signal") {
		t.Error("the log does not have the requests of a caller, or no signal")
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	s.check(t, secrets)
}

// The same with TLS: the private key stays in its file.
func TestPrivateKeysStaySecret(t *testing.T) {
	ca, dir := pki.New(t), t.TempDir()
	pair := ca.Valid(t, "server")
	section := fmt.Sprintf("tls: {cert: %q, key: %q, client_ca: %q, client_auth: request}",
		pki.Write(t, dir, "cert.pem", pair.Cert), pki.Write(t, dir, "key.pem", pair.Key), pki.Write(t, dir, "ca.pem", ca.PEM))
	t.Setenv("BILLING_KEY", "billing-key-bbbbbbbb")
	s := &said{}
	g := launch(t, s.log(), &fakes{}, doubles(t, 1), "http."+section, "server.access_log: {sample_every: 1}", "admin."+section,
		"callers: {billing: {keys: ['${BILLING_KEY}'], allow: [{models: ['*'], actions: [infer, metadata, admin]}]}}")
	g.url, g.admin = strings.Replace(g.url, "http:", "https:", 1), strings.Replace(g.admin, "http:", "https:", 1)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: ca.Client(t)}}
	t.Cleanup(client.CloseIdleConnections)
	eventually(t, func() bool { return s.has("listening") }) // the log is what this test reads
	s.everywhere(t, g, client, credentials.NewTLS(ca.Client(t)), "billing-key-bbbbbbbb")
	pki.Write(t, dir, "key.pem", bytes.Replace(pair.Key, []byte("A"), []byte("!"), 1)) // a broken one
	s.request(t, client, http.MethodPost, g.admin+"/-/reload", "", "Authorization", "Bearer billing-key-bbbbbbbb")
	if conn, err := tls.Dial("tcp", g.http, &tls.Config{MaxVersion: tls.VersionTLS11}); err == nil { //nolint:gosec // it has to fail
		_ = conn.Close()
		t.Error("TLS 1.1 was accepted")
	}
	secrets := map[string]string{"key of a caller": "billing-key-bbbbbbbb"}
	for n, line := range strings.Split(string(pair.Key), "\n") {
		if len(line) > 20 && !strings.HasPrefix(line, "-----") {
			secrets[fmt.Sprintf("line %d of the private key", n)] = line
		}
	}
	s.check(t, secrets)
}
