package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"sluice.io/sluice/api"
)

// labelled returns the settings of "double" with predictions kept in a data directory. Its three
// outputs are scores, so the class of the largest input is predicted.
func labelled(dir string, more ...string) string {
	settings := append([]string{"sample: 100%, task: classification, scores: logits"}, more...)
	return fmt.Sprintf("data_dir: %q\nmodels: {double: {%s, labels: {%s}}}", dir, fakeModels, strings.Join(settings, ", "))
}

// asked sends a request of rows, each of which is the class that the model predicts.
func asked(t *testing.T, g *gateway, path, id string, classes ...int) {
	t.Helper()
	data := make([]string, len(classes))
	for i, class := range classes {
		row := [3]int{}
		row[class] = 5
		data[i] = fmt.Sprintf("%d,%d,%d", row[0], row[1], row[2])
	}
	body := fmt.Sprintf(`{"id":"v2-%s","inputs":[{"name":"x","shape":[%d,3],"datatype":"FP32","data":[%s]}]}`, id, len(classes), strings.Join(data, ","))
	r, err := g.send(t.Context(), http.MethodPost, g.url+"/v2/models/"+path+"/infer", body, "X-Request-Id", id)
	if err != nil || r.status != http.StatusOK {
		t.Fatalf("%+v %v", r, err)
	}
}

// labels sends a body of labels.
func labels(t *testing.T, g *gateway, model, body string) (result api.LabelResult) {
	t.Helper()
	if err := json.Unmarshal([]byte(g.must(t, http.MethodPost, g.url+"/v2/models/"+model+"/labels", body)), &result); err != nil {
		t.Fatal(err)
	}
	return result
}

func labelReport(t *testing.T, g *gateway) (report api.LabelReport) {
	t.Helper()
	if err := json.Unmarshal([]byte(g.must(t, http.MethodGet, g.admin+"/api/v1/labels/double", "")), &report); err != nil {
		t.Fatal(err)
	}
	return report
}

func TestLabels(t *testing.T) {
	dir, data := doubles(t, 2), t.TempDir()
	const route = "\nroutes: {shop: {model: double, variants: [{version: 2, weight: 100%}]}}"
	g := startOn(t, &fakes{}, dir, labelled(data)+route)
	asked(t, g, "double", "a", 0, 1)
	asked(t, g, "double", "b", 2)
	asked(t, g, "shop", "c", 1, 1)
	got := labels(t, g, "double", `{"labels":[
		{"request_id":"a","label":0}, {"request_id":"v2-a","row":1,"label":"1"}, {"request_id":"b","label":1},
		{"request_id":"a","label":0}, {"request_id":"z","label":0}, {"request_id":"a","label":3}, {"request_id":"a","label":0,"truth":1}]}`)
	want := []string{"joined", "joined", "joined", "duplicate", "unknown", "invalid", "invalid"}
	if diff := cmp.Diff(want, got.Results); diff != "" || len(got.Problems) != 2 || got.Joined != 3 {
		t.Errorf("%s\n%+v", diff, got)
	}
	if got := labels(t, g, "shop", `{"labels":[{"request_id":"c","label":1},{"request_id":"c","row":1,"label":2}]}`); got.Model != "double" || got.Joined != 2 {
		t.Errorf("by the name of a route: %+v", got)
	}
	check := func(g *gateway) {
		t.Helper()
		r := labelReport(t, g)
		type found struct {
			version             int64
			role                string
			predictions, labels uint64
			accuracy            float64
		}
		var list []found
		for _, s := range r.Streams {
			list = append(list, found{s.Version, s.Role, s.Predictions, s.Labels, s.Metrics[0].Value})
		}
		if diff := cmp.Diff([]found{{2, "default", 3, 3, 2.0 / 3}, {2, "stable", 2, 2, 0.5}}, list, cmp.AllowUnexported(found{})); diff != "" {
			t.Error(diff)
		}
	}
	check(g)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	g = startOn(t, &fakes{}, dir, labelled(data)+route)
	check(g)
	if got := labels(t, g, "double", `{"labels":[{"request_id":"b","label":2}]}`); got.Contradictory != 1 {
		t.Errorf("after a restart: %+v", got)
	}
}

