package httpapi_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/rows"
)

const predictPath = "/v2/models/double/predict"

func named() *stub {
	return &stub{columns: map[string][]string{"x": {"a", "b", "c", "d"}}, only: "double"}
}

func TestRowsInRowsOut(t *testing.T) {
	addr := start(t, named(), nil)
	f := func(path, body, want string, fields ...string) {
		t.Helper()
		a := post(t, addr, path, body, fields...)
		if a.status != 200 || a.body != `{"predictions":[`+want+`]}` || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %s, want %s", path, body, a.status, a.body, want)
		}
	}
	const one, two = `{"y":[2,4,6,null]}`, `{"y":[2,4,6,null]},{"y":[10,12,14,16]}`
	const records = `[{"a":1,"b":2,"c":3,"d":null},{"d":8,"c":7,"b":6,"a":5}]`
	f(predictPath, records, two)
	f("/v2/models/double/versions/2/predict", records, two)
	f(predictPath, `{"dataframe_split":{"columns":["d","c","b","a"],"data":[[NaN,3,2,1]]}}`, one, "Content-Type: application/json; charset=utf-8")
	f(predictPath, `{"instances":[[1,2,3,null],[5,6,7,8]]}`, two, "Content-Type: application/x-www-form-urlencoded") // curl -d
	f(predictPath, "a,b,c,d\n1,2,3,\n5,6,7,8\n", two, "Content-Type: text/csv")
	f(predictPath, "1,2,3,NaN\n5,6,7,8\n", two, "content-type: TEXT/CSV; charset=utf-8; header=absent")
	f(predictPath, "0,1,2,3\n1,2,3,NaN\n", one, `Content-Type: text/csv;header="present"`)
	f(predictPath, gzipped(records), two, "Content-Encoding: gzip")
	f(predictPath, "[]", "")
	// One output: no name.
	f("/invocations", records, `[2,4,6,null],[10,12,14,16]`)
	f("/invocations", "1,2,3,4\n", `[2,4,6,8]`, "Content-Type: text/csv")
}

func TestRowsWithoutNames(t *testing.T) {
	addr := start(t, &stub{}, nil)
	if a := post(t, addr, predictPath, `[[1,2,3,4]]`); a.status != 200 || a.body != `{"predictions":[{"y":[2,4,6,8]}]}` {
		t.Errorf("%+v", a)
	}
	a := post(t, addr, predictPath, `[{"a":1}]`)
	if a.status != 400 || !strings.Contains(a.body, "unknown columns 'a'; model 'double' expects 'x'; name the values of its rows in the setting models.double.columns") {
		t.Errorf("%+v", a)
	}
}

func TestRowsAreRefused(t *testing.T) {
	s := named()
	addr := start(t, s, func(o *options) { o.Limits.MaxRows, o.Limits.MaxColumns = 2, 4 })
	f := func(path, body string, status int, text string, fields ...string) {
		t.Helper()
		if a := post(t, addr, path, body, fields...); a.status != status || !strings.Contains(a.body, text) {
			t.Errorf("%s %.60s: %d %s, want %d %s", path, body, a.status, a.body, status, text)
		}
	}
	f(predictPath, `[{"a":1,"b":2,"c":"x","d":4}]`, 400, `row 0, column 'c': expected a number for FP32, got \"x\"`)
	f(predictPath, `[[1,2,3,4],[1,2,3,4],[1,2,3,4]]`, 400, "3 rows are more than the limit of 2")
	f(predictPath, "a,b,c,d,e\n", 400, "5 columns are more than the limit of 4", "Content-Type: text/csv")
	f(predictPath, good, 400, "tensors with a datatype and a shape go to the endpoint infer")
	f(predictPath, "1,2,3,4\n", 400, "expected an object or a list") // no type: JSON
	f(predictPath, "1,2,3,4\n", 400, "expected an object or a list", "Content-Type: application/json")
	const taken = "is not supported; send rows as application/json or as text/csv"
	f(predictPath, "\x89PNG", 415, "a body of type 'image/png' "+taken, "Content-Type: image/png")
	f(predictPath, "--x", 415, taken, "Content-Type: multipart/form-data; boundary=x")
	f(predictPath, "a=1", 415, taken, "Content-Type: application/x-www-form-urlencoded")
	f(predictPath, "PAR1", 415, taken, "Content-Type: application/vnd.apache.parquet")
	f("/invocations", "PAR1", 415, taken, "Content-Type: application/vnd.apache.parquet")
	f("/v2/models/nope/predict", "[]", 404, "Request for unknown model: 'nope' is not found")
	f("/v2/models/double/versions/7/predict", "[]", 404, "version 7 is not found")
	s.only = "gone"
	f("/invocations", "[]", 404, "Request for unknown model: 'gone' is not found")
}

