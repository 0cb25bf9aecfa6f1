package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/wire/grpcapi"
	"sluice.io/sluice/internal/wire/httpapi"
)

// accessOf says what each endpoint needs, apart from the code: the action, and whether it is about
// one model, some, or every one. An endpoint that is not here fails the matrix.
var accessOf = map[string]string{
	"HTTP GET /v2/health/live": "open", "HTTP GET /v2/health/ready": "open", "HTTP GET /ping": "open", "HTTP GET /": "open",
	"HTTP GET /openapi.json": "metadata document", "HTTP GET /v2": "metadata some", "HTTP POST /v2/repository/index": "metadata some", "HTTP GET /v1/models": "metadata some",
	"HTTP GET /v2/models/{model}": "metadata model", "HTTP GET /v2/models/{model}/ready": "metadata model", "HTTP GET /v2/models/{model}/config": "metadata model",
	"HTTP GET /v1/models/{model}": "metadata model", "HTTP GET /v1/models/{model}/metadata": "metadata model", "HTTP GET /v2/systemsharedmemory/status": "metadata some",
	"HTTP GET /v2/models/stats": "statistics some", "HTTP GET /v2/models/{model}/stats": "statistics model",
	"HTTP POST /v2/models/{model}/infer": "infer model", "HTTP POST /v2/models/{model}/predict": "infer model", "HTTP POST /v1/models/{model}:predict": "infer model",
	"HTTP POST /v2/systemsharedmemory/region/{region}/register": "infer some", "HTTP POST /v2/systemsharedmemory/unregister": "infer some",
	"HTTP POST /invocations":                         "infer double", // the only model
	"HTTP POST /v2/models/{model}/labels":            "label model",
	"HTTP GET /v2/trace/setting":                     "metadata some",
	"HTTP GET /v2/models/{model}/trace/setting":      "metadata model",
	"HTTP GET /v2/logging":                           "metadata some",
	"HTTP POST /v2/trace/setting":                    "admin every",
	"HTTP POST /v2/models/{model}/trace/setting":     "admin every",
	"HTTP POST /v2/logging":                          "admin every",
	"HTTP POST /v2/repository/models/{model}/load":   "load model",
	"HTTP POST /v2/repository/models/{model}/unload": "load model",

	"gRPC ServerLive": "open", "gRPC ServerReady": "open", "gRPC Check": "open", "gRPC List": "open", "gRPC Watch": "open",
	"gRPC ServerMetadata": "metadata some", "gRPC RepositoryIndex": "metadata some", "gRPC ServerReflectionInfo": "metadata some",
	"gRPC ModelReady": "metadata model", "gRPC ModelMetadata": "metadata model", "gRPC ModelConfig": "metadata model",
	"gRPC TraceSetting": "metadata model", "gRPC LogSettings": "metadata some", "gRPC SystemSharedMemoryStatus": "metadata some", "gRPC CudaSharedMemoryStatus": "metadata some",
	"gRPC ModelStatistics": "statistics model", "gRPC ModelInfer": "infer model", "gRPC ModelStreamInfer": "infer some",
	"gRPC SystemSharedMemoryRegister": "infer some", "gRPC CudaSharedMemoryRegister": "infer some",
	"gRPC SystemSharedMemoryUnregister": "infer some", "gRPC CudaSharedMemoryUnregister": "infer some",
	"gRPC Send":                "label model",
	"gRPC RepositoryModelLoad": "load model", "gRPC RepositoryModelUnload": "load model",

	"admin GET /-/healthy": "open", "admin GET /{$}": "open", "admin GET /assets/{file}": "open", "admin GET /metrics": "statistics metrics", "admin GET /-/ready": "statistics metrics",
	"admin GET /openapi.json": "metadata document", "admin GET /docs": "metadata document",
	"admin GET /api/v1/session": "any known", "admin POST /api/v1/session": "any known", "admin DELETE /api/v1/session": "any known",
	"admin GET /api/v1/status": "metadata some", "admin GET /api/v1/models": "metadata some", "admin GET /api/v1/routes": "metadata some", "admin /": "metadata some",
	"admin GET /api/v1/models/{name}": "metadata model", "admin GET /api/v1/routes/{name}": "metadata model",
	"admin GET /api/v1/routes/{name}/stats": "statistics model", "admin GET /api/v1/routes/{name}/shadows": "statistics model", "admin GET /api/v1/drift/{model}": "statistics model", "admin GET /api/v1/drift/{model}/report": "statistics model", "admin GET /api/v1/drift": "statistics some",
	"admin GET /api/v1/history": "statistics some",
	"admin GET /api/v1/labels":  "statistics some", "admin GET /api/v1/labels/{model}": "statistics model",
	"admin GET /api/v1/capture": "capture some", "admin GET /api/v1/capture/{model}": "capture model",
	"admin GET /api/v1/capture/{model}/export": "capture model", "admin DELETE /api/v1/capture/{model}": "capture model",
	"admin GET /api/v1/signals": "statistics some", "admin GET /api/v1/signals/{id}": "statistics some",
	"admin POST /api/v1/signals/{id}/retry": "signal some", "admin POST /api/v1/signals/{id}/close": "signal some",
	"admin GET /api/v1/retrainings": "statistics some", "admin POST /api/v1/models/{name}/retrain": "signal model",
	"admin GET /api/v1/models/{name}/retrain/simulation": "statistics model",
	"admin GET /api/v1/signals/{id}/retraining":          "statistics some", "admin GET /api/v1/signals/{id}/training": "signal some", "admin GET /api/v1/signals/{id}/log": "signal some",
	"admin POST /api/v1/signals/{id}/progress": "signal some", "admin POST /api/v1/signals/{id}/fail": "signal some", "admin POST /api/v1/signals/{id}/cancel": "signal some",
	"admin GET /api/v1/retrain": "statistics some", "admin GET /api/v1/retrain/{id}": "statistics some",
	"admin POST /api/v1/retrain/{id}/retry": "signal some", "admin POST /api/v1/retrain/{id}/close": "signal some",
	"admin POST /api/v1/models/{name}/load": "load model", "admin POST /api/v1/models/{name}/unload": "load model",
	"admin GET /api/v1/models/{name}/versions": "metadata model", "admin GET /api/v1/models/{name}/versions/{version}": "metadata model",
	"admin POST /api/v1/models/{name}/versions": "register model", "admin PUT /api/v1/models/{name}/versions/{version}": "register model",
	"admin PATCH /api/v1/models/{name}/versions/{version}":        "register model",
	"admin DELETE /api/v1/models/{name}/versions/{version}":       "register model",
	"admin POST /api/v1/models/{name}/versions/{version}/archive": "register model", "admin POST /api/v1/models/{name}/versions/{version}/restore": "register model",
	"admin POST /api/v1/models/{name}/versions/{version}/infer": "infer model", "admin POST /api/v1/models/{name}/infer": "infer model",
	"admin GET /api/v1/models/{name}/aliases": "metadata model", "admin GET /api/v1/models/{name}/aliases/{alias}": "metadata model",
	"admin PUT /api/v1/models/{name}/aliases/{alias}": "route model", "admin DELETE /api/v1/models/{name}/aliases/{alias}": "route model",
	"admin PUT /api/v1/routes/{name}": "route model", "admin DELETE /api/v1/routes/{name}": "route model",
	"admin GET /api/v1/rollouts": "metadata some", "admin GET /api/v1/rollouts/{name}": "metadata model", "admin GET /api/v1/rollouts/{name}/history": "metadata model",
	"admin POST /api/v1/rollouts": "rollout some", "admin POST /api/v1/rollouts/plan": "rollout some", "admin POST /api/v1/rollouts/{name}/approve": "approve model",
	"admin POST /api/v1/rollouts/{name}/pause": "rollout model", "admin POST /api/v1/rollouts/{name}/resume": "rollout model",
	"admin POST /api/v1/rollouts/{name}/promote": "rollout model", "admin POST /api/v1/rollouts/{name}/abort": "rollout model",
	"admin POST /api/v1/rollouts/{name}/unfreeze": "rollout model",
	"admin POST /-/reload":                        "admin every", "admin GET /api/v1/config": "admin every", "admin GET /api/v1/callers": "admin every", "admin GET /api/v1/callers/{name}": "admin every",
	"admin GET /api/v1/watch":   "metadata some", // its parameters need more
	"admin GET /api/v1/journal": "admin every", "admin GET /api/v1/journal/verify": "admin every", "admin GET /api/v1/journal/export": "admin every",
	"admin GET /debug/pprof/": "admin every", "admin GET /debug/pprof/cmdline": "admin every", "admin GET /debug/pprof/profile": "admin every",
	"admin GET /debug/pprof/trace": "admin every", "admin /debug/pprof/symbol": "admin every",
}

