package loadgen_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/limits"
	"sluice.io/sluice/internal/wire/oip"
)

// everyType has an input of each datatype.
func everyType() *infer.Model {
	var specs []infer.TensorSpec
	for d := infer.Bool; d <= infer.Bytes; d++ {
		specs = append(specs, infer.TensorSpec{Name: `in "` + d.String() + `"`, DType: d, Shape: infer.Shape{-1, 2, -1}})
	}
	return infer.NewModel("every", 3, specs, nil)
}

func serveMetadata(t *testing.T, body []byte) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/models/{model}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("model") != "a model" {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"error":"no such model"}`))
			return
		}
		_, _ = w.Write(body)
	})
	mux.HandleFunc("GET /v2/models/{model}/versions/3", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// The gateway's own decoder and check accept what is made, in both forms, and
// both hold the same values.
func TestFromMetadataMakesValidRequests(t *testing.T) {
	model := everyType()
	doc := oip.NewModelMetadata("a model", "", []int64{3}, model)
	base := serveMetadata(t, oip.AppendModelMetadata(nil, &doc))
	var data [2][]byte
	for i, binary := range []bool{false, true} {
		o := loadgen.BodyOptions{Rows: 3, Dims: map[string]int64{"": 4, `in "FP64":2`: 5}, Binary: binary, Headers: map[string]string{"X-Key": "a"}}
		target, err := loadgen.FromMetadata(t.Context(), base+"/", "a model", o)
		if err != nil {
			t.Fatal(err)
		}
		jsonLen := -1
		if v := target.Headers["Inference-Header-Content-Length"]; v != "" {
			if jsonLen, err = strconv.Atoi(v); err != nil {
				t.Fatal(err)
			}
		}
		if target.URL != base+"/v2/models/a%20model/infer" || (jsonLen >= 0) != binary || target.Headers["X-Key"] != "a" {
			t.Errorf("%s with %v", target.URL, target.Headers)
		}
		call, bounds := oip.NewCall(), limits.Tensors()
		if err := call.Decode(target.Body, jsonLen, &bounds); err != nil {
			t.Fatal(err)
		}
		if err := model.Check(&call.Request); err != nil {
			t.Error(err)
		}
		for _, in := range call.Inputs {
			want := infer.Shape{3, 2, 4}
			if in.DType == infer.FP64 {
				want[2] = 5
			}
			if !in.Shape.Equal(want) {
				t.Errorf("%s has the shape %v", in.Name, in.Shape)
			}
			if in.DType != infer.FP32 { // which JSON has 7 digits of
				data[i] = append(data[i], in.Data...)
			}
		}
	}
	if !bytes.Equal(data[0], data[1]) {
		t.Error("the values differ between JSON and binary")
	}
	target, err := loadgen.FromMetadata(t.Context(), base, "a model", loadgen.BodyOptions{Version: "3", Dims: map[string]int64{"": 1}})
	if err != nil || target.URL != base+"/v2/models/a%20model/versions/3/infer" {
		t.Errorf("%v, %s", err, target.URL)
	}
}

func TestFromMetadataSaysWhatIsWrong(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, c := range []struct {
		doc, model string
		rows       int
		want       string
	}{
		{`{}`, "other", 1, "404 Not Found: no such model"},
		{`<html>`, "a model", 1, "no metadata"},
		{`{"inputs":[]}`, "a model", 1, "no inputs"},
		{`{"inputs":[{"name":"x","datatype":"COMPLEX","shape":[1]}]}`, "a model", 1, `unknown datatype "COMPLEX"`},
		{`{"inputs":[{"name":"x","datatype":"FP32","shape":[-1,-1]}]}`, "a model", 1, "Say x:1=N"},
		{`{"inputs":[{"name":"x","datatype":"FP32","shape":[1,4]}]}`, "a model", 2, "no input's first dimension varies"},
		{`{"inputs":[{"name":"x","datatype":"FP32","shape":[-1,1000000000,1000000000]}]}`, "a model", 2, "1 GiB"},
	} {
		_, err := loadgen.FromMetadata(t.Context(), serveMetadata(t, []byte(c.doc)), c.model, loadgen.BodyOptions{Rows: c.rows})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if _, err := loadgen.FromMetadata(t.Context(), gone.URL, "m", loadgen.BodyOptions{}); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("of a server that is gone: %v", err)
	}
}
