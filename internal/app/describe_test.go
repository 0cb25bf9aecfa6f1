package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
	"sluice.io/sluice/internal/wire/oip"
)

// Both protocols describe a version as it is served, under the called name.
func TestModelConfig(t *testing.T) {
	dir := t.TempDir()
	g := onnxgen.New("classes")
	g.Output("y", infer.FP32, g.Op("Relu", g.Input("x", infer.FP32, "N", 2)), "N", 2)
	if err := g.Write(dir, 3); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "classes", "3", "labels.txt"), []byte("no\nyes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	gateway := start(t, dir, "models: {classes: {instances: 3, timeout: 2s, versions: [3], optimization: basic, batching: {max_size: 16, queue: {max_requests: 5}}}}",
		"routes: {front: {model: classes, variants: [{version: 3, weight: 10000}]}}")
	client := dialGRPC(t, gateway)
	f := func(name, path string) {
		t.Helper()
		text := gateway.must(t, http.MethodGet, gateway.url+path, "")
		var doc oip.ModelConfig
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		want := oip.NewModelConfig(name, "onnxruntime_onnx",
			infer.NewModel("classes", 3, []infer.TensorSpec{{Name: "x", DType: infer.FP32, Shape: infer.Shape{-1, 2}}}, []infer.TensorSpec{{Name: "y", DType: infer.FP32, Shape: infer.Shape{-1, 2}, Labels: []string{"no", "yes"}}}),
			&oip.Serving{MaxBatch: 16, Instances: 3, PriorityLevels: 2, MaxQueue: 5, Timeout: 2e9, Optimization: "basic", LabelsFile: "labels.txt", Versions: []int64{3}})
		if diff := cmp.Diff(want, doc); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
		got, err := client.ModelConfig(t.Context(), &pb.ModelConfigRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		same := &pb.ModelConfig{}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(text), same); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(same, got.GetConfig(), protocmp.Transform()); diff != "" {
			t.Errorf("%s: over gRPC %s", path, diff)
		}
	}
	f("classes", "/v2/models/classes/config")
	f("classes", "/v2/models/classes/versions/3/config")
	f("front", "/v2/models/front/config")
}
