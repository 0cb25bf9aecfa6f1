package app_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/capture"
	"sluice.io/sluice/internal/infer"
)

// capturing returns the settings of "double" whose traffic is captured in a data directory.
func capturing(dir string, more ...string) string {
	settings := append([]string{"sample: 100%"}, more...)
	return fmt.Sprintf("data_dir: %q\ncapture: {rotate_age: 100ms}\nmodels: {double: {%s, capture: {%s}}}", dir, fakeModels, strings.Join(settings, ", "))
}

// captured returns the requests in a bucket, by id.
func captured(t *testing.T, dir string) map[string]*capture.Request {
	t.Helper()
	requests := map[string]*capture.Request{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".parquet") || strings.Contains(path, "labels") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := capture.OpenFile(data)
		if err != nil {
			return err
		}
		return f.Requests(func(r *capture.Request) error { requests[r.ID] = r; return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	return requests
}

// captureOf returns what the control API says of the capture of "double".
func captureOf(t *testing.T, g *gateway) api.Captured {
	t.Helper()
	var list []api.Captured
	if err := json.Unmarshal([]byte(g.must(t, "GET", g.admin+"/api/v1/capture", "")), &list); err != nil || len(list) != 1 {
		t.Fatalf("%v %+v", err, list)
	}
	return list[0]
}

// awaitCaptured waits until files with that many rows are listed.
func awaitCaptured(t *testing.T, g *gateway, rows int64) {
	t.Helper()
	for range 3000 {
		if captureOf(t, g).Rows >= rows {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%+v, want %d rows", captureOf(t, g), rows)
}

func TestCapture(t *testing.T) {
	data := t.TempDir()
	const route = "\nroutes: {shop: {model: double, variants: [{version: 2, weight: 100%}]}}"
	g := startOn(t, &fakes{}, doubles(t, 2), capturing(data)+route)
	asked(t, g, "double", "a", 0, 1)
	asked(t, g, "shop", "b", 2)
	const body = `{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}],"parameters":{"tier":"gold"}}`
	if r, err := g.send(t.Context(), "POST", g.url+"/v2/models/double/infer", body, "X-Request-Id", "c"); err != nil || r.status != 200 {
		t.Fatal(err, r)
	}
	awaitCaptured(t, g, 4)
	got := captured(t, filepath.Join(data, "capture"))
	a, b, c := got["a"], got["b"], got["c"]
	if len(got) != 3 || a == nil || b == nil || c == nil {
		t.Fatalf("%+v", got)
	}
	if a.Rows != 2 || a.ClientID != "v2-a" || a.Role != "default" || a.Reason != "default" || a.Caller != "anonymous" || a.Duration <= 0 || time.Since(a.Time) > time.Hour {
		t.Errorf("%+v", a)
	}
	if b.Role != "stable" || b.Reason != string(infer.ReasonRandom) || string(c.Parameters) != `{"tier":"gold"}` {
		t.Errorf("%+v %+v", b, c)
	}
	if status, text := g.call(t, "GET", g.admin+"/api/v1/capture/other", ""); status != 404 {
		t.Errorf("%d %s", status, text)
	}
	var files []api.CaptureFile
	if err := json.Unmarshal([]byte(g.must(t, "GET", g.admin+"/api/v1/capture/double?version=2", "")), &files); err != nil || len(files) == 0 || strings.Contains(files[0].Path, data) {
		t.Errorf("%v %+v", err, files)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
}

// A stop writes the requests that wait.
func TestCaptureIsFlushed(t *testing.T) {
	data := t.TempDir()
	g := startOn(t, &fakes{}, doubles(t, 1), strings.Replace(capturing(data), "100ms", "24h", 1))
	asked(t, g, "double", "a", 0, 1)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if got := captured(t, filepath.Join(data, "capture")); len(got) != 1 {
		t.Errorf("%d requests", len(got))
	}
}

// Labels of captured requests are captured as they come, also if they name the request by its V2 id.
func TestCapturedLabels(t *testing.T) {
	data := t.TempDir()
	g := startOn(t, &fakes{}, doubles(t, 1), strings.Replace(capturing(data), "capture: {sample", "labels: {sample: 100%, task: classification, scores: logits}, capture: {sample", 1))
	asked(t, g, "double", "a", 0, 1)
	asked(t, g, "double", "b", 2)
	got := labels(t, g, "double", `{"labels":[{"request_id":"a","label":0}, {"request_id":"v2-a","row":1,"label":2}, {"request_id":"a","label":0}, {"request_id":"z","label":0}, {"request_id":"a","label":1}]}`)
	if got.Joined != 2 || got.Duplicate != 1 || got.Contradictory != 1 {
		t.Fatalf("%+v", got)
	}
	for range 3000 {
		if c := captureOf(t, g); c.Labels == 3 && c.Rows == 3 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	text := g.must(t, "GET", g.admin+"/api/v1/capture/double/export?labels=true&format=csv", "")
	joined := map[string]string{}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) int { return slices.Index(rows[0], name) }
	for _, row := range rows[1:] {
		joined[row[at("request_id")]+row[at("row")]] = row[at("label")]
	}
	if diff := cmp.Diff(map[string]string{"a0": "1", "a1": "2", "b0": ""}, joined); diff != "" {
		t.Error(diff, text)
	}
	if text := g.must(t, "GET", g.admin+"/metrics", ""); !strings.Contains(text, `sluice_capture_labels_total{model="double",result="captured"} 3`) {
		t.Error("the labels are not counted")
	}
	if text := g.must(t, "DELETE", g.admin+"/api/v1/capture/double?request_id=a", ""); !strings.Contains(text, `"rows":2,"labels":3`) {
		t.Error(text)
	}
}

// Events have the request and its answer as JSON of the protocol.
func TestCaptureEvents(t *testing.T) {
	bodies := make(chan [2]string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		bodies <- [2]string{r.Header.Get("Ce-Type"), string(body)}
	}))
	defer receiver.Close()
	settings := strings.Replace(capturing(t.TempDir()), "capture: {rotate_age: 100ms", fmt.Sprintf("capture: {rotate_age: 100ms, events: {url: %q}", receiver.URL), 1)
	g := startOn(t, &fakes{}, doubles(t, 1), settings)
	const body = `{"id":"mine","inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}],"parameters":{"tier":"gold"}}`
	if r, err := g.send(t.Context(), "POST", g.url+"/v2/models/double/infer", body, "X-Request-Id", "c"); err != nil || r.status != 200 {
		t.Fatal(err, r)
	}
	got := map[string]string{}
	for range 2 {
		b := <-bodies
		got[b[0]] = b[1]
	}
	want := map[string]string{
		"org.kubeflow.serving.inference.request":  `{"id":"mine","parameters":{"tier":"gold"},"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}`,
		"org.kubeflow.serving.inference.response": `{"id":"mine","model_name":"double","model_version":"1","outputs":[{"name":"y","datatype":"FP32","shape":[1,3],"data":[2,4,6]}]}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for captureOf(t, g).EventsSent != 2 {
		time.Sleep(10 * time.Millisecond) // until both are counted
	}
}

// The journal names the people who read or delete captured requests.
func TestCaptureExportAndDelete(t *testing.T) {
	g := startOn(t, &fakes{}, doubles(t, 1), capturing(t.TempDir()))
	asked(t, g, "double", "a", 0, 1)
	asked(t, g, "double", "b", 0, 1)
	awaitCaptured(t, g, 4)
	if text := g.must(t, "GET", g.admin+"/api/v1/capture/double/export?version=1", ""); strings.Count(text, "\n") != 4 || strings.Count(text, `"request_id":"a"`) != 2 {
		t.Error(text)
	}
	if text := g.must(t, "DELETE", g.admin+"/api/v1/capture/double?request_id=a", ""); !strings.Contains(text, `"rows":2`) {
		t.Error(text)
	}
	if text := g.must(t, "GET", g.admin+"/api/v1/capture/double/export?format=csv", ""); strings.Count(text, "\n") != 3 || strings.Contains(text, ",a,") {
		t.Error(text)
	}
	var events []api.Event
	if err := json.Unmarshal([]byte(g.must(t, "GET", g.admin+"/api/v1/journal?subject=capture/double", "")), &events); err != nil || len(events) != 3 {
		t.Fatal(err, events)
	}
	if e := events[0]; e.Type != api.EventCaptureRead || e.Actor.Actor != "anonymous" || string(e.After) != `{"version":1,"format":"jsonl"}` {
		t.Errorf("%+v", e)
	}
	if e := events[1]; e.Type != api.EventCaptureDeleted || string(e.Before) != `{"request_id":"a"}` || e.After != nil {
		t.Errorf("%+v", e)
	}
	for _, query := range []string{"GET other/export", "DELETE other?request_id=a"} {
		method, path, _ := strings.Cut(query, " ")
		if status, text := g.call(t, method, g.admin+"/api/v1/capture/"+path, ""); status != 404 {
			t.Errorf("%d %s", status, text)
		}
	}
}
