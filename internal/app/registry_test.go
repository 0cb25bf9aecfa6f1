package app_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// timesFile returns a model that multiplies with a factor.
func timesFile(factor float32) []byte {
	return onnxgen.Scale(factor).Bytes()
}

// answers asks a model for 1 and returns the status and the answer.
func (g *gateway) answers(t *testing.T, model string) string {
	t.Helper()
	status, body := g.call(t, http.MethodPost, g.url+"/v2/models/"+model+"/infer", `{"inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":[1]}]}`)
	if status != http.StatusOK {
		return fmt.Sprintf("%d %s", status, body)
	}
	return fmt.Sprint(outputs(t, body)[0].Data)
}

// control sends a change with If-Match.
func (g *gateway) control(t *testing.T, method, path, match, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, g.admin+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if match != "" {
		req.Header.Set("If-Match", match)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	var text bytes.Buffer
	_, _ = text.ReadFrom(resp.Body)
	return resp.StatusCode, text.String()
}

func (g *gateway) mustControl(t *testing.T, method, path, match, body string) string {
	t.Helper()
	status, text := g.control(t, method, path, match, body)
	if status/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	return text
}

// archive returns a tar archive of files.
func archive(t *testing.T, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A pushed version is in the repository, listed, in the journal, and serves only by a route.
func TestPushedVersionServesByRoute(t *testing.T) {
	dir := withModel(t, "other")
	g := start(t, dir, fmt.Sprintf("data_dir: %q", t.TempDir()))
	var first api.VersionInfo
	text := g.mustControl(t, "POST", "/api/v1/models/scale/versions?run=r1&metric=accuracy=0.97", "", string(timesFile(2)))
	if err := json.Unmarshal([]byte(text), &first); err != nil {
		t.Fatal(err)
	}
	if first.Version != 1 || first.State != api.StateRegistered || first.Record.Lineage.Run != "r1" || first.Record.Inputs[0].Name != "x" || first.Record.Opsets["ai.onnx"] == 0 {
		t.Errorf("got %s", text)
	}
	if got := g.answers(t, "scale"); !strings.Contains(got, "404") || !strings.Contains(got, "no route") {
		t.Errorf("a version that nothing names answers %s", got)
	}
	for _, file := range []string{"model.onnx", "sluice.json"} {
		if _, err := os.Stat(filepath.Join(dir, "scale", "1", file)); err != nil {
			t.Error(err)
		}
	}
	if list := g.must(t, "GET", g.admin+"/api/v1/models", ""); !strings.Contains(list, `"REGISTERED"`) {
		t.Errorf("the list has %s", list)
	}
	g.mustControl(t, "PUT", "/api/v1/routes/scale", `"0"`, `{"variants":[{"version":1,"weight":10000}]}`)
	if got := g.answers(t, "scale"); got != "[2]" {
		t.Errorf("got %s", got)
	}
	g.mustControl(t, "POST", "/api/v1/models/scale/versions", "", archive(t, "./model.onnx", string(timesFile(3)), "sluice.json", `{"lineage":{"parent":1},"tags":{"team":"a"}}`))
	if got := g.answers(t, "scale"); got != "[2]" {
		t.Errorf("a newer version serves: %s", got)
	}
	g.mustControl(t, "DELETE", "/api/v1/routes/scale", `*`, "")
	if got := g.answers(t, "scale"); !strings.Contains(got, "404") {
		t.Errorf("without a route: %s", got)
	}
	if list := g.must(t, "GET", g.admin+"/api/v1/models/scale/versions", ""); !strings.Contains(list, `"parent":1`) || !strings.Contains(list, `"team":"a"`) {
		t.Errorf("the list has %s", list)
	}
	events := g.must(t, "GET", g.admin+"/api/v1/journal?type=version.registered", "")
	if strings.Count(events, `"type":"version.registered"`) != 2 || !strings.Contains(events, first.Record.Digest) {
		t.Errorf("the journal has %s", events)
	}
}

// withModel returns a repository with a model whose files were copied: it has version 1, which
// doubles.
func withModel(t *testing.T, model string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, model, "1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, model, "1", "model.onnx"), timesFile(2), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Existing versions serve on beside a pushed one.
func TestPushBesideCopiedFiles(t *testing.T) {
	g := start(t, withModel(t, "scale"))
	g.mustControl(t, "PUT", "/api/v1/models/scale/versions/5", "", string(timesFile(3)))
	g.must(t, "POST", g.admin+"/-/reload", "")
	if got := g.answers(t, "scale"); got != "[2]" {
		t.Errorf("after a push and a reload: %s", got)
	}
}

// The policy lets the first version of a new model serve, and no later one.
func TestFirstVersionServes(t *testing.T) {
	g := start(t, withModel(t, "other"), "registry: {first_version: serves}")
	g.mustControl(t, "POST", "/api/v1/models/scale/versions", "", string(timesFile(2)))
	g.eventually(t, "scale", "[2]")
	g.mustControl(t, "POST", "/api/v1/models/scale/versions", "", string(timesFile(3)))
	g.must(t, "POST", g.admin+"/-/reload", "")
	if got := g.answers(t, "scale"); got != "[2]" {
		t.Errorf("got %s", got)
	}
}

// eventually waits until a model answers.
func (g *gateway) eventually(t *testing.T, model, want string) {
	t.Helper()
	for t.Context().Err() == nil {
		if got := g.answers(t, model); got == want {
			return
		}
	}
	t.Fatalf("%s does not answer %s", model, want)
}

// A version never changes: the same files again are the same version, others are refused.
func TestPushTwice(t *testing.T) {
	g := start(t, withModel(t, "other"))
	const path = "/api/v1/models/scale/versions/4"
	for i, c := range []struct {
		factor float32
		want   int
	}{{2, 201}, {2, 200}, {3, 409}} {
		if status, text := g.control(t, "PUT", path, "", string(timesFile(c.factor))); status != c.want {
			t.Errorf("push %d: %d %s", i, status, text)
		}
	}
	statuses := make([]int, 6)
	var pushes sync.WaitGroup
	for i := range statuses {
		pushes.Go(func() {
			statuses[i], _ = g.control(t, "PUT", "/api/v1/models/race/versions/1", "", string(timesFile(float32(i%2))))
		})
	}
	pushes.Wait()
	count := map[int]int{}
	for _, s := range statuses {
		count[s]++
	}
	if count[201] != 1 || count[201]+count[200]+count[409]+count[429] != len(statuses) {
		t.Errorf("statuses of racing pushes: %v", statuses)
	}
}
