package httpapi_test

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestRoutes(t *testing.T) {
	addr := start(t, &stub{names: []string{"...", "model..1", "é", "a b", "stats", "versions", "infer"}, explicit: true}, nil)
	f := func(method, path string, status int, text string) {
		t.Helper()
		body := ""
		if method == "POST" && strings.HasSuffix(path, "nfer") {
			body = good
		}
		a := send(t, addr, request(method, path, body))
		if a.status != status || !strings.Contains(a.body, text) {
			t.Errorf("%s %s: %d %s, want %d with %q", method, path, a.status, a.body, status, text)
		}
		if a.header.Get("X-Request-Id") == "" || a.header.Get("Date") != "" || a.header.Get("Server") != "" {
			t.Errorf("%s %s: headers %v", method, path, a.header)
		}
		if a.close {
			t.Errorf("%s %s: connection was closed", method, path)
		}
	}
	f("GET", "/v2", 200, `"name":"sluice"`)
	f("GET", "/v2/", 200, `"name":"sluice"`)
	f("GET", "/v2?x=/y", 200, `"name":"sluice"`)
	f("HEAD", "/v2", 200, "")
	f("GET", "/v2/health/live", 200, `{"live":true,"ready":true}`)
	f("GET", "/v2/health/ready", 200, `{"live":true,"ready":true}`)
	f("GET", "/v2/models/double", 200, `"versions":["1","2"]`)
	f("HEAD", "/v2/models/double", 200, "")
	f("GET", "/v2/models/double/versions/2", 200, `"versions":["2"]`)
	f("GET", "/v2/models/double/ready", 200, `{"name":"double","ready":true}`)
	f("GET", "/v2/models/double/versions/1/ready", 200, `{"name":"double","ready":true}`)
	f("GET", "/v2/models/double/stats", 200, `"model_stats":[`)
	f("GET", "/v2/models/double/versions/1/stats", 200, `"model_stats":[`)
	f("GET", "/v2/models/stats", 200, `"model_stats":[`)
	f("GET", "/v2/models/double/config", 200, `{"name":"double","platform":"onnxruntime_onnx","backend":"onnxruntime","runtime":"","version_policy":{"latest":{"num_versions":1}},"max_batch_size":8,"input":[`)
	f("GET", "/v2/models/double/versions/2/config", 200, `"instance_group":[{"name":"double","kind":"KIND_CPU","count":2,`)
	f("GET", "/v2/models/double/versions/9/config", 404, "'double' version 9 is not found")
	f("POST", "/v2/models/double/infer", 200, `"model_version":"1"`)
	f("POST", "/v2/models/double/versions/2/infer", 200, `"model_version":"2"`)
	f("POST", "/v2/models/double/predict", 400, "expected an object or a list")
	f("POST", "/v2/models/double/versions/2/predict", 400, "expected an object or a list")
	f("POST", "/invocations", 404, "there is no default model")
	f("GET", "/", 200, `{"status":"alive"}`)
	f("GET", "/ping", 200, `{"live":true,"ready":true}`)
	f("HEAD", "/ping", 200, "")
	f("POST", "/v2/repository/index", 200, `[{"name":"double"`)
	f("POST", "/v2/repository/models/double/load", 200, "")
	f("POST", "/v2/repository/models/double/unload", 200, "")

	for kind, name := range map[string]string{"system": "system", "cuda": "CUDA"} {
		f("GET", "/v2/"+kind+"sharedmemory/status", 200, "[]")
		f("GET", "/v2/"+kind+"sharedmemory/region/r/status", 404, "Unable to find "+name+" shared memory region: 'r'")
		f("POST", "/v2/"+kind+"sharedmemory/unregister", 200, "")
		f("POST", "/v2/"+kind+"sharedmemory/region/a%20b/unregister", 200, "")
		f("POST", "/v2/"+kind+"sharedmemory/region/r/register", 501, "shared memory is not supported")
		f("POST", "/v2/"+kind+"sharedmemory/register", 404, "Not Found")
		f("POST", "/v2/"+kind+"sharedmemory/region//register", 404, "Not Found")
		f("GET", "/v2/"+kind+"sharedmemory", 404, "Not Found")
		f("GET", "/v2/"+kind+"sharedmemory/unregister", 405, "")
	}

	// Names: valid ones; each segment is decoded exactly once.
	f("POST", "/v2/models/%64ouble/infer", 200, `"model_name":"double"`)
	f("POST", "/v2/models/double/%69nfer", 200, `"model_name":"double"`)
	f("POST", "/v2/models/.../infer", 200, `"model_name":"..."`)
	f("POST", "/v2/models/model..1/infer", 200, `"model_name":"model..1"`)
	f("POST", "/v2/models/%C3%A9/infer", 200, `"model_name":"é"`)
	f("POST", "/v2/models/a%20b/infer", 200, `"model_name":"a b"`)
	f("POST", "/v2/models/stats/infer", 200, `"model_name":"stats"`)
	f("POST", "/v2/models/versions/infer", 200, `"model_name":"versions"`)
	f("POST", "/v2/models/infer/versions/1/infer", 200, `"model_name":"infer"`)
	f("GET", "/v2/models/%2564ouble", 404, "Request for unknown model: '%64ouble' is not found")
	f("GET", "/v2/models/nope", 404, `{"error":"Request for unknown model: 'nope' is not found"}`)
	f("GET", "/v2/models/double/versions/9", 404, "'double' version 9 is not found")
	f("GET", "/v2/models/%3Cscript%3E", 404, "Request for unknown model: ")

	const badName = "is not a valid model name"
	for _, name := range []string{"%20", "%20double", "double%20", "%2e", "..", "%2E%2e", "%2e%2e%2fetc", "a%2fb", "a%5cb", "a%00b", "a%0Ab", "%7f", "%ff", strings.Repeat("x", 256)} {
		f("GET", "/v2/models/"+name, 400, badName)
		f("GET", "/v2/models/"+name+"/ready", 400, badName)
		f("GET", "/v2/models/"+name+"/versions/1/stats", 400, badName)
		f("POST", "/v2/models/"+name+"/infer", 400, badName)
		f("POST", "/v2/repository/models/"+name+"/load", 400, badName)
		f("POST", "/v2/repository/models/"+name+"/unload", 400, badName)
	}
	f("GET", "/v2/models/"+strings.Repeat("x", 256), 400, strings.Repeat("x", 64)+"…' is not a valid model name: expected UTF-8 of at most 255 bytes")
	for _, name := range []string{"%", "a%", "a%2", "li%zz", "%g1", "%1g"} {
		f("GET", "/v2/models/"+name, 400, "'%' that is not followed by two hexadecimal digits")
	}
	f("GET", "/v2/models/double#f", 400, "fragment")

	const notFound = `{"error":"Not Found"}`
	for _, path := range []string{
		"//", "/v1", "/ping/", "/ping/x", "/invocations/", "/invocations/double", "/v2/ping", "/v2/invocations", "/predict", "/V2", "/v2x", "/metrics", "//v2", "/v2//", "/./v2", "/x/../v2",
		"/v2/health", "/v2/health/", "/v2/health/live/", "/v2/health/live/x", "/v2/health//live", "/v2/models", "/v2/models/",
		"/v2/models/double/", "/v2/models//double", "/v2/models/../models/double", "/v2/models/double/versions", "/v2/models/double/versions/",
		"/v2/models/double/versions/1/", "/v2/models/double/versions/1/ready/x", "/v2/models/double/nope", "/v2/models/double/config/", "/v2/config",
		"/v2/models/double/ready/", "/v2/repository", "/v2/repository/index/", "/v2/repository/models/double", "/v2/repository/models//load",
		"/v2/repository/models/double/load/", "/v2/trace/settings", "/v2/logging/", "/v2/models/double/versions/1/trace/setting", "/a/b/c/d/e/f/g/h/i",
	} {
		f("GET", path, 404, notFound)
	}
	for _, v := range []string{"0", "01", "-1", "+1", "1.0", "abc", "1x", "%20", "99999999999999999999"} {
		f("POST", "/v2/models/double/versions/"+v+"/infer", 404, notFound)
		f("GET", "/v2/models/double/versions/"+v, 404, notFound)
	}
	f("POST", "/v2/models/double/infer/", 404, notFound)
}

