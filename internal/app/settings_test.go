package app_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/testing/otlp"
)

// anyone lets anonymous callers do everything, on the data plane too, and the one with the key "t" of
// the recorded calls of a Triton.
var anyone = "callers: {anonymous: {allow: [{models: ['*'], actions: [" + strings.Join(callers.ActionNames(), ", ") + "]}]}, " +
	"recorded: {keys: ['" + config.HashKey("t") + "'], allow: [{models: ['*'], actions: [infer]}]}}"

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// Each level is turned on and off by itself, the journal has who did it, and only a reload that
// brings another level from the file changes it back.
func TestLogSettingsTakeEffect(t *testing.T) {
	dir := doubles(t, 1)
	g := startOn(t, &fakes{}, dir, anyone)
	f := func(body, want string) {
		t.Helper()
		if body != "" {
			g.must(t, http.MethodPost, g.url+"/v2/logging", body)
		}
		var got strings.Builder
		for level := zapcore.DebugLevel; level <= zapcore.FatalLevel; level++ {
			if g.levels.Enabled(level) {
				got.WriteString(level.CapitalString()[:1])
			}
		}
		if got.String() != want {
			t.Errorf("%s: the levels are %s, want %s", body, got.String(), want)
		}
	}
	f("", "IWEDPF")
	f(`{"log_verbose_level":2}`, "DIWEDPF")
	f(`{"log_verbose_level":0,"log_info":false}`, "WEDPF")
	f(`{"log_info":true,"log_warning":false,"log_error":false}`, "IDPF")
	g.must(t, http.MethodPost, g.admin+"/-/reload", "")
	f("", "IDPF")
	g.configure(t, dir, "log: {level: warn}", anyone)
	g.must(t, http.MethodPost, g.admin+"/-/reload", "")
	f("", "WEDPF")
	if text := g.must(t, http.MethodGet, g.admin+"/api/v1/journal?type=logging.changed", ""); strings.Count(text, `"logging.changed"`) != 3 || !strings.Contains(text, `"anonymous"`) {
		t.Errorf("the journal has %s", text)
	}
}

// Trace settings change what is traced: of all models, or of one.
func TestTraceSettingsTakeEffect(t *testing.T) {
	var to otlp.Receiver
	endpoint, _ := to.ServeGRPC(t, "")
	dir := doubles(t, 1)
	put(t, dir, "other", 1, scale(t, 2))
	models := "models: {double: {" + fakeModels + "}, other: {" + fakeModels + "}}"
	g := startOn(t, &fakes{}, dir, tracingTo(endpoint, ", sample: 0.01"), models, anyone)
	const all, double = "/v2/trace/setting", "/v2/models/double/trace/setting"
	is := func(path, level, rate, count string) {
		t.Helper()
		want := `{"trace_level":["` + level + `"],"trace_rate":"` + rate + `","trace_count":"` + count + `","log_frequency":"0","trace_file":"","trace_mode":"opentelemetry"}`
		if got := g.must(t, http.MethodGet, g.url+path, ""); !sameJSON(t, got, want) {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	set := func(path, body string) {
		t.Helper()
		g.must(t, http.MethodPost, g.url+path, body)
	}
	traced := 0 // the requests that must be traced
	ask := func(model string, must int) {
		t.Helper()
		for n := range 3 {
			if err := g.ask(model, n); err != nil {
				t.Fatal(err)
			}
		}
		traced += must
		to.Await(t, model, func(spans []otlp.Span) bool { return len(servers(spans)) >= traced })
	}
	is(all, "TIMESTAMPS", "100", "-1")
	set(all, `{"trace_rate":"1"}`)
	is(double, "TIMESTAMPS", "1", "-1")
	ask("double", 3)
	set(double, `{"trace_level":["OFF"]}`)
	is(double, "OFF", "1", "-1")
	is(all, "TIMESTAMPS", "1", "-1")
	ask("double", 0)
	ask("other", 3)
	set(double, `{"trace_level":null,"trace_count":2}`)
	is(double, "TIMESTAMPS", "1", "2")
	ask("double", 2)
	is(double, "TIMESTAMPS", "1", "0")
	set(double, `{"trace_count":null,"trace_rate":null}`)
	set(all, `{"trace_rate":null,"trace_level":["OFF"]}`)
	is(all, "OFF", "100", "-1")
	is(double, "OFF", "100", "-1")
	if g.status(t, "/v2/models/double/infer", doubleRequest, "traceparent", sampled) != http.StatusOK {
		t.Error("a request was refused")
	}
	g.configure(t, dir, tracingTo(endpoint, ", sample: 1"), models)
	g.must(t, http.MethodPost, g.admin+"/-/reload", "")
	is(all, "TIMESTAMPS", "1", "-1")
	ask("other", 3)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if n := len(servers(to.Spans())); n != traced {
		t.Errorf("%d requests are traced, want %d", n, traced)
	}
}

// Without a receiver the settings can be read, and nothing can be turned on. What cannot be changed
// is refused, over both protocols.
func TestTraceSettingsAreRefused(t *testing.T) {
	g := startOn(t, &fakes{}, doubles(t, 1), "admin.tokens: {alice: 0123456789abcdef}")
	f := func(method, path, body, token string, want int, text string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, g.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // only read
		answer := new(strings.Builder)
		if _, err := bufio.NewReader(resp.Body).WriteTo(answer); err != nil || resp.StatusCode != want || !strings.Contains(answer.String(), text) {
			t.Errorf("%s %s %s: %d %s, %v", method, path, body, resp.StatusCode, answer, err)
		}
	}
	const all, alice = "/v2/trace/setting", "0123456789abcdef"
	f("GET", all, "", "", 200, `"trace_level":["OFF"]`)
	f("GET", "/v2/models/double/trace/setting", "", "", 200, `"OFF"`)
	f("GET", "/v2/models/nope/trace/setting", "", "", 404, "Request for unknown model")
	f("POST", all, `{}`, "wrong", 401, "")
	f("POST", "/v2/logging", `{}`, "wrong", 401, "")
	f("POST", all, `{}`, "", 401, "")
	f("POST", "/v2/models/double/trace/setting", `{}`, "", 401, "")
	f("POST", "/v2/logging", `{}`, "", 401, "")
	f("POST", all, `{"trace_level":["OFF"],"trace_rate":null}`, alice, 200, `"OFF"`)
	f("POST", all, `{"trace_level":["TIMESTAMPS"]}`, alice, 501, "tracing.exporter")
	f("POST", all, `{"trace_level":["TENSORS"]}`, alice, 501, "TENSORS")
	f("POST", all, `{"trace_file":"x"}`, alice, 501, "trace file location can not be updated through network protocol")
	f("POST", all, `{"trace_rate":{}}`, alice, 400, "trace_rate")
	f("POST", all, `{"trace_rate":"x"}`, alice, 400, "trace_rate")
	f("DELETE", all, "", alice, 405, "")
}
