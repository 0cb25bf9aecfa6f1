package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// The V1 calls of a model of several inputs and outputs, and Triton's metrics of it.
func TestV1AndTritonMetrics(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "mixed", 1, mixed())
	g := start(t, dir, "http.cors: {origins: ['https://app.example']}", "metrics: {compat: triton}", "repository.control: explicit", "repository.load: ['*']")
	f := func(body, want string) {
		t.Helper()
		if got := g.must(t, http.MethodPost, g.url+"/v1/models/mixed:predict", body); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	f(`{"signature_name":"serving_default","instances":[{"age":30.5,"city":"Berlin","id":1},{"age":[2],"city":{"b64":"UMO2w7Y="},"id":[9007199254740993]}]}`,
		`{"predictions":[{"twice":[61],"where":"Berlin","who":[1]},{"twice":[4],"where":"Pöö","who":[9007199254740993]}]}`)
	f(`{"inputs":{"age":[[30.5],[2]],"city":["Berlin",{"b64":"UMO2w7Y="}],"id":[[1],[2]]}}`, `{"outputs":{"twice":[[61],[4]],"where":["Berlin","Pöö"],"who":[[1],[2]]}}`)
	// The bytes of an element are kept, but JSON cannot show these.
	if status, text := g.call(t, http.MethodPost, g.url+"/v1/models/mixed:predict", `{"inputs":{"age":[1],"city":[{"b64":"/w=="}],"id":[1]}}`); status != http.StatusBadRequest ||
		!strings.Contains(text, "output 'where': a string that is not UTF-8") {
		t.Errorf("%d %s", status, text)
	}
	// A caller may get an answer before it is counted.
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		text := g.must(t, http.MethodGet, g.admin+"/metrics", "")
		if strings.Contains(text, `nv_inference_request_success{model="mixed",version="1"} 3`) && strings.Contains(text, `nv_inference_count{model="mixed",version="1"} 5`) {
			break
		}
		if time.Now().After(end) {
			t.Fatal(text)
		}
	}
	g.must(t, http.MethodPost, g.url+"/v2/repository/models/mixed/unload", `{"parameters":{"unload_dependents":true}}`)
	const state = `"ready":false,"error":"`
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		status, text := g.call(t, http.MethodGet, g.url+"/v1/models/mixed", "")
		if status == http.StatusServiceUnavailable && strings.Contains(text, state) && strings.Contains(text, `"state":"END","status":{"error_code":"UNAVAILABLE","error_message":"unloaded"}`) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d %s", status, text)
		}
	}
}
