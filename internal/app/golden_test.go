package app_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGolden sends held-out rows to every demo model and compares with what
// Python onnxruntime computed. testdata/golden/README.md describes the files.
func TestGolden(t *testing.T) {
	g := start(t, filepath.Join("..", "..", "models"), "defaults: {versions: all}")
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "golden", "*.json"))
	if err != nil || len(files) < 5 {
		t.Fatalf("golden files: %v %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { golden(t, g, file) })
	}
}

type goldenFile struct {
	Model     string
	Version   int64
	Tolerance struct{ Absolute, Relative float64 }
	Cases     []struct {
		Name    string
		Request json.RawMessage
		Outputs []output
	}
}

func golden(t *testing.T, g *gateway, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var f goldenFile
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range f.Cases {
		url := fmt.Sprintf("%s/v2/models/%s/versions/%d/infer", g.url, f.Model, f.Version)
		got := outputs(t, g.must(t, http.MethodPost, url, string(c.Request)))
		if len(got) != len(c.Outputs) {
			t.Fatalf("%s: %d outputs, want %d", c.Name, len(got), len(c.Outputs))
		}
		for i, want := range c.Outputs {
			same := got[i].Name == want.Name && got[i].Datatype == want.Datatype && cmp.Equal(got[i].Shape, want.Shape)
			if !same || len(got[i].Data) != len(want.Data) {
				t.Fatalf("%s: output %d is %+v, want %+v", c.Name, i, got[i], want)
			}
			if want.Datatype != "FP32" {
				if diff := cmp.Diff(want.Data, got[i].Data); diff != "" {
					t.Errorf("%s %s: %s", c.Name, want.Name, diff)
				}
				continue
			}
			gotFloats := got[i].floats(t)
			for j, w := range want.floats(t) {
				if math.Abs(gotFloats[j]-w) > f.Tolerance.Absolute+f.Tolerance.Relative*math.Abs(w) {
					t.Errorf("%s %s[%d]: got %v, want %v", c.Name, want.Name, j, gotFloats[j], w)
				}
			}
		}
	}
}