// asker is somebody who sends requests.
type asker struct {
	name          string
	authorization string            // "" for none
	may           map[string]string // the models of each action: a name, or "*"
	unknown       bool              // the credentials are not known
}

func (a *asker) can(action, model string) bool { return a.may[action] == "*" || a.may[action] == model }

// verdict says whether an asker may use an endpoint: 200 for yes, 401 or 403.
func (a *asker) verdict(access, model string, o matrix) int {
	var allowed bool
	action, scope, _ := strings.Cut(access, " ")
	switch scope {
	case "": // open
		return http.StatusOK
	case "metrics":
		if !o.private {
			return http.StatusOK
		}
		allowed = a.may[action] != ""
	case "document":
		if !o.required {
			return http.StatusOK
		}
		allowed = a.may[action] != ""
	case "known":
		return map[bool]int{true: http.StatusUnauthorized, false: http.StatusOK}[a.unknown]
	case "some":
		allowed = a.may[action] != ""
	case "every":
		allowed = a.may[action] == "*"
	case "model":
		allowed = a.can(action, model)
	default:
		allowed = a.can(action, scope)
	}
	switch {
	case a.unknown:
		return http.StatusUnauthorized
	case allowed:
		return http.StatusOK
	case a.authorization == "":
		return http.StatusUnauthorized
	default:
		return http.StatusForbidden
	}
}

