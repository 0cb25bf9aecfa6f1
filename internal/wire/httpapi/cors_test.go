package httpapi_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/access"
	"sluice.io/sluice/internal/wire/httpapi"
)

const page = "Origin: https://app.example"

func withCORS(origins ...string) func(*options) {
	return func(o *options) {
		o.CORS = httpapi.CORS{Origins: origins, Methods: []string{"GET", "POST"}, Headers: []string{"Content-Type", "X-User-Id"}, MaxAge: 90 * time.Second}
	}
}

// corsOf returns the headers of CORS in an answer.
func corsOf(a answer) map[string]string {
	got := map[string]string{}
	for name, values := range a.header {
		if name == "Vary" || strings.HasPrefix(name, "Access-Control-") {
			got[name] = strings.Join(values, " and ")
		}
	}
	return got
}

func TestOptions(t *testing.T) {
	s := &stub{}
	s.predict = func(context.Context, *infer.Request) (*infer.Response, error) {
		t.Error("OPTIONS reached a model")
		return nil, infer.Errorf(infer.Internal, "")
	}
	addr := start(t, s, func(o *options) { o.Callers = access.Keys(map[string]string{"ann": "0123456789abcdef"}) })
	for path, allow := range map[string]string{
		inferPath: "POST, OPTIONS", v1Path: "POST, OPTIONS", "/v2/models/nope/infer": "POST, OPTIONS", "/v2/repository/models/double/unload": "POST, OPTIONS",
		"/v2": "GET, HEAD, OPTIONS", "/v1/models": "GET, HEAD, OPTIONS", "*": "GET, HEAD, POST, OPTIONS",
	} {
		a := send(t, addr, request("OPTIONS", path, "", page, "Access-Control-Request-Method: POST"))
		if a.status != 204 || a.header.Get("Allow") != allow || a.body != "" || len(corsOf(a)) > 0 || a.header.Get("X-Request-Id") == "" || a.close {
			t.Errorf("%s: %+v", path, a)
		}
	}
	if a := send(t, addr, request("OPTIONS", "/nope", "", page)); a.status != 404 {
		t.Errorf("%+v", a)
	}
}

func TestPreflight(t *testing.T) {
	addr := start(t, &stub{}, withCORS("https://app.example", "http://localhost:3000"))
	a := send(t, addr, request("OPTIONS", inferPath, "", page, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: x-user-id"))
	got := corsOf(a)
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://app.example", "Access-Control-Allow-Methods": "GET, POST", "Access-Control-Allow-Headers": "Content-Type, X-User-Id",
		"Access-Control-Max-Age": "90", "Vary": "Origin", "Access-Control-Allow-Credentials": "",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if a.status != 204 || a.header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf("%+v", a)
	}
	for _, origin := range []string{"https://app.example.evil", "http://app.example", "HTTPS://APP.EXAMPLE", "null", "*", "https://app.example, https://b.example", ""} {
		a := send(t, addr, request("OPTIONS", inferPath, "", "Origin: "+origin, "Access-Control-Request-Method: POST"))
		if got := corsOf(a); a.status != 204 || len(got) != 1 || got["Vary"] != "Origin" {
			t.Errorf("%q: %d %v", origin, a.status, got)
		}
	}
}

func TestAnswersToPages(t *testing.T) {
	exact, all := start(t, &stub{}, withCORS("https://app.example")), start(t, &stub{}, withCORS("*"))
	const exposed = "Inference-Header-Content-Length, Retry-After, Sluice-Reason, Sluice-Route, Sluice-Version, X-Request-Id"
	for name, a := range map[string]answer{
		"infer": post(t, exact, inferPath, good, page), "error": post(t, exact, "/v2/models/nope/infer", good, page), "not found": get(t, exact, "/nope", page),
		"malformed": send(t, exact, "GET /v2 HTTP/1.1\r\nHost: test\r\n"+page+"\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
	} {
		if got := corsOf(a); len(got) != 3 || got["Access-Control-Allow-Origin"] != "https://app.example" || got["Access-Control-Expose-Headers"] != exposed || got["Vary"] != "Origin" {
			t.Errorf("%s: %d %v", name, a.status, got)
		}
	}
	if got := corsOf(post(t, exact, inferPath, good)); len(got) != 1 || got["Vary"] != "Origin" {
		t.Errorf("without Origin: %v", got)
	}
	if got := corsOf(post(t, all, inferPath, good, page)); len(got) != 2 || got["Access-Control-Allow-Origin"] != "*" {
		t.Errorf("all origins: %v", got)
	}
	if got := corsOf(post(t, start(t, &stub{}, nil), inferPath, good, page)); len(got) != 0 {
		t.Errorf("off: %v", got)
	}
}
