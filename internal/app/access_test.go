package app_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/testing/pki"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// callerEntry is the entry of a caller with the key "key-of-NAME-0123".
func callerEntry(name, more string) string {
	return fmt.Sprintf("  %s: {keys: [%q], %s}\n", name, config.HashKey(bearerOf(name)), more)
}

func bearerOf(name string) string { return "key-of-" + name + "-0123" }

// as sends a request with the key of a caller, "" for none.
func (g *gateway) as(t *testing.T, name, method, url, body string) reply {
	t.Helper()
	var headers []string
	if name != "" {
		headers = []string{"Authorization", "Bearer " + bearerOf(name)}
	}
	r, err := g.send(t.Context(), method, url, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A name in a certificate identifies a caller on every listener.
func TestCertificateIsACaller(t *testing.T) {
	ca, dir := pki.New(t), t.TempDir()
	server := ca.Valid(t, "server")
	section := fmt.Sprintf("tls: {cert: %q, key: %q, client_ca: %q, client_auth: request}",
		pki.Write(t, dir, "cert.pem", server.Cert), pki.Write(t, dir, "key.pem", server.Key), pki.Write(t, dir, "ca.pem", ca.PEM))
	g := launch(t, zap.NewNop(), &fakes{}, doubles(t, 1), "http."+section, "grpc."+section, "admin."+section,
		"auth: {required: true}", "callers: {mesh: {certificates: [localhost], allow: [{models: ['*'], actions: [infer, metadata]}]}}")
	f := func(want int, code codes.Code, pairs ...pki.Pair) {
		t.Helper()
		transport := &http.Transport{TLSClientConfig: ca.Client(t, pairs...)}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport}
		for _, url := range []string{g.url + "/v2/models/double", g.admin + "/api/v1/models"} {
			resp, err := client.Get(strings.Replace(url, "http:", "https:", 1))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s with %d certificates: %d, want %d", url, len(pairs), resp.StatusCode, want)
			}
		}
		conn, err := grpc.NewClient(g.grpc, grpc.WithTransportCredentials(credentials.NewTLS(withH2(ca.Client(t, pairs...)))))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // only read
		_, err = pb.NewGRPCInferenceServiceClient(conn).ModelMetadata(t.Context(), &pb.ModelMetadataRequest{Name: "double"})
		if status.Code(err) != code {
			t.Errorf("gRPC with %d certificates: %v, want %v", len(pairs), err, code)
		}
	}
	g.url = strings.Replace(g.url, "http:", "https:", 1)
	awaitTLS(t, ca, g)
	f(http.StatusUnauthorized, codes.Unauthenticated)
	f(http.StatusOK, codes.OK, ca.Valid(t, "mesh"))
}

func withH2(c *tls.Config) *tls.Config {
	c.NextProtos = []string{"h2"}
	return c
}

// awaitTLS waits until a gateway with TLS is ready.
func awaitTLS(t *testing.T, ca *pki.CA, g *gateway) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: ca.Client(t)}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for range 3000 {
		resp, err := client.Get(g.url + "/v2/health/ready")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatal("the gateway did not become ready")
}

