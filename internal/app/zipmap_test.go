package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/testing/golden"
)

// zipMaps is a repository of real exports; testdata/zipmap/README.md describes them.
var zipMaps = filepath.Join("..", "..", "testdata", "zipmap")

// TestZipMapsAreCutOff calls classifiers that were exported with a ZipMap, and compares with
// the maps of Python onnxruntime.
func TestZipMapsAreCutOff(t *testing.T) {
	g := start(t, filepath.Join(zipMaps, "models"))
	files, err := filepath.Glob(filepath.Join(zipMaps, "golden", "*.json"))
	if err != nil || len(files) != 4 {
		t.Fatalf("golden files: %v %v", files, err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			checkGolden(t, g, path)
			file := golden.Read(t, path)
			outputs := file.Cases[0].Outputs
			name := outputs[len(outputs)-1].Name
			detail := detailOf(t, g, file.Model)
			if diff := cmp.Diff([]string{name}, detail.ZipMaps); diff != "" {
				t.Errorf("ZipMaps (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff([]string{"ZipMap"}, detail.LabelsFrom); diff != "" {
				t.Errorf("source of the labels (-want +got)\n%s", diff)
			}
			want := api.Tensor{Name: name, Datatype: "FP32", Shape: []int64{-1, int64(len(file.Labels))}, Symbols: []string{"", ""}, Labels: file.Labels}
			if diff := cmp.Diff(want, detail.Outputs[1]); diff != "" {
				t.Errorf("output (-want +got)\n%s", diff)
			}
		})
	}
}

// onnxmltools declares that LightGBM returns one class, whatever the rows.
func TestCutModelsCanBeRelaxed(t *testing.T) {
	g := start(t, filepath.Join(zipMaps, "models"), "models: {lightgbm: {batching: {relax: true}}}")
	if b := detailOf(t, g, "lightgbm").Batching; !b.Enabled {
		t.Errorf("not batched: %+v", b)
	}
	checkGolden(t, g, filepath.Join(zipMaps, "golden", "lightgbm-1.json"))
}

// Classes have the labels of the ZipMap.
func TestClassesOfAZipMap(t *testing.T) {
	g := start(t, filepath.Join(zipMaps, "models"))
	file := golden.Read(t, filepath.Join(zipMaps, "golden", "sklearn_strings-1.json"))
	scores := file.Cases[1].Outputs[0].Floats(t)
	index := slices.Index(scores, slices.Max(scores))
	var request map[string]any
	if err := json.Unmarshal(file.Cases[1].Request, &request); err != nil {
		t.Fatal(err)
	}
	request["outputs"] = []any{map[string]any{"name": "output_probability", "parameters": map[string]any{"classification": 1}}}
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	got := g.must(t, http.MethodPost, g.url+"/v2/models/sklearn_strings/infer", string(body))
	want := fmt.Sprintf(`"outputs":[{"name":"output_probability","datatype":"BYTES","shape":[1,1],"data":["%.6f:%d:%s"]}]`, scores[index], index, file.Labels[index])
	if !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	metadata := g.must(t, http.MethodGet, g.url+"/v2/models/sklearn_strings", "")
	if want := `{"name":"output_probability","datatype":"FP32","shape":[-1,3],"parameters":{"labels":["setosa","versicolor","virginica"]}}`; !strings.Contains(metadata, want) {
		t.Errorf("metadata %s, want %s", metadata, want)
	}
}

// detailOf returns the control API's details of the only version of a model.
func detailOf(t *testing.T, g *gateway, model string) *api.ModelDetail {
	t.Helper()
	var versions []api.ModelStatus
	if err := json.Unmarshal([]byte(g.must(t, http.MethodGet, g.admin+"/api/v1/models/"+model, "")), &versions); err != nil {
		t.Fatal(err)
	}
	if len(versions) != 1 || versions[0].Detail == nil {
		t.Fatalf("%+v, want one version that is loaded", versions)
	}
	return versions[0].Detail
}