func TestWrongMethods(t *testing.T) {
	addr := start(t, &stub{}, nil)
	f := func(path, allow string, methods ...string) {
		t.Helper()
		for _, m := range methods {
			a := send(t, addr, request(m, path, ""))
			if a.status != 405 || a.header.Get("Allow") != allow {
				t.Errorf("%s %s: %d, Allow %q", m, path, a.status, a.header.Get("Allow"))
			}
			if m != "HEAD" && a.body != `{"error":"Method Not Allowed"}` {
				t.Errorf("%s %s: %s", m, path, a.body)
			}
		}
	}
	for _, path := range []string{"/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/double", "/v2/models/double/ready", "/v2/models/double/stats", "/v2/models/double/config", "/v2/models/stats", "/ping", "/openapi.json"} {
		f(path, "GET, HEAD, OPTIONS", "POST", "PUT", "DELETE", "PATCH", "FOO", "get")
	}
	for _, path := range []string{inferPath, predictPath, "/invocations", "/v2/repository/index", "/v2/repository/models/double/load", "/v2/repository/models/double/unload"} {
		f(path, "POST, OPTIONS", "GET", "HEAD", "PUT", "DELETE", "PATCH", "post")
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	addr := start(t, &stub{}, nil)
	head, get := send(t, addr, request("HEAD", "/v2", "")), get(t, addr, "/v2")
	if head.body != "" || head.header.Get("Content-Length") != itoa(len(get.body)) || head.header.Get("Content-Type") != "application/json" {
		t.Errorf("%+v", head)
	}
}

func TestServerMetadata(t *testing.T) {
	f := func(compat, name string) {
		t.Helper()
		addr := start(t, &stub{}, func(o *options) { o.Compat = compat })
		var doc struct {
			Name, Version string
			Extensions    []string
		}
		if err := json.Unmarshal([]byte(get(t, addr, "/v2").body), &doc); err != nil {
			t.Fatal(err)
		}
		if doc.Name != name || doc.Version != "1.2.3" || len(doc.Extensions) != 10 {
			t.Errorf("%+v, want name %s", doc, name)
		}
	}
	f("", "sluice")
	f("triton", "triton")
}

func TestNotReady(t *testing.T) {
	f := func(compat string, status int) {
		t.Helper()
		addr := start(t, &stub{notReady: true}, func(o *options) { o.Compat = compat })
		for path, body := range map[string]string{
			"/v2/health/ready":      `{"live":true,"ready":false,"error":"the server is not ready"}`,
			"/v2/models/nope/ready": `{"name":"nope","ready":false,"error":"Request for unknown model: 'nope' is not found"}`,
		} {
			if a := get(t, addr, path); a.status != status || a.body != body {
				t.Errorf("%s: %d %s, want %d", path, a.status, a.body, status)
			}
		}
		if a := get(t, addr, "/v2/health/live"); a.status != 200 || a.body != `{"live":true,"ready":false}` {
			t.Errorf("live: %+v", a)
		}
	}
	f("", 503)
	f("triton", 400)
}
