package app_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/wire/grpcapi"
	"sluice.io/sluice/internal/wire/httpapi"
)

const rootKey = "root-token-of-the-gateway"

// keyed sends a request with a key.
func (g *gateway) keyed(t *testing.T, key, method, path, body string) (int, string) {
	t.Helper()
	r, err := g.send(t.Context(), method, g.admin+path, body, "Authorization", "Bearer "+key)
	if err != nil {
		t.Fatal(err)
	}
	return r.status, r.body
}

// handed waits for the document of a trainer of the kind "hands", and returns it with the lines that the trainer got.
func handed(t *testing.T, dir string) (doc api.TrainingRequest) {
	t.Helper()
	waitFor(t, func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "document")) //nolint:gosec // of this test
		return err == nil && json.Unmarshal(text, &doc) == nil
	})
	return doc
}

// TestTrainerAccess asks every endpoint of every listener with the token of a retraining.
func TestTrainerAccess(t *testing.T) {
	said := &sink{}
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(said), zapcore.DebugLevel))
	dir := t.TempDir()
	t.Setenv(trainerDir, dir)
	g := retrainingLogging(t, log, "hands", "top.auth: {required: true}", "top.admin.tokens: {root: "+rootKey+"}", "top.metrics: {public: false, callers: true}",
		"top.server.access_log: {sample_every: 1}", "top.log: {level: debug}")
	status, text := g.keyed(t, rootKey, "POST", "/api/v1/models/reg/retrain", `{"reason":"the world has changed"}`)
	if status != http.StatusCreated {
		t.Fatalf("%d %s", status, text)
	}
	doc := handed(t, dir)
	if len(doc.Token) != api.TrainerTokenBytes {
		t.Fatalf("%+v", doc)
	}
	g.askEverything(t, said, &asker{name: "trainer", authorization: "Bearer " + doc.Token})
	g.trainsOnly(t, &doc)
	said.mu.Lock()
	defer said.mu.Unlock()
	if at := bytes.Index(said.text.Bytes(), []byte(doc.Token)); at >= 0 {
		t.Errorf("the token is in a log or an answer: %s", said.text.Bytes()[max(0, at-200):at+len(doc.Token)])
	}
}

