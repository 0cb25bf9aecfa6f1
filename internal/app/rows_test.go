package app_test

import (
	"encoding/json"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// mixed has inputs of each kind, and returns each: "twice" the age, the "city" and the "id".
func mixed() []byte {
	g := onnxgen.New("mixed")
	age, city, id := g.Input("age", infer.FP32, "N", 1), g.Input("city", infer.Bytes, "N"), g.Input("id", infer.Int64, "N", 1)
	g.Output("twice", infer.FP32, g.Op("Add", age, age), "N", 1)
	g.Output("where", infer.Bytes, g.Op("Identity", city), "N")
	g.Output("who", infer.Int64, g.Op("Identity", id), "N", 1)
	return g.Bytes()
}

// predictions posts rows and returns the predictions.
func (g *gateway) predictions(t *testing.T, path, contentType, body string) []any {
	t.Helper()
	r, err := g.send(t.Context(), http.MethodPost, g.url+path, body, "Content-Type", contentType)
	if err != nil || r.status != http.StatusOK {
		t.Fatalf("%s %s: %v %+v", path, body, err, r)
	}
	var doc struct{ Predictions []any }
	if err := json.Unmarshal([]byte(r.body), &doc); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return doc.Predictions
}

func TestRowsOfStringsAndFloats(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "mixed", 1, mixed())
	g := start(t, dir)
	want := []any{
		map[string]any{"twice": 61.0, "where": "Berlin", "who": 1.0},
		map[string]any{"twice": nil, "where": `São "Paulo"`, "who": 2.0},
	}
	for contentType, bodies := range map[string][]string{
		"application/json": {
			`[{"age":30.5,"city":"Berlin","id":1},{"age":null,"city":"S\u00e3o \"Paulo\"","id":2.0}]`,
			`{"dataframe_split":{"index":[0,1],"columns":["id","city","age"],"data":[[1,"Berlin",30.5],[2,"São \"Paulo\"",NaN]]}}`,
			`{"inputs":{"age":[30.5,null],"city":["Berlin","São \"Paulo\""],"id":[1,2]}}`,
		},
		"text/csv": {"id,city,age\n1,Berlin,30.5\n2,\"São \"\"Paulo\"\"\",\n", "30.5,Berlin,1\nNaN,\"São \"\"Paulo\"\"\",2"},
	} {
		for _, body := range bodies {
			for _, path := range []string{"/v2/models/mixed/predict", "/v2/models/mixed/versions/1/predict", "/invocations"} {
				if diff := cmp.Diff(want, g.predictions(t, path, contentType, body)); diff != "" {
					t.Errorf("%s %s (-want +got):\n%s", path, body, diff)
				}
			}
		}
	}
	status, text := g.call(t, http.MethodPost, g.url+"/v2/models/mixed/predict", `[{"age":1,"city":null,"id":1}]`)
	if status != http.StatusBadRequest || !strings.Contains(text, "row 0, column 'city': a value is missing") {
		t.Errorf("%d %s", status, text)
	}
	if got := g.predictions(t, "/invocations", "application/json", "[]"); len(got) != 0 {
		t.Errorf("no rows: %v", got)
	}
	if text := g.must(t, http.MethodGet, g.url+"/ping", ""); text != `{"live":true,"ready":true}` {
		t.Error(text)
	}
}

// A classifier with its class as an output gets no other label.
func TestRowsOfClassifiers(t *testing.T) {
	g := start(t, filepath.Join("..", "..", "testdata", "zipmap", "models"), "server.default_model: xgboost")
	const flower = `[[5.1,3.5,1.4,0.2]]`
	got := g.predictions(t, "/v2/models/sklearn_strings/predict", "application/json", flower)[0].(map[string]any)
	if label, probabilities := got["output_label"], got["output_probability"].([]any); label != "setosa" || len(probabilities) != 3 || len(got) != 2 {
		t.Errorf("%v", got)
	}
	got = g.predictions(t, "/invocations", "application/json", flower)[0].(map[string]any)
	if got["output_label"] != 0.0 || len(got) != 2 {
		t.Errorf("%v", got)
	}
	status, text := g.call(t, http.MethodPost, g.url+"/v2/models/xgboost/predict", `[{"a":1}]`)
	if status != http.StatusBadRequest || !strings.Contains(text, "unknown columns 'a'") {
		t.Errorf("%d %s", status, text)
	}
}

// A classifier with only probabilities gets the label of the greatest.
func TestRowsWithLabels(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "animal", 1, onnxgen.Identity(infer.FP32, "N", 3).Bytes())
	if err := os.WriteFile(filepath.Join(dir, "animal", "1", "labels.txt"), []byte("cat\ndog\ncow\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := start(t, dir)
	want := []any{map[string]any{"output": []any{0.25, 0.5, 0.25}, "output_label": "dog"}}
	for _, path := range []string{"/v2/models/animal/predict", "/invocations"} {
		if diff := cmp.Diff(want, g.predictions(t, path, "application/json", `[[0.25,0.5,0.25]]`)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// The configuration names the columns. A reload with names that match no version is refused.
func TestRowsByConfiguredColumns(t *testing.T) {
	dir := demo(t)
	g := start(t, dir, `models: {double: {columns: {x: [a, b, c]}}}`)
	const rows = `[{"c":3,"b":2,"a":1}]`
	want := []any{map[string]any{"y": []any{2.0, 4.0, 6.0}}}
	ask := func() {
		t.Helper()
		if diff := cmp.Diff(want, g.predictions(t, "/v2/models/double/predict", "application/json", rows)); diff != "" {
			t.Error(diff)
		}
	}
	ask()
	if status, text := g.call(t, http.MethodPost, g.url+"/invocations", rows); status != http.StatusNotFound || !strings.Contains(text, "server.default_model") {
		t.Errorf("%d %s", status, text)
	}
	g.configure(t, dir, `models: {double: {columns: {x: [a, b]}}}`)
	status, text := g.call(t, http.MethodPost, g.admin+"/-/reload", "")
	if status != http.StatusBadRequest || !strings.Contains(text, "models.double.columns: 2 columns do not match a row of input 'x' of shape [-1,3]; nothing was applied") {
		t.Errorf("%d %s", status, text)
	}
	ask()
	g.configure(t, dir, `models: {double: {columns: {x: [c, b, a]}}}`)
	g.must(t, http.MethodPost, g.admin+"/-/reload", "")
	want = []any{map[string]any{"y": []any{6.0, 4.0, 2.0}}}
	ask()
}

// The profile names the columns if nothing else does, and rows are compared with it like those
// of any other request.
func TestRowsByTheColumnsOfAProfile(t *testing.T) {
	d := newDrifts(t, 1)
	d.start(t, d.compared())
	const rows = 10
	body, err := json.Marshal(func() (list []map[string]float64) {
		for i := range rows {
			list = append(list, map[string]float64{"x[0]": float64(i), "x[1]": 1, "x[2]": 2})
		}
		return list
	}())
	if err != nil {
		t.Fatal(err)
	}
	got := d.predictions(t, "/v2/models/double/predict", "application/json", string(body))
	if len(got) != rows {
		t.Errorf("%v", got)
	}
	for i := range got {
		if y := got[i].(map[string]any)["y"].([]any); math.Abs(y[0].(float64)-2*float64(i)) > 1e-6 || y[2] != 4.0 {
			t.Errorf("row %d: %v", i, y)
		}
	}
	d.counted(t, 1, api.RoleDefault, rows)
}
