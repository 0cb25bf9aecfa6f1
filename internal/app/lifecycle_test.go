package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
)

// models returns the versions that answer callers, or should, by "model/version".
func (g *gateway) models(t *testing.T) map[string]api.ModelStatus {
	t.Helper()
	var list []api.ModelStatus
	if err := json.Unmarshal([]byte(g.must(t, http.MethodGet, g.admin+"/api/v1/models", "")), &list); err != nil {
		t.Fatal(err)
	}
	found := map[string]api.ModelStatus{}
	for _, m := range list {
		if m.Role == api.RoleLive {
			found[fmt.Sprintf("%s/%d", m.Name, m.Version)] = m
		}
	}
	return found
}

const doubleRequest = `{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}]}`

// answer returns the numbers of model's only output for the row 1, 2, 3.
func (g *gateway) answer(t *testing.T, path string) string {
	t.Helper()
	return fmt.Sprint(outputs(t, g.must(t, http.MethodPost, g.url+"/v2/models/"+path+"/infer", doubleRequest))[0].Data)
}

// The memory of instances is also exported under its old name, for one release.
func TestInstanceBytesHasTwoNames(t *testing.T) {
	g := start(t, demo(t))
	text := g.must(t, http.MethodGet, g.admin+"/api/v1/models", "")
	m := regexp.MustCompile(`"instance_bytes":\s*([1-9]\d*),\s*"slot_bytes":\s*(\d+)`).FindStringSubmatch(text)
	if m == nil || m[1] != m[2] {
		t.Fatalf("%q in %s", m, text)
	}
}