// askEverything asks with the ids of other retrainings: all is refused but a push and an export of the model, and what is open.
func (g *gateway) askEverything(t *testing.T, said *sink, a *asker) {
	t.Helper()
	conn, err := grpc.NewClient(g.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // only read
	f := func(listener string, e callers.Endpoint, ask func(model string) (int, string)) {
		name := listener + " " + e.Name
		for _, model := range []string{"reg", "absent"} {
			own := model == "reg" && (name == "admin POST /api/v1/models/{name}/versions" || name == "admin GET /api/v1/capture/{model}/export")
			known := e.Scope == callers.Known && name != "admin POST /api/v1/session"
			got, text := ask(model)
			if allowed := got != http.StatusForbidden && got != http.StatusUnauthorized; allowed != (own || known || e.Scope == callers.Open) || got == http.StatusUnauthorized {
				t.Errorf("%s on %s: %d %s", name, model, got, text)
			}
		}
	}
	for _, e := range httpapi.Endpoints() {
		f("HTTP", e, func(model string) (int, string) { return g.asHTTP(t, said, g.url, e.Name, model, a) })
	}
	for _, e := range admin.Endpoints() {
		f("admin", e, func(model string) (int, string) { return g.asHTTP(t, said, g.admin, e.Name, model, a) })
	}
	for _, e := range grpcapi.Endpoints() {
		e.Name = e.Name[strings.LastIndexByte(e.Name, '/')+1:]
		f("gRPC", e, func(model string) (int, string) { return asGRPC(t, said, conn, e.Name, model, a) })
	}
}

// repeatsOnly repeats calls after the end of a retraining, whose version is pushed, and tries other ones. Nothing changes.
func (g *gateway) repeatsOnly(t *testing.T, doc *api.TrainingRequest, version int64, f func(want int, method, path, body string) string) {
	t.Helper()
	events := func() string {
		_, text := g.keyed(t, rootKey, "GET", "/api/v1/journal?limit=1000&subject=retrain/"+doc.ID, "")
		return text
	}
	one, push := "/api/v1/signals/"+doc.ID, "/api/v1/models/reg/versions"
	var before string
	waitFor(t, func() bool { // its signal is closed a little later
		before = events()
		return strings.Contains(before, api.EventRetrainClosed)
	})
	var again api.VersionInfo
	if err := json.Unmarshal([]byte(f(http.StatusOK, "POST", push, string(timesFile(3)))), &again); err != nil || again.Record.Version != version {
		t.Errorf("%v: the push again gives %+v", err, again.Record)
	}
	f(http.StatusConflict, "POST", push, string(timesFile(4)))
	f(http.StatusForbidden, "POST", push+"?retrain=another", string(timesFile(3)))
	f(http.StatusForbidden, "POST", "/api/v1/models/other/versions", string(timesFile(3)))
	if text := f(http.StatusOK, "GET", one+"/retraining", ""); !strings.Contains(text, api.RetrainFinished) {
		t.Errorf("the retraining is %s", text)
	}
	for _, body := range []string{`{"message":"halfway"}`, `{"progress":1}`} {
		if text := f(http.StatusConflict, "POST", one+"/progress", body); !strings.Contains(text, "is finished") {
			t.Errorf("it answers %s", text)
		}
	}
	f(http.StatusConflict, "POST", one+"/fail", `{"reason":"no"}`)
	f(http.StatusForbidden, "GET", one+"/training", "")
	f(http.StatusForbidden, "GET", "/api/v1/capture/reg/export?format=jsonl", "")
	f(http.StatusForbidden, "POST", one+"/cancel", "")
	if after := events(); after != before {
		t.Errorf("the journal had %s, and has %s", before, after)
	}
}

// trainsOnly does with a token what its retraining needs, tries other things, and ends the retraining.
func (g *gateway) trainsOnly(t *testing.T, doc *api.TrainingRequest) {
	t.Helper()
	f := func(want int, method, path, body string) string {
		t.Helper()
		status, text := g.keyed(t, doc.Token, method, path, body)
		if status != want {
			t.Errorf("%s %s: %d %s, want %d", method, path, status, text, want)
		}
		return text
	}
	one, export := "/api/v1/signals/"+doc.ID, "/api/v1/capture/reg/export?format=jsonl"
	if text := f(http.StatusOK, "GET", one+"/training", ""); strings.Contains(text, api.TrainerTokenPrefix) || !strings.Contains(text, doc.ID) {
		t.Errorf("the API shows %s", text)
	}
	f(http.StatusOK, "GET", one+"/retraining", "")
	f(http.StatusForbidden, "GET", one+"/log", "")
	f(http.StatusForbidden, "POST", one+"/cancel", "")
	f(http.StatusForbidden, "POST", one+"/close", "")
	f(http.StatusOK, "POST", one+"/progress", `{"message":"halfway"}`)
	f(http.StatusOK, "GET", export, "")
	at := func(name string, x time.Time) string {
		return "&" + name + "=" + url.QueryEscape(x.Format(time.RFC3339Nano))
	}
	f(http.StatusOK, "GET", export+at("since", doc.Data.Since)+at("until", doc.Data.Until), "")
	f(http.StatusForbidden, "GET", export+at("since", doc.Data.Since.Add(-time.Second)), "")
	f(http.StatusForbidden, "GET", export+at("until", doc.Data.Until.Add(time.Second)), "")
	f(http.StatusForbidden, "GET", "/api/v1/capture/other/export", "")
	f(http.StatusForbidden, "DELETE", "/api/v1/capture/reg?request_id=r1", "")
	model := string(timesFile(3))
	f(http.StatusForbidden, "POST", "/api/v1/models/other/versions", model)
	f(http.StatusForbidden, "POST", "/api/v1/models/reg/versions?retrain=another", model)
	f(http.StatusForbidden, "POST", "/api/v1/models/reg/versions?from=/etc", "")
	f(http.StatusForbidden, "PUT", "/api/v1/models/reg/versions/7", model)
	var info api.VersionInfo
	if err := json.Unmarshal([]byte(f(http.StatusCreated, "POST", "/api/v1/models/reg/versions", model)), &info); err != nil {
		t.Fatal(err)
	}
	if l := info.Record.Lineage; l.Retrain != doc.ID || l.Parent != 1 || info.Record.PushedBy.Actor != "retrain:"+doc.ID || !info.Record.PushedBy.Verified {
		t.Errorf("%+v by %+v", l, info.Record.PushedBy)
	}
	waitFor(t, func() bool {
		_, text := g.keyed(t, rootKey, "GET", one+"/retraining", "")
		return strings.Contains(text, api.RetrainFinished)
	})
	g.repeatsOnly(t, doc, info.Record.Version, f)
	for _, path := range []string{"/api/v1/journal?limit=1000", "/api/v1/signals", "/api/v1/retrainings", one + "/training", one + "/log", "/api/v1/callers", "/metrics"} {
		if _, text := g.keyed(t, rootKey, "GET", path, ""); strings.Contains(text, doc.Token) || path == "/metrics" && !strings.Contains(text, `caller="retrain:reg"`) {
			t.Errorf("%s: %s", path, text)
		}
	}
	if _, text := g.keyed(t, rootKey, "GET", one+"/log", ""); !strings.Contains(text, "my token is sluice_retrain_…") {
		t.Errorf("the kept output is %s", text)
	}
}
