package httpapi_test

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/access"
)

// picked is the data that selects a version.
type picked struct{ key, override string }

// picking is a stub that returns the data of the last request that would select its version.
func picking(called infer.Called) (s *stub, last func() picked) {
	got := make(chan picked, 1)
	s = &stub{sticky: called, predict: func(_ context.Context, req *infer.Request) (*infer.Response, error) {
		// Copies, since they are views of the request.
		got <- picked{strings.Clone(req.StickyKey), strings.Clone(req.Override)}
		return double(req), nil
	}}
	return s, func() picked {
		select {
		case p := <-got:
			return p
		default:
			return picked{key: "nothing was predicted"}
		}
	}
}

func TestStickyKeyInAHeader(t *testing.T) {
	f := func(header, want string, fields ...string) {
		t.Helper()
		s, last := picking(infer.Called{StickyHeader: header})
		addr := start(t, s, overriding)
		a := post(t, addr, inferPath, good, fields...)
		if got := last(); a.status != 200 || got.key != want {
			t.Errorf("%s of %.100q: %d %s, key %.100q, want %.100q", header, fields, a.status, a.body, got.key, want)
		}
	}
	const name = "X-User-Id"
	f(name, "alice", "X-User-Id: alice")
	f(name, "alice", "x-uSER-iD: \t alice \t ")
	f(name, "alice", "X-User-Id:alice", "X-User-Idx: bob", "X-User-I: bob", "Y-User-Id: bob")
	f(name, "a b: c,d", "X-User-Id: a b: c,d")
	f(name, "\x80\xff\xc3", "X-User-Id: \x80\xff\xc3") // any bytes
	f(name, "é", "X-User-Id: é")
	f(name, "")
	f(name, "", "X-User-Id:")
	f(name, "", "X-User-Id:  \t ")
	f(name, strings.Repeat("k", 1024), "X-User-Id: "+strings.Repeat("k", 1024))
	f("", "", "X-User-Id: alice") // the route has no key
	f("x_user^id", "alice", "X_USER^ID: alice")
	f("x_user^id", "", "x_user~id: alice")
	// Headers that the server uses too.
	f("X-Request-Id", "my-id", "x-request-id: my-id")
	f("X-Request-Id", "", "X-Other: 1") // an id that the server makes is not a key
	f("X-Request-Id", "not valid", "X-Request-Id: not valid")
	f("content-type", "application/json", "Content-Type: application/json")
	f("Authorization", "Bearer x", "Authorization: Bearer x")
	f("Host", "test")
	f("Content-Length", itoa(len(good)))
	f("Accept-Encoding", "br", "Accept-Encoding: br")
	f("Sluice-Override", "2", "Sluice-Override: 2")
}

func TestStickyKeyInAParameter(t *testing.T) {
	s, last := picking(infer.Called{StickyParameter: "user"})
	addr := start(t, s, nil)
	f := func(body, want string, fields ...string) {
		t.Helper()
		a := post(t, addr, inferPath, body, append(fields, "X-User-Id: bob", "user: bob")...)
		if got := last(); a.status != 200 || got.key != want {
			t.Errorf("%.100s: %d %s, key %q, want %q", body, a.status, a.body, got.key, want)
		}
	}
	with := func(value string) string { return strings.Replace(good, "{", `{"parameters":{"user":`+value+`},`, 1) }
	f(with(`"alice"`), "alice")
	f(good, "")
	f(with("42"), "42")
	f(with(`""`), "")
	head := strings.Replace(binaryHead, "{", `{"parameters":{"user":"alice"},`, 1) + "}"
	f(head+floats(1, 2, 3, 4), "alice", "Inference-Header-Content-Length: "+itoa(len(head)))
	f(floats(1, 2, 3, 4), "", "Inference-Header-Content-Length: 0")
}

func TestBadStickyKeysAreRefused(t *testing.T) {
	f := func(called infer.Called, status int, text, body string, fields ...string) {
		t.Helper()
		s, _ := picking(called)
		addr := start(t, s, func(o *options) { o.Limits.Tensors.MaxStickyKeyBytes = 100 })
		a := post(t, addr, inferPath, body, fields...)
		if a.status != status || !strings.Contains(a.body, text) || strings.Contains(a.body, "kkk") || a.header.Get("Sluice-Reason") != "" {
			t.Errorf("%.100q: %d %.200s, headers %v, want %d with %q", fields, a.status, a.body, a.header, status, text)
		}
	}
	header := infer.Called{StickyHeader: "X-User-Id"}
	const twice = "header 'X-User-Id' is given more than once"
	f(header, 400, twice, good, "X-User-Id: a", "X-User-Id: b")
	f(header, 400, twice, good, "X-User-Id: a", "Other: 1", "x-user-id: a")
	f(header, 400, twice, good, "X-User-Id:", "X-User-Id: b")
	f(header, 400, "'X-User-Id' is longer than the limit of 100 bytes", good, "X-User-Id: "+strings.Repeat("k", 101))
	f(header, 431, "limit of 16384 bytes", good, "X-User-Id: "+strings.Repeat("k", 1<<20))
	f(header, 400, "malformed request line, header", good, "X-User-Id: a\x00b")
	f(infer.Called{StickyHeader: "Accept-Encoding"}, 400, "header 'Accept-Encoding' is given more than once", good, "Accept-Encoding: a", "Accept-Encoding: b")

	parameter := infer.Called{StickyParameter: "user"}
	with := func(parameters string) string {
		return strings.Replace(good, "{", `{"parameters":{`+parameters+`},`, 1)
	}
	f(parameter, 400, "parameters.user: longer than the limit of 100 bytes", with(`"user":"`+strings.Repeat("k", 101)+`"`))
	f(parameter, 400, "parameters.user: longer than the limit of 100 bytes", with(`"user":"`+strings.Repeat("k", 1<<20)+`"`))
	f(parameter, 400, "parameters.user: given twice", with(`"user":"a","user":"b"`))
	f(parameter, 400, "parameters.user: must be a number, a bool or a string, not null", with(`"user":null`))
}

