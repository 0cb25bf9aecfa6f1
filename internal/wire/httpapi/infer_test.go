package httpapi_test

import (
	"context"
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/internal/infer"
)

func floats(values ...float32) string {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return string(b)
}

const binaryHead = `{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","parameters":{"binary_data_size":16}}]`

func TestInferAnswersJSON(t *testing.T) {
	addr := start(t, &stub{}, nil)
	a := post(t, addr, inferPath, good)
	if a.status != 200 || a.body != goodAnswer || a.header.Get("Content-Type") != "application/json" || a.header.Get("Inference-Header-Content-Length") != "" {
		t.Errorf("%+v", a)
	}
	if a.header.Get("Sluice-Version") != "1" || a.header.Get("Sluice-Route") != "double@0" || a.header.Get("Sluice-Reason") != "default" {
		t.Errorf("headers %v", a.header)
	}
	if a := post(t, addr, "/v2/models/double/versions/2/infer", good); a.header.Get("Sluice-Version") != "2" || a.header.Get("Sluice-Reason") != "pinned" {
		t.Errorf("headers %v", a.header)
	}
	bad := post(t, addr, inferPath, strings.Replace(good, "[1,4]", "[4]", 1))
	if bad.status != 400 || bad.header.Get("Sluice-Version") != "1" { // after a version was picked
		t.Errorf("%+v", bad)
	}
	if a := post(t, addr, "/v2/models/nope/infer", good); a.status != 404 || a.header.Get("Sluice-Version") != "" {
		t.Errorf("%+v", a)
	}
}

