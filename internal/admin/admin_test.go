package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/access"
	"sluice.io/sluice/internal/testing/sideport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// control is a gateway with one model that has two versions.
type control struct {
	ready  error
	by     api.Actor // the actor of the last change
	change func(ctx context.Context, what, name string) error
}

func (c *control) Status() api.ServerStatus { return api.ServerStatus{Version: "1.0"} }

func (c *control) Config() map[string]any { return map[string]any{"data_dir": "d"} }
func (c *control) Ready() error           { return c.ready }
func (c *control) Models() []api.ModelStatus {
	return []api.ModelStatus{
		{Name: "iris", Version: 1, State: api.StateReady},
		{Name: "iris", Version: 2, State: api.StateReady},
		{Name: "a b", Version: 1, State: api.StateUnavailable, Reason: "unloaded"},
	}
}

func (c *control) do(ctx context.Context, what, name string) error {
	if c.change == nil {
		return nil
	}
	return c.change(ctx, what, name)
}

func (c *control) Load(ctx context.Context, name string, by api.Actor) error {
	c.by = by
	return c.do(ctx, "load", name)
}

func (c *control) Unload(ctx context.Context, name string, by api.Actor) error {
	c.by = by
	return c.do(ctx, "unload", name)
}

func (c *control) Reload(ctx context.Context, by api.Actor) (api.ReloadResult, error) {
	c.by = by
	return api.ReloadResult{Changed: []string{"iris version 2 loaded"}}, c.do(ctx, "reload", "")
}

// side is a running admin port.
type side struct {
	t        *testing.T
	server   *admin.Server
	control  *control
	routes   *routes
	signals  *signals
	versions *versions
	rollouts *rollouts
	logs     *observer.ObservedLogs
	asked    api.HistoryQuery // of the history
	books    *atomic.Pointer[callers.Book]
	url      string
	ended    chan error
}

// maxConnections is the limit of serve.
const maxConnections = 128