// A connection does not keep the key of the last request.
func TestKeysOfTheRequestBefore(t *testing.T) {
	s, last := picking(infer.Called{StickyHeader: "X-User-Id"})
	addr := start(t, s, overriding)
	c := dial(t, addr)
	r := bufio.NewReader(c)
	for _, want := range []picked{
		{"alice", "2"},
		{},
		{"bob", ""},
		{"", "1"},
	} {
		var fields []string
		for name, value := range map[string]string{"X-User-Id": want.key, "Sluice-Override": want.override} {
			if value != "" {
				fields = append(fields, name+": "+value)
			}
		}
		_, _ = io.WriteString(c, request("POST", inferPath, good, fields...))
		a := read(t, r, "POST")
		if diff := cmp.Diff(want, last(), cmp.AllowUnexported(picked{})); a.status != 200 || diff != "" {
			t.Errorf("%+v (-want +got):\n%s", a, diff)
		}
	}
}

func TestOverrideReachesThePredictor(t *testing.T) {
	s, last := picking(infer.Called{})
	addr := start(t, s, overriding)
	f := func(want picked, fields ...string) {
		t.Helper()
		a := post(t, addr, inferPath, good, fields...)
		if got := last(); a.status != 200 || got != want {
			t.Errorf("%q: %d %s, got %+v, want %+v", fields, a.status, a.body, got, want)
		}
	}
	f(picked{override: "2"}, "sluice-OVERRIDE:  2 ", "authorization: Bearer x")
	f(picked{override: "2"}, "Sluice-Override: 2")
	f(picked{override: "latest, \xff"}, "Sluice-Override: latest, \xff") // the router checks the value
	f(picked{}, "Accept-Encoding: br", "Sluice-Overridx: 2")

	refused := func(text string, fields ...string) {
		t.Helper()
		if a := post(t, addr, inferPath, good, fields...); a.status != 400 || !strings.Contains(a.body, text) {
			t.Errorf("%q: %+v, want 400 with %q", fields, a, text)
		}
		if got := last(); got.key != "nothing was predicted" {
			t.Errorf("%q: predicted with %+v", fields, got)
		}
	}
	refused("more than one Sluice-Override header", "Sluice-Override: 1", "Sluice-Override: 1")
	refused("more than one Sluice-Override header", "Sluice-Override:", "sluice-override: 2")
	refused("header 'Sluice-Override' is empty", "Sluice-Override: ")
	refused("more than one Authorization header", "Sluice-Override: 1", "Authorization: Bearer x", "Authorization: Bearer y")
}

// An override is refused before anything is looked up. Only a caller without credentials gets a
// challenge.
func TestRefusedOverrides(t *testing.T) {
	s, last := picking(infer.Called{})
	addr := start(t, s, func(o *options) {
		o.Callers = access.Of(callers.Options{
			Callers: []callers.Member{access.Can("app", "key-of-app", callers.Infer, "*")},
			Implied: []callers.Member{access.Can("override:double", "key-of-route", callers.Infer|callers.Override, "double")},
		})
	})
	f := func(path string, status int, challenge string, fields ...string) {
		t.Helper()
		a := post(t, addr, path, good, append(fields, "Sluice-Override: 2")...)
		if a.status != status || a.header.Get("WWW-Authenticate") != challenge {
			t.Errorf("%s %q: %+v, want %d", path, fields, a, status)
		}
		if got := last(); (got.override == "2") != (status == 200) {
			t.Errorf("%s %q: %+v", path, fields, got)
		}
	}
	missing, wrong := `Bearer realm="sluice"`, `Bearer realm="sluice", error="invalid_token"`
	for _, model := range []string{inferPath, "/v2/models/nope/infer"} {
		f(model, 401, missing)
		f(model, 401, wrong, "Authorization: Bearer key-of-nobody")
		f(model, 403, "", "Authorization: Bearer key-of-app")
	}
	f(inferPath, 200, "", "Authorization: Bearer key-of-route")
	f("/v2/models/nope/infer", 403, "", "Authorization: Bearer key-of-route")
	f("/v2/models/double/versions/1/infer", 200, "") // the router ignores the header
}

// overriding lets all callers choose a version.
func overriding(o *options) {
	o.Callers = access.Of(callers.Options{Callers: []callers.Member{
		access.Can(callers.Anonymous, "", callers.All, "*"), access.Can("x", "x", callers.All, "*"),
	}})
}

// The longest name with a revision does not fit into the buffer on the stack.
func TestHeadersOfWhatServed(t *testing.T) {
	name := strings.Repeat("é", 127) + "e"
	s := &stub{names: []string{name}}
	s.predict = func(_ context.Context, req *infer.Request) (*infer.Response, error) {
		req.Served = infer.Served{Version: infer.Version{Model: "double", Number: 9223372036854775807}, Route: strings.Clone(req.Model) + "@9223372036854775807", Reason: infer.ReasonFallback}
		return double(req), nil
	}
	addr := start(t, s, nil)
	a := post(t, addr, "/v2/models/"+name+"/infer", good)
	for header, want := range map[string]string{
		"Sluice-Version": "9223372036854775807", "Sluice-Route": name + "@9223372036854775807", "Sluice-Reason": "fallback",
	} {
		if got := a.header.Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	// The answer has the called name, and the version that served.
	if !strings.HasPrefix(a.body, `{"model_name":"`+name+`","model_version":"9223372036854775807",`) {
		t.Errorf("%+v", a)
	}
}
