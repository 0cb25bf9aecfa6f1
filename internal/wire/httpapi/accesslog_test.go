package httpapi_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/internal/wire/front"
)

// logged sends requests and returns their lines in the access log.
func logged(t *testing.T, opts front.AccessLog, requests ...string) []observer.LoggedEntry {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	addr, stop := run(t, &stub{}, func(o *options) { o.Logger, o.AccessLog = zap.New(core), opts })
	for _, r := range requests {
		_ = send(t, addr, r)
	}
	if err := stop(t.Context()); err != nil { // after it every line is there
		t.Fatal(err)
	}
	return logs.FilterMessage("request").All()
}

func repeat(n int, request string) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = request
	}
	return list
}

func TestAccessLogFields(t *testing.T) {
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	lines := logged(t, front.AccessLog{Enabled: true, SampleEvery: 1, MaxErrors: 100},
		request("POST", inferPath+"?q=1", good, "X-Request-Id: my-id", "traceparent: 00-"+trace+"-00f067aa0ba902b7-01"),
		request("GET", "/v2/models/nope", "", "traceparent: 00-"+trace+"-0000000000000000-01"))
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	m := lines[0].ContextMap()
	for name, want := range map[string]any{
		"method": "POST", "path": inferPath, "status": int64(200), "request_bytes": int64(len(good)), "response_bytes": int64(len(goodAnswer)),
		"request_id": "my-id", "route": "double@0", "version": int64(1), "reason": "default", "trace_id": trace,
	} {
		if m[name] != want {
			t.Errorf("%s is %v, want %v", name, m[name], want)
		}
	}
	if m["duration_seconds"] == nil || m["remote"] == nil || m["traceparent"] == nil {
		t.Errorf("%v", m)
	}
	m = lines[1].ContextMap()
	if m["status"] != int64(404) || m["trace_id"] != nil || m["version"] != nil || m["code"] != "not_found" || !strings.Contains(m["error"].(string), "'nope'") {
		t.Errorf("%v", m)
	}
	// Every line about an error has the text of the error.
	for _, line := range logged(t, front.AccessLog{Enabled: true, SampleEvery: 1, MaxErrors: 100}, request("POST", inferPath, "{"),
		request("GET", "/nope", ""), request("PUT", "/v2", ""), request("GET", "/v2/models/nope/ready", ""), "garbage\r\n\r\n") {
		m := line.ContextMap()
		if code, _ := m["code"].(string); code == "" || code == "ok" || m["error"] == "" {
			t.Errorf("no error in %v", m)
		}
	}
}

func TestAccessLogSamples(t *testing.T) {
	if n := len(logged(t, front.AccessLog{Enabled: true, SampleEvery: 4, MaxErrors: 100}, repeat(10, request("GET", "/v2", ""))...)); n != 2 {
		t.Errorf("%d of 10 logged, want every 4th", n)
	}
	if n := len(logged(t, front.AccessLog{}, repeat(3, request("GET", "/v2", ""))...)); n != 0 {
		t.Errorf("%d logged although it is off", n)
	}
	// Requests for unknown paths are sampled too, except for the first.
	if n := len(logged(t, front.AccessLog{Enabled: true, SampleEvery: 4, MaxErrors: 100}, append(repeat(4, request("GET", "/nope", "")),
		repeat(4, request("DELETE", "/v2", ""))...)...)); n != 2 {
		t.Errorf("%d of 8 for what is not there are logged, want the 1st and the 5th", n)
	}
	// Other errors are always logged. Those above the limit of a second are counted.
	n := len(logged(t, front.AccessLog{Enabled: true, SampleEvery: 1000, MaxErrors: 3}, repeat(10, request("POST", inferPath, "{}"))...))
	if n < 3 || n > 9 { // 3 a second, if the second changes in between
		t.Errorf("%d of 10 errors logged", n)
	}
	if n := len(logged(t, front.AccessLog{Enabled: true, SampleEvery: 1, MaxErrors: 100}, "garbage\r\n\r\n")); n != 1 {
		t.Errorf("%d lines for garbage", n)
	}
}

// Text from a caller cannot end a line or start an escape sequence, with any encoder.
func TestAccessLogIsInjectionSafe(t *testing.T) {
	var out bytes.Buffer
	config := zap.NewDevelopmentEncoderConfig()
	config.EncodeDuration = zapcore.SecondsDurationEncoder // otherwise "µs"
	core := zapcore.NewCore(zapcore.NewConsoleEncoder(config), zapcore.AddSync(&out), zap.InfoLevel)
	addr, stop := run(t, &stub{explicit: true}, func(o *options) {
		o.Logger, o.AccessLog = zap.New(core), front.AccessLog{Enabled: true, SampleEvery: 1, MaxErrors: 100}
	})
	for _, r := range []string{
		request("GET", "/v2/models/\x80\x9b31m%0Afake", ""),
		request("GET", "/v2/models/a\u2028b", ""),
		request("GET", "/v2", "", "X-Request-Id: \x1b[31m", "traceparent: \x1b[31m"),
		request("GET", `/v2/models/"},{"`, ""),
		request("POST", "/v2/repository/models/%1b%5b31m/load", ""),
		"F\x1b[31mOO /v2 HTTP/1.1\r\nHost: a\r\n\r\n",
		request("GET", "/v2/models/"+strings.Repeat("x", 10_000), ""),
	} {
		_ = send(t, addr, r)
	}
	if err := stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSuffix(line, "\n")
		if i := strings.IndexFunc(line, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }); i >= 0 || len(line) > 1000 {
			t.Errorf("line with %q: %q", line[max(0, i):], line)
		}
		if i := strings.Index(line, "{"); i < 0 || !json.Valid([]byte(line[i:])) {
			t.Errorf("no JSON in %q", line)
		}
	}
}