// Classes are computed after Predict has returned: drift and shadows get the model's values.
func TestInferAnswersClasses(t *testing.T) {
	addr := start(t, &stub{}, func(o *options) { o.Limits.Tensors.MaxClassified = 8 })
	ask := func(rows, classes string) string {
		data := strings.TrimSuffix(strings.Repeat("1,4,2,3,", int(rows[0]-'0')), ",")
		return `{"inputs":[{"name":"x","shape":[` + rows + `,4],"datatype":"FP32","data":[` + data + `]}],"outputs":[{"name":"y","parameters":{"classification":` + classes + `}}]}`
	}
	a := post(t, addr, inferPath, ask("2", "1"))
	if want := `"outputs":[{"name":"y","datatype":"BYTES","shape":[2,1],"data":["8.000000:1","8.000000:1"]}]}`; a.status != 200 || !strings.HasSuffix(a.body, want) {
		t.Errorf("%d %s, want %s", a.status, a.body, want)
	}
	for range 2 { // the second time with returned memory
		if a := post(t, addr, inferPath, ask("3", "1")); a.status != 400 || !strings.Contains(a.body, "classification takes at most 8 elements") {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

func TestInferBinaryBothWays(t *testing.T) {
	addr := start(t, &stub{}, nil)
	head := binaryHead + `,"parameters":{"binary_data_output":true}}`
	a := post(t, addr, inferPath, head+floats(1, 2, 3, 4), "inference-header-content-length: "+itoa(len(head)))
	const doc = `{"model_name":"double","model_version":"1","outputs":[{"name":"y","datatype":"FP32","shape":[1,4],"parameters":{"binary_data_size":16}}]}`
	if a.status != 200 || a.body != doc+floats(2, 4, 6, 8) {
		t.Errorf("%d %q", a.status, a.body)
	}
	if a.header.Get("Inference-Header-Content-Length") != itoa(len(doc)) || a.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("headers %v", a.header)
	}
	raw := post(t, addr, inferPath, floats(1, 2, 3, 4), "Inference-Header-Content-Length: 0")
	if raw.status != 200 || raw.body != a.body {
		t.Errorf("raw body: %d %q", raw.status, raw.body)
	}
	if a := post(t, addr, inferPath, good, "Inference-Header-Content-Length: "+itoa(len(good))); a.body != goodAnswer {
		t.Errorf("length of the whole body: %+v", a)
	}
	if a := post(t, addr, "/v2/models/nope/infer", floats(1), "Inference-Header-Content-Length: 0"); a.status != 404 {
		t.Errorf("raw body, unknown model: %+v", a)
	}
}

func TestLengthHeaderIsChecked(t *testing.T) {
	addr := start(t, &stub{}, nil)
	body := binaryHead + "}" + floats(1, 2, 3, 4)
	for _, v := range []string{"-5", "abc", "", "+99", "10.5", "1e2", "0x10", "2147483648", "9223372036854775808", "99999999999999999999", itoa(len(body) + 1), "5, 5"} {
		a := post(t, addr, inferPath, body, "Inference-Header-Content-Length: "+v)
		if a.status != 400 || !strings.Contains(a.body, "Inference-Header-Content-Length should be in range [0, "+itoa(len(body))+"], got: '"+v+"'") {
			t.Errorf("%q: %+v", v, a)
		}
	}
	for _, v := range []string{"10", itoa(len(body)), itoa(len(body) - 15), itoa(len(body) - 17)} {
		if a := post(t, addr, inferPath, body, "Inference-Header-Content-Length: "+v); a.status != 400 {
			t.Errorf("%q: %+v", v, a)
		}
	}
	if a := post(t, addr, inferPath, body); a.status != 400 { // without the header the whole body is JSON
		t.Errorf("no header: %+v", a)
	}
	if a := post(t, addr, inferPath, ""); a.status != 400 {
		t.Errorf("no body: %+v", a)
	}
}

// Each error of Predict becomes a status, a text and, for some, a Retry-After.
func TestErrorsOfPredict(t *testing.T) {
	s := &stub{}
	f := func(compat string, err error, status int, text, retry string) {
		t.Helper()
		core, logs := observer.New(zap.ErrorLevel)
		s.predict = func(context.Context, *infer.Request) (*infer.Response, error) { return nil, err }
		addr := start(t, s, func(o *options) { o.Compat, o.Logger = compat, zap.New(core) })
		a := post(t, addr, inferPath, good, "X-Request-Id: my-id")
		if a.status != status || a.body != `{"error":"`+text+`"}` || a.header.Get("Retry-After") != retry {
			t.Errorf("%v: %+v", err, a)
		}
		if a.header.Get("Sluice-Version") != "1" || a.header.Get("X-Request-Id") != "my-id" || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%v: headers %v", err, a.header)
		}
		lines := logs.All()
		if internal := status == 500; internal != (len(lines) == 1) {
			t.Errorf("%v: %d lines logged", err, len(lines))
		} else if internal {
			if m := lines[0].ContextMap(); m["request_id"] != "my-id" || m["error"] != err.Error() {
				t.Errorf("logged %v", m)
			}
		}
	}
	f("", infer.Errorf(infer.Overloaded, "queue full"), 429, "queue full", "1")
	f("", &infer.Error{Code: infer.Overloaded, Msg: "queue full", RetryAfter: 2500 * time.Millisecond}, 429, "queue full", "3")
	f("", infer.Errorf(infer.Unavailable, "loading"), 503, "loading", "1")
	f("", infer.Errorf(infer.Deadline, "too late"), 504, "too late", "")
	f("", context.DeadlineExceeded, 504, "deadline exceeded", "")
	f("", infer.Errorf(infer.Unsupported, "no \"such\" thing"), 501, `no \"such\" thing`, "")
	f("", &infer.Error{Code: infer.Internal, Op: "ort: run", Msg: "secret"}, 500, "internal error; the log has the details under this request id", "")
	f("triton", infer.Errorf(infer.Overloaded, "queue full"), 503, "queue full", "1")
	f("triton", infer.Errorf(infer.Deadline, "too late"), 503, "too late", "")
}

func TestPanicIsAnsweredAndContained(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	s := &stub{predict: func(_ context.Context, req *infer.Request) (*infer.Response, error) {
		if req.Version == 2 {
			panic("BUG: on purpose")
		}
		return double(req), nil
	}}
	addr := start(t, s, func(o *options) { o.Logger, o.Bounds.MaxInFlight = zap.New(core), 1 })
	a := post(t, addr, "/v2/models/double/versions/2/infer", good, "X-Request-Id: my-id")
	if a.status != 500 || strings.Contains(a.body, "purpose") || !a.close {
		t.Errorf("%+v", a)
	}
	if lines := logs.All(); len(lines) != 1 || lines[0].ContextMap()["request_id"] != "my-id" ||
		!strings.Contains(lines[0].ContextMap()["error"].(string), "infer_test.go") {
		t.Errorf("logged %v", logs.All())
	}
	if a := post(t, addr, inferPath, good); a.status != 200 || a.body != goodAnswer {
		t.Errorf("after the panic: %+v", a)
	}
}

func TestRequestReachesThePredictor(t *testing.T) {
	s := &stub{}
	s.predict = func(ctx context.Context, req *infer.Request) (*infer.Response, error) {
		if ctx.Err() != nil || req.ID != "7" || req.Model != "double" || req.Version != 2 || req.Arrived.IsZero() || req.Priority != 1 {
			t.Errorf("got %+v", req)
		}
		return double(req), nil
	}
	addr := start(t, s, nil)
	body := strings.Replace(good, "{", `{"id":"7","parameters":{"priority":1},`, 1)
	if a := post(t, addr, "/v2/models/double/versions/2/infer", body, "X-Request-Id: my-id"); a.status != 200 || !strings.HasPrefix(a.body, `{"id":"7",`) {
		t.Errorf("%+v", a)
	}
}

func TestRequestID(t *testing.T) {
	addr := start(t, &stub{}, nil)
	for _, id := range []string{"a", "A-z_0.9:/+=@~", strings.Repeat("x", 128)} {
		if got := get(t, addr, "/v2", "x-request-ID: "+id).header.Get("X-Request-Id"); got != id {
			t.Errorf("%q became %q", id, got)
		}
	}
	seen := map[string]bool{}
	for _, id := range []string{"", " ", "a b", "a\"b", "a,b", "a\tb", "é", strings.Repeat("x", 129)} {
		got := get(t, addr, "/v2", "X-Request-Id: "+id).header.Get("X-Request-Id")
		if got == "" || got == id || seen[got] {
			t.Errorf("%q became %q", id, got)
		}
		seen[got] = true
	}
}

func TestMaxInFlight(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s := &stub{predict: func(_ context.Context, req *infer.Request) (*infer.Response, error) {
		entered <- struct{}{}
		<-release
		return double(req), nil
	}}
	addr := start(t, s, func(o *options) { o.Bounds.MaxInFlight = 1 })
	first := make(chan answer)
	go func() { first <- post(t, addr, inferPath, good) }()
	<-entered
	a := post(t, addr, inferPath, good)
	if a.status != 429 || a.body != `{"error":"more than 1 requests in progress, try again later"}` || a.header.Get("Retry-After") != "1" || a.close {
		t.Errorf("%+v", a)
	}
	if a := get(t, addr, "/v2/health/ready"); a.status != 200 {
		t.Errorf("health under load: %+v", a)
	}
	close(release)
	if a := <-first; a.status != 200 {
		t.Errorf("%+v", a)
	}
}

func TestMaxResponse(t *testing.T) {
	addr := start(t, &stub{}, func(o *options) { o.Limits.MaxResponseBytes = 15 })
	if a := post(t, addr, inferPath, good); a.status != 413 || !strings.Contains(a.body, "the answer takes 16 bytes, more than the limit of 15") {
		t.Errorf("%+v", a)
	}
}

func TestLargeBodiesComeBackWhole(t *testing.T) {
	addr := start(t, &stub{}, nil)
	const rows = 200_000 // 3.2 MB, more than a connection keeps
	head := strings.Replace(binaryHead, "[1,4]", "["+itoa(rows)+",4]", 1)
	head = strings.Replace(head, "16", itoa(16*rows), 1) + `,"parameters":{"binary_data_output":true}}`
	a := post(t, addr, inferPath, head+strings.Repeat(floats(1, 2, 3, 4), rows), "Inference-Header-Content-Length: "+itoa(len(head)))
	if a.status != 200 || !strings.HasSuffix(a.body, strings.Repeat(floats(2, 4, 6, 8), rows)) {
		t.Errorf("%d, %d bytes", a.status, len(a.body))
	}
}
