package httpapi_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/oip"
)

const v1Path = "/v1/models/double:predict"

func TestV1Predict(t *testing.T) {
	addr := start(t, named(), nil)
	f := func(path, body, want string, fields ...string) {
		t.Helper()
		a := post(t, addr, path, body, fields...)
		if a.status != 200 || a.body != want || a.header.Get("Content-Type") != "application/json" || a.header.Get("Sluice-Reason") == "" {
			t.Errorf("%s %s: %d %s, want %s", path, body, a.status, a.body, want)
		}
	}
	const rows, columns = `{"predictions":[[2,4,6,8],[10,12,14,16]]}`, `{"outputs":[[2,4,6,8],[10,12,14,16]]}`
	f(v1Path, `{"instances":[[1,2,3,4],[5,6,7,8]]}`, rows)
	f("/v1/models/double/versions/2:predict", `{"signature_name":"serving_default","instances":[{"x":[1,2,3,4]},{"x":[5,6,7,8]}]}`, rows)
	f("/v1/models/double%3Apredict", `{"instances":[{"a":1,"b":2,"c":3,"d":4},{"d":8,"c":7,"b":6,"a":5}]}`, rows, "Content-Type: application/x-www-form-urlencoded")
	f("/v1/models/double/labels/stable:predict", `{"instances":[[1,2,3,4],[5,6,7,8]]}`, rows)
	f(v1Path, `{"inputs":[[1,2,3,4],[5,6,7,8]]}`, columns)
	f(v1Path, `{"inputs":{"x":[[1,2,3,4],[5,6,7,8]]},"signature_name":"any"}`, columns)
	f(v1Path, gzipped(`{"inputs":[[1,2,3,4],[5,6,7,8]]}`), columns, "Content-Encoding: gzip")
	f(v1Path, `{"instances":[[NaN,2,3,Infinity]]}`, `{"predictions":[[NaN,4,6,Infinity]]}`)
	f(v1Path, `{"instances":[]}`, `{"predictions":[]}`)
}

func TestV1AndNonFinite(t *testing.T) {
	addr := start(t, &stub{}, func(o *options) { o.Encode.NonFinite = oip.NonFiniteError })
	if a := post(t, addr, v1Path, `{"inputs":[[NaN,2,3,4]]}`); a.status != 400 || !strings.Contains(a.body, "output 'y': JSON cannot express NaN") {
		t.Errorf("%+v", a)
	}
}

func TestV1IsRefused(t *testing.T) {
	addr := start(t, named(), func(o *options) { o.Limits.MaxRows = 2 })
	f := func(path, body string, status int, text string, fields ...string) {
		t.Helper()
		if a := post(t, addr, path, body, fields...); a.status != status || !strings.Contains(a.body, text) {
			t.Errorf("%s %.60s: %d %s, want %d %s", path, body, a.status, a.body, status, text)
		}
	}
	f(v1Path, `[[1,2,3,4]]`, 400, "expected an object, found")
	f(v1Path, `{"dataframe_split":{"data":[]}}`, 400, "expected 'instances' (rows) or 'inputs' (columns)")
	f(v1Path, `{"instances":[],"inputs":[]}`, 400, "are both given")
	f(v1Path, `{"instances":[[1,2,3,4],[1,2,3,4],[1,2,3,4]]}`, 400, "3 rows are more than the limit of 2")
	f(v1Path, `{"instances":[{"x":{"b64":"AAAA"}}]}`, 400, "expected")
	f(v1Path, "1,2,3,4\n", 415, "a body of type 'text/csv' is not supported; send JSON", "Content-Type: text/csv")
	f("/v1/models/double/labels/none:predict", "{}", 404, "model 'double' has no alias 'none'")
	f("/v1/models/double/labels/:predict", "{}", 404, "Not Found")
	f("/v1/models/double/labels/stable:classify", "{}", 501, "use ':predict'")
	f("/v1/models/double:classify", "{}", 501, "':classify' is not supported, use ':predict'")
	f("/v1/models/nope:predict", "{}", 404, "Request for unknown model: 'nope' is not found")
	f("/v1/models/double/versions/x:predict", "{}", 404, "Not Found")
	f("/v1/models/:predict", "{}", 404, "Not Found")
	f("/v1/models/double", "{}", 405, "Method Not Allowed")
	if a := get(t, addr, v1Path); a.status != 405 || !strings.HasPrefix(a.header.Get("Allow"), "POST") {
		t.Errorf("%+v", a)
	}
}

