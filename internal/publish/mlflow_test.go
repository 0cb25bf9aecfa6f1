package publish_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/mlflow"
	"sluice.io/sluice/internal/publish"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// tracking serves one registered version with artifacts by name, and a run with entries that are too many and too long.
func tracking(t *testing.T, artifacts map[string][]byte) func(*publish.Options) {
	t.Helper()
	type pair struct {
		Key   string `json:"key"`
		Value any    `json:"value"`
	}
	var metrics, params []pair
	for i := range 1000 {
		metrics = append(metrics, pair{fmt.Sprintf("m%04d", i), i})
		params = append(params, pair{fmt.Sprintf("p%04d", i), strings.Repeat("long ", i+1) + "\n"})
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const root = "/api/2.0/mlflow-artifacts/artifacts"
		name, isArtifact := strings.CutPrefix(r.URL.Path, root+"/m/")
		var answer any
		switch {
		case isArtifact && artifacts[name] != nil:
			_, _ = w.Write(artifacts[name])
			return
		case r.URL.Path == root:
			var list []map[string]any
			for name := range maps.Keys(artifacts) {
				list = append(list, map[string]any{"path": name})
			}
			answer = map[string]any{"files": list}
		case strings.HasSuffix(r.URL.Path, "/model-versions/get"):
			answer = map[string]any{"model_version": map[string]any{"name": "iris", "version": "3", "run_id": "r1"}}
		case strings.HasSuffix(r.URL.Path, "/get-download-uri"):
			answer = map[string]any{"artifact_uri": "mlflow-artifacts:/m"}
		case strings.HasSuffix(r.URL.Path, "/runs/get"):
			answer = map[string]any{"run": map[string]any{"data": map[string]any{"metrics": metrics, "params": params, "tags": []pair{{"", "x"}, {"team\x00", "x"}, {"team", "flowers"}}}}}
		default:
			w.WriteHeader(http.StatusNotFound)
			answer = map[string]any{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no artifact " + name}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	c, err := mlflow.New(mlflow.Options{URL: server.URL, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return func(o *publish.Options) { o.MLflow = c }
}

// external returns a model with weights in a file of its own, and that file.
func external(t *testing.T) (model []byte, files map[string][]byte) {
	t.Helper()
	weights := onnxgen.Float32s([]float32{1, 2, 3, 4}, 4)
	g := onnxgen.New("external")
	x := g.Op("Add", g.Input("input", infer.FP32, "N", 4), g.External(weights, "weights.bin"))
	g.Output("output", infer.FP32, x, "N", 4)
	return g.Bytes(), map[string][]byte{"weights.bin": weights.Data}
}

var described = []byte("flavors: {onnx: {data: model.onnx}}")

func TestImport(t *testing.T) {
	g, files := external(t)
	files["MLmodel"], files["model.onnx"], files["labels.txt"], files["conda.yaml"] = described, g, []byte("a\nb\n"), []byte("x")
	s := start(t, t.TempDir(), &journal{}, tracking(t, files))
	info, err := s.push(t, publish.Push{From: "models:/iris/3", Metadata: api.VersionMetadata{Tags: map[string]string{"team": "mine"}}})
	if err != nil {
		t.Fatal(err)
	}
	l := info.Record.Lineage
	if info.Version != 1 || l.Run != "r1" || !strings.HasSuffix(l.Source, "/#/models/iris/versions/3") || info.Record.Tags["team"] != "mine" || len(info.Record.Tags) != 1 {
		t.Errorf("%+v", info.Record)
	}
	// What has no room is left out, in the order of the names.
	if l.Metrics["m0255"] != 255 || len(l.Metrics) != 256 || l.Parameters["p0000"] != "long  " || len(l.Parameters) >= 256 || len(l.Parameters) < 20 {
		t.Errorf("%d metrics, %d parameters, the first is %q", len(l.Metrics), len(l.Parameters), l.Parameters["p0000"])
	}
	same, err := s.push(t, publish.Push{From: "models:/iris/3", Number: 1, Digest: info.Record.Digest})
	if err != nil || same.Version != 1 || s.journal.types() != "registered" {
		t.Errorf("%+v %v %s", same, err, s.journal.types())
	}
}

func TestImportRefuses(t *testing.T) {
	f := func(code infer.Code, text string, artifacts map[string][]byte, change func(*publish.Options)) {
		t.Helper()
		s := start(t, t.TempDir(), &journal{}, func(o *publish.Options) {
			tracking(t, artifacts)(o)
			if change != nil {
				change(o)
			}
		})
		_, err := s.push(t, publish.Push{From: "models:/iris/3"})
		refused(t, err, code, text)
		s.empty(t)
	}
	whole := map[string][]byte{"MLmodel": described, "model.onnx": model(2)}
	size := int64(len(model(2)))
	f(infer.Invalid, "registry.mlflow.url", whole, func(o *publish.Options) { o.MLflow = nil })
	f(infer.TooLarge, "registry.max_upload", whole, func(o *publish.Options) { o.MaxUpload = size - 1 })
	f(infer.Conflict, "registry.quota", whole, func(o *publish.Options) { o.Quota = size - 1 })
	f(infer.NotFound, "no artifact model.onnx", map[string][]byte{"MLmodel": described}, nil)
	f(infer.Invalid, "", map[string][]byte{"MLmodel": described, "model.onnx": []byte("not ONNX")}, nil)
	f(infer.Invalid, "golden", map[string][]byte{"MLmodel": described, "model.onnx": model(2), "golden.json": []byte("{")}, nil)
	data, files := external(t)
	for name := range files {
		f(infer.NotFound, "no artifact "+name, map[string][]byte{"MLmodel": described, "model.onnx": data}, nil)
		f(infer.Invalid, "beyond the file's end", map[string][]byte{"MLmodel": described, "model.onnx": data, name: []byte("short")}, nil)
	}
}