// matrix is a configuration, and who asks.
type matrix struct {
	yaml              []string
	required, private bool
	open              bool // nobody is configured
	askers            []asker
	secrets           []string
}

func allActions(models string) map[string]string {
	may := map[string]string{}
	for _, action := range callers.ActionNames() {
		may[action] = models
	}
	return may
}

// withCallers is a matrix with a caller for each action, and all other kinds of callers.
func withCallers() matrix {
	const root, override, nobody = "root-token-of-the-gateway", "override-token-of-double", "key-that-nobody-has-00"
	m := matrix{secrets: []string{root, override}}
	var entries strings.Builder
	add := func(name string, allow, models string, may map[string]string) {
		key := "key-of-" + name + "-0123456789"
		m.secrets = append(m.secrets, key, strings.TrimPrefix(config.HashKey(key), "sha256:"))
		fmt.Fprintf(&entries, "  %s: {keys: [%q], allow: [{models: [%q], actions: [%s]}]}\n", name, config.HashKey(key), models, allow)
		m.askers = append(m.askers, asker{name: name, authorization: "Bearer " + key, may: may})
	}
	for _, action := range callers.ActionNames() {
		add("only-"+action, action, "double", map[string]string{action: "double"})
	}
	add("other", strings.Join(callers.ActionNames(), ", "), "other-*", allActions("other-*"))
	add("ops", "admin", "*", map[string]string{"admin": "*"})
	m.askers = append(
		m.askers,
		asker{name: "root", authorization: "Bearer " + root, may: allActions("*")},
		asker{name: "override", authorization: "Bearer " + override, may: map[string]string{"infer": "double", "metadata": "double", "override": "double"}},
		asker{name: "unknown", authorization: "Bearer " + nobody, unknown: true},
		asker{name: "malformed", authorization: "Basic " + nobody, unknown: true},
		asker{name: "no key", authorization: "Bearer", unknown: true},
	)
	m.yaml = []string{
		"callers:\n" + entries.String(), "admin.tokens: {root: " + root + "}",
		"routes: {double: {variants: [{version: 1, weight: 100%}], override: {token: " + override + "}}}",
	}
	return m
}