// serve starts an admin port. The test's cleanup shuts it down.
func serve(t *testing.T, address string, tokens map[string]string) *side {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	reg := prometheus.NewRegistry()
	up := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_up", Help: "One."})
	reg.MustRegister(up)
	s := &side{t: t, control: &control{}, routes: newRoutes(), signals: newSignals(), versions: &versions{}, rollouts: &rollouts{}, logs: logs, ended: make(chan error, 1)}
	var err error
	o := sideport.Options()
	o.Address, o.MaxConnections, o.Callers, o.Gatherer, o.Logger = address, maxConnections, access.Keys(tokens), reg, zap.New(core)
	o.Control, o.Routes, o.Drift, o.Labels, o.Capture, o.Infer = s.control, s.routes, s.signals, noLabels{}, noCapture{}, noInfer{}
	o.Versions, o.Aliases, o.Rollouts = s.versions, s.versions, s.rollouts
	s.books, o.History = o.Callers, histories{&s.asked}
	s.server, err = admin.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.server.Listen(); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(s.server.Addr().String(), "[::]"), ":")
	s.url = "http://127.0.0.1:" + port
	go func() { s.ended <- s.server.Run(context.Background()) }() // received in the cleanup
	t.Cleanup(func() {
		if err := s.server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-s.ended; err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

// answer is the answer to a request.
type answer struct {
	status int
	body   string
	header http.Header
}

// ask sends a request. header is a list of names and values. net/http treats "Host" specially.
func (s *side) ask(method, path string, body io.Reader, header ...string) answer {
	s.t.Helper()
	req := s.request(method, path, body)
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	return s.do(req)
}

func (s *side) request(method, path string, body io.Reader) *http.Request {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	return req
}

// do sends a request.
func (s *side) do(req *http.Request) answer {
	s.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		s.t.Fatal(err)
	}
	return answer{resp.StatusCode, string(text), resp.Header}
}

// expectError checks an answer that is not 2xx: its status, a part of its message, and that
// it is a JSON error.
func (s *side) expectError(got answer, status int, part string) {
	s.t.Helper()
	var doc api.Error
	if err := json.Unmarshal([]byte(got.body), &doc); err != nil || got.header.Get("Content-Type") != "application/json" {
		s.t.Errorf("%q of type %s is not a JSON error", got.body, got.header.Get("Content-Type"))
	}
	if got.status != status || !strings.Contains(doc.Error, part) {
		s.t.Errorf("got %d %q, want %d and %q", got.status, doc.Error, status, part)
	}
}

func TestEndpoints(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	f := func(method, path string, part string) {
		t.Helper()
		got := s.ask(method, path, nil)
		if got.status != http.StatusOK || !strings.Contains(got.body, part) {
			t.Errorf("%s %s = %d %q, want %q", method, path, got.status, got.body, part)
		}
	}
	f("GET", "/metrics", "sluice_up 0")
	f("GET", "/-/healthy", `{"healthy":true}`)
	f("GET", "/-/ready", `{"ready":true}`)
	f("HEAD", "/-/ready", "")
	f("POST", "/-/reload", `{"changed":["iris version 2 loaded"]}`)
	f("GET", "/api/v1/status", `"version":"1.0"`)
	f("GET", "/api/v1/config", `{"data_dir":"d"}`)
	f("GET", "/api/v1/models", `"name":"a b","version":1,"state":"UNAVAILABLE"`)
	f("GET", "/api/v1/models/iris", `[{"name":"iris","version":1,"state":"READY"},{"name":"iris","version":2,"state":"READY"}]`)
	f("GET", "/api/v1/models/a%20b", `"name":"a b"`)
	f("POST", "/api/v1/models/iris/load", `[{"name":"iris"`)
	f("POST", "/api/v1/models/iris/unload", `[{"name":"iris"`)
	f("GET", "/debug/pprof/", "goroutine")
	f("GET", "/debug/pprof/goroutine?debug=1", "goroutine profile")
	f("GET", "/debug/pprof/cmdline", "admin.test")
	f("POST", "/debug/pprof/symbol", "num_symbols")

	s.expectError(s.ask("GET", "/nowhere", nil), http.StatusNotFound, "/nowhere")
	s.expectError(s.ask("GET", "/api/v1/models/none", nil), http.StatusNotFound, "'none'")
	s.expectError(s.ask("POST", "/api/v1/models/a%2Fb/load", nil), http.StatusBadRequest, "'a/b'")
	wrong := s.ask("GET", "/-/reload", nil)
	s.expectError(wrong, http.StatusMethodNotAllowed, "use POST")
	if wrong.header.Get("Allow") != "POST" {
		t.Errorf("Allow is %q", wrong.header.Get("Allow"))
	}
	s.expectError(s.ask("DELETE", "/metrics", nil), http.StatusMethodNotAllowed, "use GET")
}

func TestNotReady(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	s.control.ready = infer.Errorf(infer.Unavailable, "models are still loading")
	got := s.ask("GET", "/-/ready", nil)
	s.expectError(got, http.StatusServiceUnavailable, "models are still loading")
	if got.header.Get("Retry-After") != "1" {
		t.Error("503 without Retry-After")
	}
	if got := s.ask("GET", "/-/healthy", nil); got.status != http.StatusOK {
		t.Errorf("healthy is %d while not ready", got.status)
	}
}

func TestTokens(t *testing.T) {
	s := serve(t, "127.0.0.1:0", map[string]string{"alice": "a-secret", "bob": "b-secret"})
	for _, open := range []string{"/metrics", "/-/healthy", "/-/ready", "/openapi.json", "/docs"} {
		if got := s.ask("GET", open, nil); got.status != http.StatusOK {
			t.Errorf("%s asks for a token: %d", open, got.status)
		}
	}
	for _, read := range []string{"/api/v1/models", "/api/v1/status", "/api/v1/drift"} {
		if got := s.ask("GET", read, nil); got.status != http.StatusOK { // as the data plane says it
			t.Errorf("%s asks for a token: %d", read, got.status)
		}
		s.expectError(s.ask("GET", read, nil, "Authorization", "Bearer a-secreT"), http.StatusUnauthorized, "not the key of a caller")
	}
	for _, closed := range []string{"/api/v1/config", "/debug/pprof/", "/debug/pprof/heap", "/api/v1/journal"} {
		missing := s.ask("GET", closed, nil)
		s.expectError(missing, http.StatusUnauthorized, "Authorization: Bearer")
		if missing.header.Get("WWW-Authenticate") == "" {
			t.Error("401 without WWW-Authenticate")
		}
		s.expectError(s.ask("GET", closed, nil, "Authorization", "Bearer a-secreT"), http.StatusUnauthorized, "not the key of a caller")
	}
	s.expectError(s.ask("GET", "/api/v1/models", nil, "Authorization", "Basic YTpi"), http.StatusUnauthorized, "Bearer")
	s.expectError(s.ask("GET", "/api/v1/models", nil, "Authorization", "Bearer"), http.StatusUnauthorized, "Bearer")
	s.expectError(s.ask("POST", "/-/reload", nil), http.StatusUnauthorized, "Bearer")
	for _, header := range []string{"Bearer a-secret", "bearer b-secret"} {
		// With a token, the name of the host does not matter.
		if got := s.ask("GET", "/api/v1/models", nil, "Authorization", header, "Host", "gateway.example"); got.status != http.StatusOK {
			t.Errorf("%q is refused: %d %s", header, got.status, got.body)
		}
	}
}

func TestOnlyOpenRoutesBeyondLoopback(t *testing.T) {
	s := serve(t, "0.0.0.0:0", nil)
	for _, open := range []string{"/metrics", "/-/healthy", "/-/ready", "/openapi.json", "/docs"} {
		if got := s.ask("GET", open, nil, "Host", "gateway.example"); got.status != http.StatusOK {
			t.Errorf("%s = %d", open, got.status)
		}
	}
	s.expectError(s.ask("GET", "/api/v1/models", nil), http.StatusForbidden, "admin.tokens")
	s.expectError(s.ask("POST", "/-/reload", nil), http.StatusForbidden, "admin.tokens")
	s.expectError(s.ask("GET", "/debug/pprof/", nil), http.StatusForbidden, "admin.tokens")
	if s.logs.FilterMessageSnippet("no callers are configured").Len() != 1 {
		t.Error("the log does not say that only some endpoints are served")
	}
	withToken := serve(t, "0.0.0.0:0", map[string]string{"alice": "a-secret"})
	s.expectError(withToken.ask("GET", "/api/v1/models", nil), http.StatusUnauthorized, "Authorization: Bearer")
	if got := withToken.ask("GET", "/api/v1/models", nil, "Authorization", "Bearer a-secret"); got.status != http.StatusOK {
		t.Errorf("a token is refused: %d", got.status)
	}
}

func TestWebPagesAreKeptOut(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	ok := func(header ...string) {
		t.Helper()
		if got := s.ask("POST", "/-/reload", nil, header...); got.status != http.StatusOK {
			t.Errorf("%v: %d %s", header, got.status, got.body)
		}
	}
	ok("Host", "localhost")
	ok("Host", "LocalHost:8002")
	ok("Host", "127.0.0.2:8002")
	ok("Host", "[::1]:8002")
	ok("Host", "[::1]")
	ok("Sec-Fetch-Site", "none")
	ok("Sec-Fetch-Site", "same-origin", "Host", "localhost:8002", "Origin", "http://localhost:8002")

	refused := func(part string, header ...string) {
		t.Helper()
		s.expectError(s.ask("POST", "/-/reload", nil, header...), http.StatusForbidden, part)
		s.expectError(s.ask("GET", "/debug/pprof/profile", nil, header...), http.StatusForbidden, part)
	}
	refused("evil.example", "Host", "evil.example:8002")
	refused("localhost.evil.example", "Host", "localhost.evil.example")
	refused("10.0.0.1", "Host", "10.0.0.1:8002")
	refused("site", "Sec-Fetch-Site", "cross-site")
	refused("site", "Sec-Fetch-Site", "same-site")
	refused("origin", "Origin", "https://evil.example")
	refused("origin", "Origin", "null")
	refused("origin", "Host", "localhost:8002", "Origin", "http://localhost:3000")
}

func TestErrorsOfControl(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	f := func(err error, status int, part string) answer {
		t.Helper()
		s.control.change = func(context.Context, string, string) error { return err }
		got := s.ask("POST", "/api/v1/models/iris/load", nil)
		s.expectError(got, status, part)
		return got
	}
	f(infer.Errorf(infer.Unavailable, "only under --model-control explicit"), http.StatusServiceUnavailable, "--model-control explicit")
	f(infer.Errorf(infer.NotFound, "no such model"), http.StatusNotFound, "no such model")
	f(infer.Errorf(infer.Conflict, "route 'x' names it"), http.StatusConflict, "route 'x'")
	f(context.DeadlineExceeded, http.StatusGatewayTimeout, "deadline")
	got := f(errors.New("open /srv/models: denied"), http.StatusInternalServerError, "internal error")
	if strings.Contains(got.body, "/srv") {
		t.Error("a path of the host is in the answer")
	}
	logged := s.logs.FilterMessage("request failed").FilterField(zap.String("request_id", got.header.Get("X-Request-Id")))
	if logged.Len() != 1 {
		t.Errorf("%d log entries under the answer's request id, want 1", logged.Len())
	}
	s.expectError(s.ask("POST", "/-/reload", nil), http.StatusInternalServerError, "internal error")
}

func TestPanicIsAnswered(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	s.control.change = func(context.Context, string, string) error { panic("BUG: test") }
	s.expectError(s.ask("POST", "/-/reload", nil), http.StatusInternalServerError, "internal error")
	if s.logs.FilterMessage("panic").Len() != 1 {
		t.Error("the panic was not logged")
	}
}

func TestChangesAreLoggedWithTheirActor(t *testing.T) {
	f := func(tokens map[string]string, header []string, want map[string]any) {
		t.Helper()
		s := serve(t, "127.0.0.1:0", tokens)
		if got := s.ask("POST", "/api/v1/models/iris/unload", nil, header...); got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
		entries := s.logs.FilterMessage("unload").All()
		if len(entries) != 1 {
			t.Fatalf("%d entries", len(entries))
		}
		got := entries[0].ContextMap()
		delete(got, "remote")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	f(nil, []string{"Sluice-Actor", "carol", "Sluice-Change-Reason", "too slow"},
		map[string]any{"model": "iris", "actor": "carol", "actor_verified": false, "reason": "too slow", "code": "ok"})
	f(map[string]string{"alice": "a-secret"}, []string{"Authorization", "Bearer a-secret", "Sluice-Actor", "carol"},
		map[string]any{"model": "iris", "actor": "alice", "actor_verified": true, "reason": "", "code": "ok"})
	f(nil, nil, map[string]any{"model": "iris", "actor": "anonymous", "actor_verified": false, "reason": "", "code": "ok"})
}