// A limit is one for all protocols, and says when to come again.
func TestLimitsOfACaller(t *testing.T) {
	g := start(t, tritonModels(t), "callers:\n"+
		callerEntry("slow", `allow: [{models: ["*"], actions: [infer, metadata]}], limits: [{models: [lin], requests_per_second: 0.01, burst: 3}]`)+
		callerEntry("rows", `allow: [{models: ["*"], actions: [infer]}], limits: [{models: ["*"], rows_per_second: 0.1, rows_burst: 2}]`)+
		callerEntry("large", `allow: [{models: ["*"], actions: [infer]}], limits: [{models: ["*"], bytes_in_flight: 16KiB}]`))
	c := dialGRPC(t, g)
	over := func(name string, request *pb.ModelInferRequest) (metadata.MD, error) {
		var trailer metadata.MD
		_, err := c.ModelInfer(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+bearerOf(name)), request, grpc.Trailer(&trailer))
		return trailer, err
	}
	for range 2 {
		if _, err := over("slow", linRequest()); err != nil {
			t.Fatal(err)
		}
	}
	if r := g.as(t, "slow", http.MethodGet, g.url+"/v2/models/lin", ""); r.status != http.StatusOK {
		t.Errorf("%+v", r)
	}
	r := g.as(t, "slow", http.MethodPost, g.url+"/v2/models/lin/infer", "not even JSON")
	if r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") != "60" || !strings.Contains(r.body, "caller 'slow' sends more than 0.01 requests a second (requests_per_second) on models lin") {
		t.Errorf("%d %s %v", r.status, r.body, r.header)
	}
	trailer, err := over("slow", linRequest())
	if status.Code(err) != codes.ResourceExhausted || len(trailer.Get("grpc-retry-pushback-ms")) != 1 || trailer.Get("grpc-retry-pushback-ms")[0] != "60000" {
		t.Errorf("%v %v", err, trailer)
	}
	if r := g.as(t, "slow", http.MethodGet, g.url+"/v2", ""); r.status != http.StatusOK {
		t.Errorf("a request that names no model: %+v", r)
	}

	two := linRequest()
	two.Inputs[0].Shape[0], two.RawInputContents[0] = 2, append(two.RawInputContents[0], two.RawInputContents[0]...)
	if _, err := over("rows", two); err != nil {
		t.Error(err)
	}
	if _, err := over("rows", linRequest()); status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "0.1 rows a second") {
		t.Error(err)
	}
	two.Inputs[0].Shape[0], two.RawInputContents[0] = 4, append(two.RawInputContents[0], two.RawInputContents[0]...)
	if _, err := over("rows", two); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "the request has 4 rows, and caller 'rows' may send at most 2 at once") {
		t.Error(err)
	}

	if _, err := over("large", linRequest()); err != nil {
		t.Error(err)
	}
	r = g.as(t, "large", http.MethodPost, g.url+"/v2/models/lin/infer", `{"inputs":[`+strings.Repeat(" ", 64<<10)+`]}`)
	if r.status != http.StatusRequestEntityTooLarge || !strings.Contains(r.body, "more than the 16384 bytes of caller 'large' (bytes_in_flight)") {
		t.Errorf("%d %s", r.status, r.body)
	}
	for range 100 { // what ended holds nothing, soon after its answer was written
		_, err := over("large", linRequest())
		for n := 0; status.Code(err) == codes.ResourceExhausted && n < 1000; n++ {
			time.Sleep(time.Millisecond)
			_, err = over("large", linRequest())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Each request of a stream is decided by itself.
func TestStreamOfACaller(t *testing.T) {
	g := start(t, tritonModels(t), "callers:\n"+callerEntry("app", `allow: [{models: [lin], actions: [infer]}], limits: [{models: ["*"], requests_per_second: 0.01, burst: 2}]`))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+bearerOf("app"))
	s, err := dialGRPC(t, g).ModelStreamInfer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(model, want string) {
		t.Helper()
		request := linRequest()
		request.ModelName = model
		if err := s.Send(request); err != nil {
			t.Fatal(err)
		}
		m, err := s.Recv()
		if err != nil || !strings.Contains(m.GetErrorMessage(), want) || want == "" && m.GetErrorMessage() != "" {
			t.Errorf("%s: %v, %v, want %q", model, m, err, want)
		}
	}
	ask("lin", "")
	ask("absent", "caller 'app' may not infer on model 'absent': it needs the action 'infer'")
	ask("lin", "")
	ask("lin", "caller 'app' sends more than 0.01 requests a second")
	if err := s.CloseSend(); err != nil {
		t.Error(err)
	}
	_, _ = s.Recv() // the end
}

// A rotation of keys loses no request, and a key that was removed ends at once.
func TestKeysRotateUnderLoad(t *testing.T) {
	dir := doubles(t, 1)
	allow := `allow: [{models: ["*"], actions: [infer]}]`
	keys := func(names ...string) string {
		var hashes []string
		for _, name := range names {
			hashes = append(hashes, fmt.Sprintf("%q", config.HashKey(bearerOf(name))))
		}
		return "callers: {app: {keys: [" + strings.Join(hashes, ", ") + "], " + allow + "}}"
	}
	yaml := func(names ...string) []string {
		return []string{"admin.tokens: {root: " + bearerOf("root") + "}", keys(names...)}
	}
	g := startOn(t, &fakes{}, dir, yaml("old")...)
	reload := func(names ...string) {
		t.Helper()
		g.configure(t, dir, yaml(names...)...)
		if r := g.as(t, "root", http.MethodPost, g.admin+"/-/reload", ""); r.status != http.StatusOK {
			t.Fatalf("reload: %d %s", r.status, r.body)
		}
	}
	var load sync.WaitGroup
	var current atomic.Value
	current.Store("old")
	over := make(chan struct{})
	var sent [3]atomic.Int64 // by each of the callers
	for i := range sent {
		load.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if r := g.as(t, current.Load().(string), http.MethodPost, g.url+"/v2/models/double/infer", doubleRequest); r.status != http.StatusOK {
					t.Errorf("%d %s", r.status, r.body)
					return
				}
				sent[i].Add(1)
			}
		})
	}
	// await waits until each caller has begun and ended some requests: the first may have begun before.
	await := func() {
		for i := range sent {
			for want := sent[i].Load() + 5; sent[i].Load() < want && !t.Failed(); {
				_ = g.as(t, "root", http.MethodGet, g.url+"/v2", "")
			}
		}
	}
	for _, step := range [][2]string{{"old", "new"}, {"new", "newer"}} {
		await()
		reload(step[0], step[1])
		await()
		current.Store(step[1])
		await() // requests that began with the former key have ended
		reload(step[1])
	}
	await()
	close(over)
	load.Wait()
	if r := g.as(t, "old", http.MethodPost, g.url+"/v2/models/double/infer", doubleRequest); r.status != http.StatusUnauthorized {
		t.Errorf("a removed key: %d %s", r.status, r.body)
	}
}