// TestLabelsInParquet sends a file, which may become as large as a decompressed body.
func TestLabelsInParquet(t *testing.T) {
	g := startOn(t, &fakes{}, doubles(t, 1), labelled(t.TempDir()), "http.max_inflated: 64KiB")
	asked(t, g, "double", "a", 0, 1)
	type row struct {
		RequestID string `parquet:"request_id,dict"`
		Row       int32  `parquet:"row"`
		Label     *int64 `parquet:"label,optional"`
	}
	send := func(rows []row, cut int) reply {
		t.Helper()
		var b bytes.Buffer
		if err := parquet.Write(&b, rows); err != nil {
			t.Fatal(err)
		}
		a, err := g.send(t.Context(), http.MethodPost, g.url+"/v2/models/double/labels", b.String()[:b.Len()-cut], "Content-Type", "application/vnd.apache.parquet")
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	zero, five := int64(0), int64(5)
	rows := []row{{"a", 0, &zero}, {"z", 0, &zero}, {"a", 1, &five}, {"a", 0, nil}}
	if a := send(rows, 3); a.status != http.StatusBadRequest || !strings.Contains(a.body, "cut off") {
		t.Errorf("%+v", a)
	}
	var result api.LabelResult
	a := send(rows, 0)
	if err := json.Unmarshal([]byte(a.body), &result); err != nil {
		t.Fatal(err, a)
	}
	if diff := cmp.Diff([]string{"joined", "unknown", "invalid", "invalid"}, result.Results); diff != "" || len(result.Problems) != 2 {
		t.Errorf("%s\n%+v", diff, result)
	}
	if a := send(make([]row, 10_000), 0); a.status != http.StatusRequestEntityTooLarge || !strings.Contains(a.body, "max 2184 rows and 65536 bytes") {
		t.Errorf("%+v", a)
	}
}

func TestLabelsThatAreRefused(t *testing.T) {
	g := startOn(t, &fakes{}, doubles(t, 1), fmt.Sprintf("data_dir: %q\nmodels: {double: {%s}}", t.TempDir(), fakeModels))
	f := func(model, body string, status int, text string) {
		t.Helper()
		if got, answer := g.call(t, http.MethodPost, g.url+"/v2/models/"+model+"/labels", body); got != status || !strings.Contains(answer, text) {
			t.Errorf("%s %s: %d %s, want %d and %q", model, body, got, answer, status, text)
		}
	}
	const one = `{"labels":[{"request_id":"a","label":0}]}`
	f("double", one, http.StatusConflict, "set labels.sample")
	f("other", one, http.StatusNotFound, "unknown model")
}

// TestLabelsOfShadows: a shadow is measured by the labels of the requests that it got copies of.
func TestLabelsOfShadows(t *testing.T) {
	dir, data := doubles(t, 1), t.TempDir()
	put(t, dir, "double", 2, scale(t, -2)) // predicts another class
	settings := fmt.Sprintf("data_dir: %q\nmodels: {double: {%s, labels: {sample: 100%%, task: classification, scores: logits}}}\n", data, patient)
	g := start(t, dir, settings+"routes: {shop: {model: double, variants: [{version: 1, weight: 100%}], shadows: [{version: 2, sample: 100%}]}}")
	asked(t, g, "shop", "a", 0, 1)
	asked(t, g, "shop", "b", 2)
	g.copied(t, "shop", 2)
	if got := labels(t, g, "shop", `{"labels":[{"request_id":"a","label":0},{"request_id":"v2-a","row":1,"label":1},{"request_id":"b","label":2}]}`); got.Joined != 3 {
		t.Errorf("%+v", got)
	}
	r := labelReport(t, g)
	if len(r.Streams) != 2 {
		t.Fatalf("%+v", r.Streams)
	}
	for i, want := range []float64{1, 0} {
		s := &r.Streams[i]
		if s.Version != int64(i+1) || s.Role != []string{api.RoleStable, api.RoleShadow}[i] || s.Predictions != 3 || s.Labels != 3 || s.Metrics[0].Value != want {
			t.Errorf("%+v", s)
		}
	}
	if n := g.series(t, "sluice_model_performance", `version="2"`, `role="shadow"`, `metric="accuracy"`); n != 0 {
		t.Error(n)
	}
}