// An answer in the column format does not need a row for each row of the request.
func TestV1OutputsOfAnyShape(t *testing.T) {
	s := named()
	s.predict = func(context.Context, *infer.Request) (*infer.Response, error) {
		resp := infer.NewResponse()
		copy(resp.Add("y", 0, infer.FP32, infer.Shape{}, 4), floats(7))
		return resp, nil
	}
	addr := start(t, s, nil)
	if a := post(t, addr, v1Path, `{"inputs":[[1,2,3,4],[5,6,7,8]]}`); a.body != `{"outputs":7}` {
		t.Errorf("%+v", a)
	}
	if a := post(t, addr, v1Path, `{"instances":[[1,2,3,4],[5,6,7,8]]}`); a.status != 501 {
		t.Errorf("%+v", a)
	}
	s.predict = nil
	small := start(t, named(), func(o *options) { o.Limits.MaxResponseBytes = 15 })
	if a := post(t, small, v1Path, `{"inputs":[[1,2,3,4]]}`); a.status != 413 || !strings.Contains(a.body, "the answer takes 16 bytes") {
		t.Errorf("%+v", a)
	}
}

func TestV1Status(t *testing.T) {
	addr := start(t, &stub{}, nil)
	f := func(path string, status int, want string) {
		t.Helper()
		if a := get(t, addr, path); a.status != status || a.body != want {
			t.Errorf("%s: %d %s, want %d %s", path, a.status, a.body, status, want)
		}
	}
	const ok = `"state":"AVAILABLE","status":{"error_code":"OK","error_message":""}}`
	f("/v1/models", 200, `{"models":["double"]}`)
	f("/v1/models/double", 200, `{"name":"double","ready":true,"model_version_status":[{"version":"2",`+ok+`,{"version":"1",`+ok+`]}`)
	f("/v1/models/double/versions/1", 200, `{"name":"double","ready":true,"model_version_status":[{"version":"1",`+ok+`]}`)
	f("/v1/models/double/labels/stable", 200, `{"name":"double","ready":true,"model_version_status":[{"version":"1",`+ok+`]}`)
	f("/v1/models/double/labels/none", 404, `{"error":"model 'double' has no alias 'none'"}`)
	f("/v1/models/double/versions/9", 404, `{"error":"Request for unknown model: 'double' version 9 is not found"}`)
	f("/v1/models/nope", 404, `{"error":"Request for unknown model: 'nope' is not found"}`)
	f("/v1/models/..", 400, get(t, addr, "/v2/models/..").body)
}

// A model that cannot serve is described, with the status of readiness.
func TestV1StatusOfBrokenModel(t *testing.T) {
	addr := start(t, &stub{broken: true}, nil)
	a := get(t, addr, "/v1/models/broken")
	const want = `{"name":"broken","ready":false,"error":"Request for unknown model: 'broken' is not found","model_version_status":[` +
		`{"version":"3","state":"END","status":{"error_code":"UNAVAILABLE","error_message":"not a model"}}]}`
	if a.status != 503 || a.body != want || a.header.Get("Retry-After") == "" {
		t.Errorf("%+v", a)
	}
}

func TestV1Metadata(t *testing.T) {
	addr := start(t, &stub{}, nil)
	for path, version := range map[string]string{"/v1/models/double/metadata": "1", "/v1/models/double/versions/2/metadata": "2"} {
		a := get(t, addr, path)
		var doc struct {
			Spec struct {
				Name, Version string
			} `json:"model_spec"`
			Metadata struct {
				Signatures struct {
					Signatures map[string]struct {
						Inputs map[string]json.RawMessage
					} `json:"signature_def"`
				} `json:"signature_def"`
			}
		}
		if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.status != 200 {
			t.Fatalf("%+v: %v", a, err)
		}
		const want = `{"name":"x","dtype":"DT_FLOAT","tensor_shape":{"dim":[{"size":"-1","name":""},{"size":"4","name":""}],"unknown_rank":false}}`
		got := string(doc.Metadata.Signatures.Signatures["serving_default"].Inputs["x"])
		if doc.Spec.Name != "double" || doc.Spec.Version != version || got != want {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	if a := get(t, addr, "/v1/models/nope/metadata"); a.status != 404 {
		t.Errorf("%+v", a)
	}
}
