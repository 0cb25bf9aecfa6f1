package main

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/client"
)

// predictor is a data plane with the model iris. It records the last request.
func predictor(t *testing.T, inputs ...client.TensorMetadata) (url string, sent *string) {
	t.Helper()
	sent = new(string)
	meta := says(client.Metadata{Name: "iris", Inputs: inputs})
	predict := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*sent = r.URL.Path + " " + string(body)
		w.Header().Set("Sluice-Version", "2")
		w.Header().Set("Sluice-Route", "iris@7")
		w.Header().Set("Sluice-Reason", "sticky")
		_, _ = io.WriteString(w, `{"model_name":"iris"}`)
	}
	url = gateway(t, map[string]http.HandlerFunc{
		"GET /v2/models/iris": meta, "GET /v2/models/iris/versions/3": meta,
		"POST /v2/models/iris/infer": predict, "POST /v2/models/iris/versions/3/infer": predict,
	})
	return url, sent
}

func TestInferSendsABody(t *testing.T) {
	const body = `{"inputs":[]}`
	file := filepath.Join(t.TempDir(), "request.json")
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(want, in string, args ...string) {
		t.Helper()
		url, sent := predictor(t)
		got := command(t, in, append([]string{"infer", "iris", "--data", url}, args...))
		if diff := cmp.Diff(result{exitOK, "{\"model_name\":\"iris\"}\n", ""}, got, cmp.AllowUnexported(result{})); diff != "" {
			t.Errorf("%v (-want +got):\n%s", args, diff)
		}
		if *sent != want {
			t.Errorf("%v sent %q, want %q", args, *sent, want)
		}
	}
	f("/v2/models/iris/infer "+body, "", "--json", body)
	f("/v2/models/iris/versions/3/infer "+body, "", "--json", body, "--version", "3")
	f("/v2/models/iris/infer "+body, "", "--file", file)
	f("/v2/models/iris/infer "+body, body, "--file", "-")

	url, _ := predictor(t)
	got := command(t, "", []string{"infer", "none", "--json", "{}", "--data", url})
	if got.code != exitFailed || got.out != "" || got.errOut != "gateway: nothing at /v2/models/none/infer (404 Not Found)\n" {
		t.Errorf("an unknown model: %+v", got)
	}
	if got := command(t, "", []string{"infer", "iris", "--file", "none.json", "--data", url}); got.code != exitFailed {
		t.Errorf("no file: %+v", got)
	}
}

func TestInferExample(t *testing.T) {
	url, sent := predictor(t, client.TensorMetadata{Name: "x", Datatype: "INT64", Shape: []int64{-1, 2}})
	got := command(t, "", []string{"infer", "iris", "--example", "--rows", "3", "--data", url})
	if got.code != exitOK || got.out != "{\"model_name\":\"iris\"}\n" {
		t.Fatalf("%+v", got)
	}
	path, body, _ := strings.Cut(*sent, " ")
	if path != "/v2/models/iris/infer" || !strings.HasPrefix(body, `{"inputs":[{"name":"x","shape":[3,2],"datatype":"INT64","data":[`) {
		t.Errorf("sent %s", *sent)
	}
	if want := "POST " + url + path + "\n" + body + "\n\nversion 2, route iris@7 (sticky)\n"; got.errOut != want {
		t.Errorf("showed %q, want %q", got.errOut, want)
	}
	again := *sent
	if command(t, "", []string{"infer", "iris", "--example", "--rows", "3", "--data", url}); *sent != again {
		t.Error("two examples differ")
	}
}

func TestInferExampleShowsTheBeginningOfALongRequest(t *testing.T) {
	url, sent := predictor(t, client.TensorMetadata{Name: "x", Datatype: "INT64", Shape: []int64{-1, 1000}})
	got := command(t, "", []string{"infer", "iris", "--example", "--rows", "3", "--data", url})
	if got.code != exitOK || len(got.errOut) > maxShownBytes+300 || !strings.Contains(got.errOut, "bytes in all)") || len(*sent) < 6000 {
		t.Errorf("sent %d bytes and showed %d", len(*sent), len(got.errOut))
	}
}

func TestExampleOfEveryDatatype(t *testing.T) {
	f := func(datatype string, ok func(element any) bool) {
		t.Helper()
		body, err := exampleBody(client.Metadata{Inputs: []client.TensorMetadata{{Name: "x", Datatype: datatype, Shape: []int64{-1, 3, -1}}}}, 2)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct{ Inputs []exampleTensor }
		if err := json.Unmarshal(body, &doc); err != nil {
			t.Fatal(err)
		}
		in := doc.Inputs[0]
		if in.Datatype != datatype || cmp.Diff([]int64{2, 3, 1}, in.Shape) != "" || len(in.Data) != 6 {
			t.Errorf("%s: %s", datatype, body)
		}
		for _, element := range in.Data {
			if !ok(element) {
				t.Errorf("%s: element %v (%T)", datatype, element, element)
			}
		}
	}
	bit := func(e any) bool { return e == 0.0 || e == 1.0 }
	normal := func(e any) bool { n, ok := e.(float64); return ok && math.Abs(n) < 6 && !bit(e) }
	f("BOOL", func(e any) bool { return e == true || e == false })
	for _, integer := range []string{"UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"} {
		f(integer, bit)
	}
	for _, float := range []string{"FP16", "BF16", "FP32", "FP64"} {
		f(float, normal)
	}
	f("BYTES", func(e any) bool { return e == "0" || e == "1" })
}

func TestExampleThatCannotBe(t *testing.T) {
	f := func(datatype string, shape []int64, rows int64, part string) {
		t.Helper()
		_, err := exampleBody(client.Metadata{Inputs: []client.TensorMetadata{{Name: "x", Datatype: datatype, Shape: shape}}}, rows)
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s %v gives %v, want %q", datatype, shape, err, part)
		}
	}
	f("FP8", []int64{1}, 1, "datatype 'FP8'")
	f("FP32", []int64{-1, 1000}, 1e9, "larger than")
	f("FP32", []int64{1 << 62, 1 << 62}, 1, "larger than")
}

func TestExampleWithoutInputs(t *testing.T) {
	body, err := exampleBody(client.Metadata{}, 1)
	if err != nil || string(body) != `{"inputs":[]}` {
		t.Errorf("%s, %v", body, err)
	}
}
