package httpapi_test

import (
	"slices"
	"strings"
	"testing"

	"sluice.io/sluice/internal/testing/access"
)

func TestIndex(t *testing.T) {
	addr := start(t, &stub{}, nil)
	const ready = `{"name":"double","version":"1","state":"READY"},{"name":"double","version":"2","state":"READY"}`
	const all = "[" + ready + `,{"name":"broken","state":"UNAVAILABLE","reason":"no version folder"}]`
	f := func(body string, status int, want string) {
		t.Helper()
		if a := post(t, addr, "/v2/repository/index", body); a.status != status || !strings.Contains(a.body, want) {
			t.Errorf("%.80q: %+v, want %d with %q", body, a, status, want)
		}
	}
	f("", 200, all)
	f("{}", 200, all)
	f(`{"ready":false}`, 200, all)
	f(`{"ready":true}`, 200, "["+ready+"]")
	f(`{"ready":true,"other":[{"[":1}]}`, 200, "["+ready+"]")
	f("{", 400, "not valid JSON")
	f("{} x", 400, "not valid JSON")
	f("[]", 400, "must be a JSON object")
	f(`{"ready":1}`, 400, "field 'ready'")
	f(`{"x":`+strings.Repeat("[", 99)+strings.Repeat("]", 99)+"}", 200, all)
	f(`{"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+"}", 400, "nested deeper than the limit of 100")
	f(strings.Repeat(`{"x":`, 10_000), 400, "nested deeper than the limit of 100")
	if a := post(t, addr, "/v2/repository/index", gzipped(`{"ready":true}`), "Content-Encoding: gzip"); a.status != 200 || a.body != "["+ready+"]" {
		t.Errorf("%+v", a)
	}
}

func TestLoadAndUnload(t *testing.T) {
	s := &stub{explicit: true}
	addr := start(t, s, nil)
	f := func(path, body string, status int, want string) {
		t.Helper()
		if a := post(t, addr, "/v2/repository/models/"+path, body); a.status != status || !strings.Contains(a.body, want) {
			t.Errorf("%s %s: %+v, want %d with %q", path, body, a, status, want)
		}
	}
	if a := post(t, addr, "/v2/repository/models/double/load", ""); a.status != 200 || a.body != "" {
		t.Errorf("%+v", a)
	}
	f("a%20b/load", "{}", 200, "")
	f("double/unload", `{"parameters":{"unload_dependents":true}}`, 200, "")
	f("nope/load", "", 404, "failed to load nope")
	f("nope/unload", "", 404, "failed to unload nope")
	f("double/load", "{", 400, "not valid JSON")
	f("double/load", `{"parameters":[]}`, 400, "field 'parameters'")
	f("double/load", `{"parameters":{"config":"{}"}}`, 501, "parameter 'config' is not supported")
	f("double/load", `{"parameters":{"file:1/model.onnx":"AAAA"}}`, 501, "parameter 'file:1/model.onnx' is not supported")
	f("double/load", `{"parameters":{"foo":1}}`, 400, "unknown parameter 'foo'")
	f("double/unload", `{"parameters":{"config":1}}`, 400, "unknown parameter 'config'")
	if want := []string{"load double", "load a b", "unload double"}; !slices.Equal(s.loaded, want) {
		t.Errorf("did %q, want %q", s.loaded, want)
	}
}

func TestUnloadOfUnknownModelUnderTriton(t *testing.T) {
	addr := start(t, &stub{explicit: true}, func(o *options) { o.Compat = "triton" })
	if a := post(t, addr, "/v2/repository/models/nope/unload", ""); a.status != 200 || a.body != "" {
		t.Errorf("%+v", a)
	}
	if a := post(t, addr, "/v2/repository/models/nope/load", ""); a.status != 404 {
		t.Errorf("%+v", a)
	}
}

func TestControlNeedsExplicitMode(t *testing.T) {
	addr := start(t, &stub{}, nil)
	for _, verb := range []string{"load", "unload"} {
		if a := post(t, addr, "/v2/repository/models/double/"+verb, "{}"); a.status != 503 || !strings.Contains(a.body, "--model-control explicit") {
			t.Errorf("%+v", a)
		}
	}
}

func TestControlNeedsAToken(t *testing.T) {
	s := &stub{explicit: true}
	addr := start(t, s, func(o *options) {
		o.Callers = access.Keys(map[string]string{"alice": "secret of alice", "bob": "secret of bob"})
	})
	f := func(status int, fields ...string) {
		t.Helper()
		for _, verb := range []string{"load", "unload"} {
			a := post(t, addr, "/v2/repository/models/double/"+verb, "", fields...)
			if a.status != status || (status == 401) != (a.header.Get("WWW-Authenticate") != "") {
				t.Errorf("%q: %+v, want %d", fields, a, status)
			}
		}
	}
	f(401)
	f(401, "Authorization: ")
	f(401, "Authorization: Bearer")
	f(401, "Authorization: Bearer ")
	f(401, "Authorization: Basic c2VjcmV0IG9mIGFsaWNl")
	f(401, "Authorization: Bearer secret of alic")
	f(401, "Authorization: Bearer secret of alice and more")
	f(401, "Authorization: Bearer alice")
	if len(s.loaded) > 0 {
		t.Errorf("did %q without a token", s.loaded)
	}
	f(200, "Authorization: Bearer secret of alice")
	f(200, "authorization: bearer secret of bob")
	if a := post(t, addr, "/v2/repository/models/double/load", "", "Authorization: Bearer secret of alice", "Authorization: Bearer x"); a.status != 400 {
		t.Errorf("two tokens: %+v", a)
	}
	for path, status := range map[string]int{"/v2": 200, "/v2/models/double": 200} {
		if a := get(t, addr, path); a.status != status { // only control needs a token
			t.Errorf("%s: %+v", path, a)
		}
	}
}

// Only pages that are named may change something without a key; '*' names none.
func TestControlByPages(t *testing.T) {
	const path = "/v2/repository/models/double/load"
	for name, c := range map[string]struct {
		origins []string
		header  string
		status  int
	}{
		"no CORS":        {nil, page, 403},
		"all pages":      {[]string{"*"}, page, 403},
		"another page":   {[]string{"https://other.example"}, page, 403},
		"this page":      {[]string{"https://app.example"}, page, 200},
		"empty origin":   {[]string{"*"}, "Origin:", 403},
		"another site":   {nil, "Sec-Fetch-Site: cross-site", 403},
		"nothing beside": {nil, "Sec-Fetch-Mode: cors", 200},
	} {
		addr := start(t, &stub{explicit: true}, withCORS(c.origins...))
		if a := post(t, addr, path, "{}", c.header); a.status != c.status {
			t.Errorf("%s: %+v, want %d", name, a, c.status)
		}
		if a := post(t, addr, "/v2/repository/index", "{}", c.header); a.status != 200 {
			t.Errorf("%s: the index: %+v", name, a)
		}
	}
}