// Lists have what the caller may see, and a route is not a way around.
func TestWhatACallerSees(t *testing.T) {
	g := start(t, tritonModels(t), "callers:\n"+callerEntry("app", `allow: [{models: ["lin"], actions: [infer, metadata, statistics, route]}]`)+
		callerEntry("own", `allow: [{models: ["own-*"], actions: [metadata, infer, route]}]`)+
		callerEntry("ops", `allow: [{models: ["*"], actions: [admin, metadata, route]}]`), "auth: {required: true}", "metrics: {callers: true}")
	f := func(name, method, url, has string, lacks ...string) {
		t.Helper()
		r := g.as(t, name, method, url, "")
		for _, text := range lacks {
			if strings.Contains(r.body, text) {
				t.Errorf("%s reads %s in %s: %s", name, text, url, r.body)
			}
		}
		if r.status != http.StatusOK || !strings.Contains(r.body, has) {
			t.Errorf("%s %s: %d %s, want %q", name, url, r.status, r.body, has)
		}
	}
	var all []api.ModelStatus
	if err := json.Unmarshal([]byte(g.as(t, "ops", http.MethodGet, g.admin+"/api/v1/models", "").body), &all); err != nil {
		t.Fatal(err)
	}
	var others []string
	for _, m := range all {
		if m.Name != "lin" {
			others = append(others, `"`+m.Name+`"`)
		}
	}
	if len(others) == 0 {
		t.Fatal("there is one model only: the test tries nothing")
	}
	f("app", http.MethodPost, g.url+"/v2/repository/index", `"lin"`, others...)
	f("app", http.MethodGet, g.url+"/v1/models", `"lin"`, others...)
	f("app", http.MethodGet, g.url+"/v2/models/stats", `"lin"`, others...)
	f("app", http.MethodGet, g.admin+"/api/v1/models", `"lin"`, others...)
	f("app", http.MethodGet, g.admin+"/api/v1/routes", `"lin"`, others...)
	f("own", http.MethodPost, g.url+"/v2/repository/index", "[]", `"lin"`)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+bearerOf("app"))
	index, err := dialGRPC(t, g).RepositoryIndex(ctx, &pb.RepositoryIndexRequest{})
	if err != nil || len(index.GetModels()) != 1 || index.GetModels()[0].GetName() != "lin" {
		t.Errorf("%v %v", index, err)
	}
	stats, err := dialGRPC(t, g).ModelStatistics(ctx, &pb.ModelStatisticsRequest{})
	if err != nil || len(stats.GetModelStats()) != 1 {
		t.Errorf("%v %v", stats, err)
	}

	// A route to another's model would make it callable under an own name.
	r, err := g.send(t.Context(), http.MethodPut, g.admin+"/api/v1/routes/own-lin", `{"model":"lin","variants":[{"version":1,"weight":10000}]}`,
		"Authorization", "Bearer "+bearerOf("own"), "If-Match", "*")
	if err != nil || r.status != http.StatusForbidden || !strings.Contains(r.body, "caller 'own' may not change routes of model 'lin'") {
		t.Errorf("%v %d %s", err, r.status, r.body)
	}

	f("ops", http.MethodGet, g.admin+"/api/v1/callers", `{"name":"app","groups":[],"credentials":{"keys":1,"certificates":0,"tokens":0},"allow":[{"models":["lin"],"actions":["infer","metadata","statistics","route"]}],"limits":[],"requests":{"ok":`,
		bearerOf("app"), strings.TrimPrefix(config.HashKey(bearerOf("app")), "sha256:"))
	f("ops", http.MethodGet, g.admin+"/api/v1/callers/own", `"name":"own"`)
	if r := g.as(t, "ops", http.MethodGet, g.admin+"/api/v1/callers/nobody", ""); r.status != http.StatusNotFound {
		t.Errorf("%d %s", r.status, r.body)
	}
	f("", http.MethodGet, g.admin+"/metrics", `sluice_caller_requests_total{caller="app",code="ok"} `)
}