func TestBrokenModelsAreListedAndOthersServe(t *testing.T) {
	dir := demo(t)
	put(t, dir, "broken", 1, []byte("this is not ONNX"))
	put(t, dir, "empty", 1, nil)
	put(t, dir, "nofile", 1, nil)
	if err := os.Remove(filepath.Join(dir, "nofile", "1", "model.onnx")); err != nil {
		t.Fatal(err)
	}
	g := start(t, dir)
	if got := g.answer(t, "double"); got != "[2 4 6]" {
		t.Errorf("double answers %s", got)
	}
	models := g.models(t)
	for _, name := range []string{"broken/1", "empty/1", "nofile/1"} {
		m := models[name]
		if m.State != api.StateUnavailable || m.Reason == "" || strings.Contains(m.Reason, dir) || strings.Contains(m.Reason, "/tmp") {
			t.Errorf("%s: %s %q", name, m.State, m.Reason)
		}
		status, text := g.call(t, http.MethodPost, g.url+"/v2/models/"+strings.TrimSuffix(name, "/1")+"/infer", doubleRequest)
		if status != http.StatusNotFound || !strings.Contains(text, "has no available versions; version 1 failed to load: ") {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	index := g.must(t, http.MethodPost, g.url+"/v2/repository/index", "")
	if !strings.Contains(index, `"broken"`) || strings.Contains(g.must(t, http.MethodPost, g.url+"/v2/repository/index", `{"ready":true}`), `"broken"`) {
		t.Errorf("index: %s", index)
	}
}

// A gateway on a folder that is not a repository of models is not ready, and says what is
// wrong.
func TestAWrongFolderIsNotReady(t *testing.T) {
	dir := demo(t)
	put(t, dir, "double", 2, scale(t, 3))
	g := launch(t, zap.NewNop(), nil, filepath.Join(dir, "double"))
	const want = "the folder looks like that of one model: it has the version folder 1/"
	status, text := 0, ""
	for range 3000 {
		if status, text = g.call(t, http.MethodGet, g.admin+"/-/ready", ""); strings.Contains(text, "0 models") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if status != http.StatusServiceUnavailable || !strings.Contains(text, want) {
		t.Errorf("readiness: %d %s", status, text)
	}
	if text := g.must(t, http.MethodGet, g.admin+"/api/v1/status", ""); !strings.Contains(text, want) || strings.Contains(text, dir) {
		t.Errorf("status: %s", text)
	}
	put(t, filepath.Join(dir, "double"), "double", 1, scale(t, 2))
	g.must(t, http.MethodPost, g.admin+"/-/reload", "")
	g.await(t)
}

func TestAModelWithoutAVersionFolder(t *testing.T) {
	dir := demo(t)
	if err := os.Rename(filepath.Join(dir, "double", "1", "model.onnx"), filepath.Join(dir, "double", "model.onnx")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "double", "1")); err != nil {
		t.Fatal(err)
	}
	g := start(t, dir)
	if got := g.answer(t, "double/versions/1"); got != "[2 4 6]" {
		t.Errorf("double answers %s", got)
	}
}

func TestStrictReadiness(t *testing.T) {
	dir := demo(t)
	g := start(t, dir, "repository.control: explicit", "repository.load: ['*']", "server.strict_readiness: true")
	g.must(t, http.MethodGet, g.url+"/v2/health/ready", "")
	g.must(t, http.MethodPost, g.url+"/v2/repository/models/double/unload", "")
	if status, _ := g.call(t, http.MethodGet, g.url+"/v2/health/ready", ""); status != http.StatusServiceUnavailable {
		t.Errorf("status %d with a version missing", status)
	}
	if status, text := g.call(t, http.MethodGet, g.admin+"/-/ready", ""); status != http.StatusServiceUnavailable || !strings.Contains(text, "double") {
		t.Errorf("admin: %d %s", status, text)
	}
	g.must(t, http.MethodGet, g.url+"/v2/health/live", "")
}

func TestReloadAppliesOrChangesNothing(t *testing.T) {
	dir := demo(t)
	g := start(t, dir)
	put(t, dir, "double", 2, scale(t, 20))
	result := g.must(t, http.MethodPost, g.admin+"/-/reload", "")
	if !strings.Contains(result, "double version 2 loaded") || !strings.Contains(result, "double version 1 unloaded") {
		t.Errorf("reload: %s", result)
	}
	if got := g.answer(t, "double"); got != "[20 40 60]" {
		t.Errorf("the newest version answers %s", got)
	}
	if result := g.must(t, http.MethodPost, g.admin+"/-/reload", ""); !strings.Contains(result, `"changed":[]`) {
		t.Errorf("a reload without a change: %s", result)
	}

	refused := func(want string) {
		t.Helper()
		status, text := g.call(t, http.MethodPost, g.admin+"/-/reload", "")
		if status == http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("reload: %d %s, want %q", status, text, want)
		}
		if got := g.answer(t, "double"); got != "[20 40 60]" {
			t.Errorf("after a refused reload: %s", got)
		}
		if m := g.must(t, http.MethodGet, g.admin+"/metrics", ""); !strings.Contains(m, "sluice_config_last_reload_successful 0") {
			t.Error("the metric does not say that the reload failed")
		}
	}
	g.configure(t, dir, "modles: {}")
	refused("did you mean")
	g.configure(t, dir, "log: {format: console}")
	refused("log.format")
	g.configure(t, dir, "models: {double: {providers: [{name: nope}]}}")
	refused("model 'double' version 2 failed to load")
	g.configure(t, dir, "models: {double: {versions: all}}")
	if result := g.must(t, http.MethodPost, g.admin+"/-/reload", ""); !strings.Contains(result, `"changed":["double version 1 loaded"]`) {
		t.Errorf("another version policy: %s", result) // and version 2 was not loaded again
	}
	if got := g.answer(t, "double/versions/1"); got != "[2 4 6]" {
		t.Errorf("version 1 answers %s", got)
	}
}

func TestExplicitControl(t *testing.T) {
	dir := demo(t)
	put(t, dir, "broken", 1, []byte("this is not ONNX"))
	g := start(t, dir, "repository.control: explicit", "repository.load: [strings]")
	post := func(path string, want int, text string) {
		t.Helper()
		body := ""
		if strings.HasSuffix(path, "/infer") {
			body = doubleRequest
		}
		if status, answer := g.call(t, http.MethodPost, g.url+path, body); status != want || !strings.Contains(answer, text) {
			t.Errorf("%s: %d %s, want %d %q", path, status, answer, want, text)
		}
	}
	post("/v2/models/double/infer", http.StatusNotFound, "has no available versions")
	post("/v2/repository/models/double/load", http.StatusOK, "")
	if got := g.answer(t, "double"); got != "[2 4 6]" {
		t.Errorf("double answers %s", got)
	}
	post("/v2/repository/models/broken/load", http.StatusBadRequest, "failed to load")
	post("/v2/repository/models/nope/load", http.StatusNotFound, "failed to load 'nope'")
	post("/v2/repository/models/nope/unload", http.StatusNotFound, "nope")
	post("/v2/repository/models/double/unload", http.StatusOK, "")
	post("/v2/models/double/infer", http.StatusNotFound, "has no available versions")
	eventually(t, func() bool {
		m := g.models(t)["double/1"]
		return m.State == api.StateUnavailable && m.Reason == "unloaded"
	})
	if m := g.must(t, http.MethodGet, g.admin+"/metrics", ""); strings.Contains(m, `model="double"`) {
		t.Error("an unloaded version still has series")
	}
	if got := g.models(t)["strings/1"].State; got != api.StateReady {
		t.Errorf("strings is %s", got)
	}
}

func TestOtherControlRefusesLoads(t *testing.T) {
	g := start(t, demo(t))
	for _, url := range []string{g.url + "/v2/repository/models/double/", g.admin + "/api/v1/models/double/"} {
		for _, verb := range []string{"load", "unload"} {
			if status, text := g.call(t, http.MethodPost, url+verb, ""); status != http.StatusServiceUnavailable || !strings.Contains(text, "--model-control explicit") {
				t.Errorf("%s%s: %d %s", url, verb, status, text)
			}
		}
	}
}

func TestPollTakesWhatHasSettled(t *testing.T) {
	dir := demo(t)
	g := start(t, dir, "repository.control: poll", "repository.poll_interval: 100ms")
	put(t, dir, "double", 2, scale(t, 20))
	eventually(t, func() bool { return g.answer(t, "double") == "[20 40 60]" })
	put(t, dir, "double", 3, []byte("half a model"))
	eventually(t, func() bool { return g.models(t)["double/3"].State == api.StateUnavailable })
	put(t, dir, "double", 3, scale(t, 30))
	eventually(t, func() bool { return g.answer(t, "double") == "[30 60 90]" })
	if err := os.RemoveAll(filepath.Join(dir, "double", "3")); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return g.answer(t, "double") == "[20 40 60]" })
}