// TestAccessMatrix asks every endpoint of every listener as every kind of caller.
func TestAccessMatrix(t *testing.T) {
	applications := map[string]string{"infer": "*", "metadata": "*", "statistics": "*"}
	everything := allActions("*")
	delete(everything, "override")

	open := matrix{open: true, askers: []asker{
		{name: "anonymous", may: everything},
		{name: "with a header", authorization: "Bearer whatever", may: everything},
		{name: "malformed", authorization: "Basic whatever", may: everything},
	}}
	some := withCallers()
	some.askers = append(some.askers, asker{name: "anonymous", may: applications})

	required := withCallers()
	required.askers = append(required.askers, asker{name: "anonymous"})
	required.yaml, required.required, required.private = append(required.yaml, "auth: {required: true}", "metrics: {public: false}"), true, true

	own := withCallers()
	own.askers = []asker{{name: "anonymous", may: map[string]string{"statistics": "double"}}}
	own.yaml[0] += "  anonymous: {allow: [{models: [double], actions: [statistics]}]}\n"

	for name, m := range map[string]matrix{"nobody is configured": open, "callers": some, "auth.required": required, "anonymous is configured": own} {
		t.Run(name, func(t *testing.T) { m.check(t) })
	}
}

// sink is what the gateway logs and answers.
type sink struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (m *matrix) check(t *testing.T) {
	said := &sink{}
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(said), zapcore.DebugLevel))
	g := startLogging(t, log, &fakes{}, doubles(t, 1), append(m.yaml, "server.access_log: {sample_every: 1}", "log: {level: debug}")...)
	conn, err := grpc.NewClient(g.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // only read
	asked := map[string]bool{}
	f := func(listener string, e callers.Endpoint, ask func(a *asker, model string) (int, string)) {
		name := listener + " " + e.Name
		access, known := accessOf[name]
		if !known {
			t.Errorf("%s is not in the matrix", name)
			return
		}
		asked[name] = true
		for i := range m.askers {
			a := &m.askers[i]
			answers := map[string]string{}
			for _, model := range []string{"double", "absent"} {
				want := a.verdict(access, model, *m)
				if m.open && listener == "HTTP" && access == "admin every" { // the log and traces are not for everybody
					want = http.StatusUnauthorized
				}
				got, text := ask(a, model)
				refused := got == http.StatusUnauthorized || got == http.StatusForbidden
				if refused != (want != http.StatusOK) || refused && got != want {
					t.Errorf("%s on %s, asked by %s: %d %s, want %d", name, model, a.name, got, text, want)
				}
				if refused {
					answers[model] = strings.ReplaceAll(text, "'"+model+"'", "'MODEL'")
				}
				if !strings.Contains(access, "model") {
					break
				}
			}
			// An answer to who may see neither does not tell which one exists.
			if known, unknown := answers["double"], answers["absent"]; known != "" && unknown != "" && known != unknown {
				t.Errorf("%s, asked by %s: %q for a known model, %q for another", name, a.name, known, unknown)
			}
		}
	}
	for _, e := range httpapi.Endpoints() {
		f("HTTP", e, func(a *asker, model string) (int, string) { return g.asHTTP(t, said, g.url, e.Name, model, a) })
	}
	for _, e := range admin.Endpoints() {
		f("admin", e, func(a *asker, model string) (int, string) { return g.asHTTP(t, said, g.admin, e.Name, model, a) })
	}
	for _, e := range grpcapi.Endpoints() {
		e.Name = e.Name[strings.LastIndexByte(e.Name, '/')+1:]
		f("gRPC", e, func(a *asker, model string) (int, string) { return asGRPC(t, said, conn, e.Name, model, a) })
	}
	for _, name := range slices.Sorted(maps.Keys(accessOf)) {
		if !asked[name] {
			t.Errorf("there is no endpoint %s any more", name)
		}
	}
	said.mu.Lock()
	defer said.mu.Unlock()
	for _, secret := range m.secrets {
		if at := bytes.Index(said.text.Bytes(), []byte(secret)); at >= 0 {
			t.Errorf("the secret %s is in a log or an answer: %s", secret, said.text.Bytes()[max(0, at-200):at+len(secret)])
		}
	}
}