// The log and the journal name the caller.
func TestCallerIsRecorded(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	g := startLogging(t, zap.New(core), &fakes{}, doubles(t, 2), "server.access_log: {sample_every: 1}",
		"callers:\n"+callerEntry("app", `allow: [{models: ["*"], actions: [infer, route, admin]}]`))
	if r := g.as(t, "app", http.MethodPost, g.url+"/v2/models/double/infer", doubleRequest); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	r, err := g.send(t.Context(), http.MethodPut, g.admin+"/api/v1/routes/double", `{"variants":[{"version":1,"weight":10000}]}`,
		"Authorization", "Bearer "+bearerOf("app"), "If-Match", "*", "Sluice-Actor", "mallory")
	if err != nil || r.status != http.StatusOK {
		t.Fatalf("%v %d %s", err, r.status, r.body)
	}
	found := false
	for _, e := range logs.FilterMessage("request").All() {
		fields := e.ContextMap()
		found = found || fields["path"] == "/v2/models/double/infer" && fields["caller"] == "app"
	}
	if !found {
		t.Error("the access log does not name the caller")
	}
	journal := g.as(t, "app", http.MethodGet, g.admin+"/api/v1/journal?type=route.set", "")
	if !strings.Contains(journal.body, `"actor":"app"`) || strings.Contains(journal.body, "mallory") {
		t.Errorf("%s", journal.body)
	}
}