// eventually waits for a condition, as long as a busy machine may need.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("the condition did not become true")
}

// TestChangesUnderLoad reloads between two contents of a version while requests run: every
// answer is one of the two, and none fails.
func TestChangesUnderLoad(t *testing.T) {
	dir := demo(t)
	g := start(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var served atomic.Int64
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if got := g.answer(t, "double"); got != "[2 4 6]" && got != "[20 40 60]" {
					t.Errorf("answer %s", got)
				}
				served.Add(1)
			}
		})
	}
	for i := range 20 {
		put(t, dir, "double", 1, scale(t, float32(2+18*(1-i%2))))
		g.must(t, http.MethodPost, g.admin+"/-/reload", "")
	}
	cancel()
	wg.Wait()
	t.Logf("%d requests during 20 reloads", served.Load())
}

// TestStopUnderLoad stops the gateway while requests run: accepted requests are answered, the
// others are refused a connection.
func TestStopUnderLoad(t *testing.T) {
	g := start(t, demo(t))
	var wg sync.WaitGroup
	var answered atomic.Int64
	for range 8 {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for {
				resp, err := client.Post(g.url+"/v2/models/double/infer", "application/json", strings.NewReader(doubleRequest))
				if err != nil {
					if !strings.Contains(err.Error(), "refused") && !strings.Contains(err.Error(), "EOF") && !strings.Contains(err.Error(), "reset") {
						t.Errorf("a request ended with: %v", err)
					}
					return
				}
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Errorf("status %d while stopping", resp.StatusCode)
				}
				answered.Add(1)
			}
		})
	}
	eventually(t, func() bool { return answered.Load() > 200 })
	if err := g.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	wg.Wait()
}
