package app_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/testing/golden"
)

// TestGolden sends held-out rows to every demo model and compares with the answers of Python
// onnxruntime. testdata/golden/README.md describes the files.
func TestGolden(t *testing.T) {
	g := start(t, filepath.Join("..", "..", "models"), "defaults: {versions: all}")
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "golden", "*.json"))
	if err != nil || len(files) < 5 {
		t.Fatalf("golden files: %v %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { checkGolden(t, g, file) })
	}
}

func checkGolden(t *testing.T, g *gateway, file string) {
	f := golden.Read(t, file)
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
			gotFloats := got[i].Floats(t)
			for j, w := range want.Floats(t) {
				if math.Abs(gotFloats[j]-w) > f.Tolerance.Absolute+f.Tolerance.Relative*math.Abs(w) {
					t.Errorf("%s %s[%d]: got %v, want %v", c.Name, want.Name, j, gotFloats[j], w)
				}
			}
		}
	}
}

// TestJoinedRowsAreGolden sends the held-out rows one by one and all at the same time, so that
// the batcher joins them, and compares with the answers to all of them in one request: joined
// rows equal single ones, within the golden tolerance.
func TestJoinedRowsAreGolden(t *testing.T) {
	g := start(t, filepath.Join("..", "..", "models"), "defaults: {versions: all, instances: 1}")
	f := golden.Read(t, filepath.Join("..", "..", "testdata", "golden", "digits-1.json"))
	var all struct{ Inputs []golden.Tensor }
	if err := json.Unmarshal(f.Cases[0].Request, &all); err != nil {
		t.Fatal(err)
	}
	rows, width := int(all.Inputs[0].Shape[0]), int(all.Inputs[0].Shape[1])
	want := f.Cases[0].Outputs[1].Floats(t)
	classes := len(want) / rows
	url := fmt.Sprintf("%s/v2/models/%s/infer", g.url, f.Model)
	var wg sync.WaitGroup
	for i := range 20 * rows {
		row := i % rows
		data, err := json.Marshal(all.Inputs[0].Data[row*width : (row+1)*width])
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			body := fmt.Sprintf(`{"inputs":[{"name":"input","shape":[1,%d],"datatype":"FP32","data":%s}]}`, width, data)
			status, answer := g.call(t, http.MethodPost, url, body)
			if status != http.StatusOK {
				t.Errorf("row %d: %d %s", row, status, answer)
				return
			}
			for j, got := range outputs(t, answer)[1].Floats(t) {
				w := want[row*classes+j]
				if math.Abs(got-w) > f.Tolerance.Absolute+f.Tolerance.Relative*math.Abs(w) {
					t.Errorf("row %d, class %d: got %v, want %v", row, j, got, w)
				}
			}
		})
	}
	wg.Wait()
	runs := g.must(t, http.MethodGet, g.url+"/v2/models/"+f.Model+"/stats", "")
	var stats struct {
		Models []struct {
			Inferences int `json:"inference_count"`
			Executions int `json:"execution_count"`
		} `json:"model_stats"`
	}
	if err := json.Unmarshal([]byte(runs), &stats); err != nil {
		t.Fatal(err)
	}
	if s := stats.Models[0]; s.Inferences != 20*rows || s.Executions >= s.Inferences {
		t.Errorf("%d rows in %d runs: nothing was joined", s.Inferences, s.Executions)
	}
}