// asHTTP sends a request to an endpoint by its name, and returns the status and the body.
func (g *gateway) asHTTP(t *testing.T, said io.Writer, at, endpoint, model string, a *asker) (int, string) {
	t.Helper()
	method, path, found := strings.Cut(endpoint, " ")
	if !found {
		method, path = http.MethodGet, method
	}
	path = strings.NewReplacer("{model}", model, "{name}", model, "{id}", "none", "{region}", "r", "{version}", "1", "{alias}", "champion", "{$}", "", "{file}", "none.js").Replace(path)
	switch path {
	case "/":
		if at == g.admin && !found {
			path = "/nowhere"
		}
	case "/debug/pprof/profile", "/debug/pprof/trace":
		path += "?seconds=1"
	}
	req, err := http.NewRequestWithContext(t.Context(), method, at+path, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	if a.authorization != "" {
		req.Header.Set("Authorization", a.authorization)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if challenge := resp.Header.Get("WWW-Authenticate"); (challenge != "") != (resp.StatusCode == http.StatusUnauthorized) ||
		resp.StatusCode == http.StatusUnauthorized && a.unknown != strings.Contains(challenge, "invalid_token") {
		t.Errorf("%s, asked by %s: %d with challenge %q", endpoint, a.name, resp.StatusCode, challenge)
	}
	_, _ = fmt.Fprintln(said, resp.Header, string(text))
	return resp.StatusCode, string(text)
}

// asGRPC calls a method by its name. The result is as that of asHTTP.
func asGRPC(t *testing.T, said io.Writer, conn *grpc.ClientConn, method, model string, a *asker) (int, string) {
	t.Helper()
	m := methodOf(t, method)
	in := dynamicpb.NewMessage(m.Input())
	for _, name := range []protoreflect.Name{"model_name", "name"} {
		if field := m.Input().Fields().ByName(name); field != nil && accessOf["gRPC "+method] != "infer some" {
			in.Set(field, protoreflect.ValueOfString(model))
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if a.authorization != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", a.authorization)
	}
	full := fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
	err := callGRPC(ctx, conn, full, m, in)
	_, _ = fmt.Fprintln(said, err)
	switch status.Code(err) {
	case codes.Unauthenticated:
		return http.StatusUnauthorized, err.Error()
	case codes.PermissionDenied:
		return http.StatusForbidden, err.Error()
	default:
		return http.StatusOK, fmt.Sprint(err)
	}
}

// callGRPC calls a method, or opens a stream, sends one message and reads one.
func callGRPC(ctx context.Context, conn *grpc.ClientConn, full string, m protoreflect.MethodDescriptor, in proto.Message) error {
	out := dynamicpb.NewMessage(m.Output())
	if !m.IsStreamingServer() {
		return conn.Invoke(ctx, full, in, out)
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, full)
	if err != nil {
		return err
	}
	_ = stream.SendMsg(in) // the answer says what failed
	_ = stream.CloseSend()
	if err := stream.RecvMsg(out); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// methodOf finds a method of the gateway's services.
func methodOf(t *testing.T, method string) protoreflect.MethodDescriptor {
	t.Helper()
	for _, service := range []protoreflect.FullName{"inference.GRPCInferenceService", "sluice.v1.Labels", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"} {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(service)
		if err != nil {
			t.Fatal(err)
		}
		if m := d.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(method)); m != nil {
			return m
		}
	}
	t.Fatalf("there is no method %s", method)
	return nil
}
