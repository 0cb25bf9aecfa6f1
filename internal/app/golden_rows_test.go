package app_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice.io/sluice/api"
)

const twice = `{"examples":[{"inputs":[{"name":"x","datatype":"FP32","shape":[2,1],"data":[1,2]}],"outputs":[{"name":"y","datatype":"FP32","shape":[2,1],"data":[2,4]}]}]}`

// A load replays golden rows, and a version that answers otherwise does not serve.
func TestGoldenRows(t *testing.T) {
	dir := withModel(t, "other")
	g := start(t, dir)
	if status, text := g.control(t, "POST", "/api/v1/models/scale/versions", "", archive(t, "model.onnx", string(timesFile(2)), "golden.json", "{}")); status != 400 || !strings.Contains(text, "golden rows") {
		t.Errorf("rows that are not valid: %d %s", status, text)
	}
	g.mustControl(t, "PUT", "/api/v1/models/scale/versions/1", "", archive(t, "model.onnx", string(timesFile(2)), "golden.json", twice))
	g.mustControl(t, "PUT", "/api/v1/models/scale/versions/2", "", archive(t, "model.onnx", string(timesFile(3)), "golden.json", twice))
	g.mustControl(t, "PUT", "/api/v1/models/scale/versions/3", "", string(timesFile(2)))
	g.mustControl(t, "PUT", "/api/v1/routes/scale", `"0"`, `{"variants":[{"version":1,"weight":10000},{"version":3,"weight":0,"role":"canary"}]}`)
	if status, text := g.control(t, "PUT", "/api/v1/routes/scale", `"1"`, `{"variants":[{"version":2,"weight":10000}]}`); status != 503 || !strings.Contains(text, "element 0 of output 'y' is 3, expected 2") {
		t.Errorf("a version that answers otherwise: %d %s", status, text)
	}
	for number, want := range map[string]string{"1": api.GoldenPassed, "3": api.GoldenSkipped} {
		var info api.VersionInfo
		if err := json.Unmarshal([]byte(g.must(t, "GET", g.admin+"/api/v1/models/scale/versions/"+number, "")), &info); err != nil {
			t.Fatal(err)
		}
		if v := info.Validation; v == nil || v.Golden != want || (v.Examples == 1) != (want == api.GoldenPassed) {
			t.Errorf("version %s: %+v", number, v)
		}
	}
	if events := g.must(t, "GET", g.admin+"/api/v1/journal?type=version.loaded&subject=models/scale/1", ""); !strings.Contains(events, `"golden":"passed"`) {
		t.Errorf("the journal has %s", events)
	}
}

// The files of a pushed version cannot change.
func TestChangedFilesDoNotLoad(t *testing.T) {
	dir := withModel(t, "other")
	g := start(t, dir)
	g.mustControl(t, "PUT", "/api/v1/models/scale/versions/1", "", string(timesFile(2)))
	if err := os.WriteFile(filepath.Join(dir, "scale/1/model.onnx"), timesFile(3), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, text := g.control(t, "PUT", "/api/v1/routes/scale", `"0"`, `{"variants":[{"version":1,"weight":10000}]}`); status != 503 || !strings.Contains(text, "not those that were pushed") {
		t.Errorf("%d %s", status, text)
	}
}