// A request of rows is picked, limited and named like any other.
func TestRowsReachThePredictor(t *testing.T) {
	s, last := picking(infer.Called{StickyHeader: "X-User-Id"})
	s.only = "double"
	inner := s.predict
	s.predict = func(ctx context.Context, req *infer.Request) (*infer.Response, error) {
		if req.RequestID != "my-id" || req.Arrived.IsZero() || req.Memory == nil || req.Model != "double" {
			t.Errorf("got %+v", req)
		}
		return inner(ctx, req)
	}
	addr := start(t, s, overriding)
	for _, path := range []string{predictPath, "/invocations"} {
		a := post(t, addr, path, `[[1,2,3,4]]`, "X-User-Id: alice", "Sluice-Override: 2", "Authorization: Bearer x", "X-Request-Id: my-id")
		if a.status != 200 || a.header.Get("Sluice-Version") != "1" || a.header.Get("X-Request-Id") != "my-id" {
			t.Errorf("%+v", a)
		}
		if got := last(); got != (picked{"alice", "2"}) {
			t.Errorf("%+v", got)
		}
	}
	if a := post(t, addr, "/v2/models/double/versions/2/predict", `[[1,2,3,4]]`, "X-Request-Id: my-id"); a.header.Get("Sluice-Version") != "2" {
		t.Errorf("%+v", a)
	}
	s.predict = func(context.Context, *infer.Request) (*infer.Response, error) {
		return nil, &infer.Error{Code: infer.Overloaded, Msg: "queue full", RetryAfter: 2 * time.Second}
	}
	if a := post(t, addr, predictPath, `[[1,2,3,4]]`); a.status != 429 || a.header.Get("Retry-After") != "2" {
		t.Errorf("%+v", a)
	}
}

// The names of classes are those of the version that answered.
func TestRowsAreLabelled(t *testing.T) {
	s := &stub{labels: []string{"w", "x", "y", "z"}, only: "double"}
	addr := start(t, s, nil)
	for _, path := range []string{predictPath, "/v2/models/double/versions/2/predict", "/invocations"} {
		if a := post(t, addr, path, `[[1,4,3,4]]`); a.body != `{"predictions":[{"y":[2,8,6,8],"y_label":"x"}]}` {
			t.Errorf("%s: %+v", path, a)
		}
	}
	s.predict = func(_ context.Context, req *infer.Request) (*infer.Response, error) {
		req.Served.Version.Number = 9 // as if a fallback had answered that was unloaded since
		return double(req), nil
	}
	if a := post(t, addr, predictPath, `[[1,4,3,4]]`); a.body != `{"predictions":[{"y":[2,8,6,8]}]}` || a.header.Get("Sluice-Version") != "9" {
		t.Errorf("%+v", a)
	}
}

func TestRowsAndNonFinite(t *testing.T) {
	const body = `[[NaN,Infinity,-Infinity,0]]`
	f := func(choice rows.NonFinite, status int, want string) {
		t.Helper()
		addr := start(t, &stub{}, func(o *options) { o.RowsNonFinite = choice })
		if a := post(t, addr, predictPath, body); a.status != status || !strings.Contains(a.body, want) {
			t.Errorf("%+v", a)
		}
	}
	f(rows.NonFiniteNull, 200, `{"y":[null,null,null,0]}`)
	f(rows.NonFiniteTokens, 200, `{"y":[NaN,Infinity,-Infinity,0]}`)
	f(rows.NonFiniteError, 400, `output 'y', row 0: JSON cannot express NaN`)
}

// A decoded data frame takes its part of the memory limit, and its answer is limited.
func TestRowsTakeMemory(t *testing.T) {
	body := "[" + strings.Repeat("[1,2,3,4],", 100_000) + "[1,2,3,4]]" // 1 MB, 1.6 MB of tensors
	s := named()
	srv, held, stop := serve(t, s, func(o *options) { o.Limits.MaxBodyBytes, o.Bounds.MaxMemory = 2<<20, 4<<20 })
	t.Cleanup(func() {
		if err := stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	addr := srv.Addr().String()
	if a := post(t, addr, predictPath, body); a.status != 413 || !strings.Contains(a.body, "more than the") {
		t.Errorf("%d %.200s", a.status, a.body)
	}
	if a := post(t, addr, predictPath, "["+strings.Repeat("[1,2,3,4],", 10_000)+"[1,2,3,4]]"); a.status != 200 || strings.Count(a.body, `"y":[2,4,6,8]`) != 10_001 {
		t.Errorf("%d %.200s", a.status, a.body)
	}
	for end := time.Now().Add(20 * time.Second); held() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d bytes stay taken", held())
		}
	}
	small := start(t, named(), func(o *options) { o.Limits.MaxResponseBytes = 15 })
	if a := post(t, small, predictPath, `[[1,2,3,4]]`); a.status != 413 || !strings.Contains(a.body, "the answer takes 16 bytes") {
		t.Errorf("%+v", a)
	}
}

// An answer in rows can be larger than its outputs. It is refused while it grows.
func TestRowsAnswerIsLimited(t *testing.T) {
	s := named()
	s.predict = func(_ context.Context, req *infer.Request) (*infer.Response, error) {
		resp := infer.NewResponse()
		out := resp.Add("y", 0, infer.FP32, req.Inputs[0].Shape, len(req.Inputs[0].Data))
		for i := 0; i < len(out); i += 4 {
			copy(out[i:], floats(math.MaxFloat32/3))
		}
		return resp, nil
	}
	addr := start(t, s, func(o *options) { o.Limits.MaxResponseBytes = 400_000 })
	if a := post(t, addr, predictPath, "["+strings.Repeat("[1,2,3,4],", 24_999)+"[1,2,3,4]]"); a.status != 413 || !strings.Contains(a.body, "the answer takes") {
		t.Errorf("%d %.200s", a.status, a.body)
	}
}

func TestPing(t *testing.T) {
	for _, compat := range []string{"", "triton"} {
		addr := start(t, &stub{notReady: true}, func(o *options) { o.Compat = compat })
		if a := get(t, addr, "/ping"); a.status != 503 || a.body != `{"live":true,"ready":false,"error":"the server is not ready"}` {
			t.Errorf("%+v", a)
		}
	}
}
