package config_test

import (
	"fmt"
	"strings"
	"testing"

	"sluice.io/sluice/internal/config"
)

const (
	hashOfKey = "sha256:f6a214f7a5fcda0c2cee9660b7fc29f5649e3c68aad48e20e950137c98913a68"
	hashOther = "sha256:0000000000000000000000000000000000000000000000000000000000000001"
)

func parseAccess(text string, pairs ...string) (*config.Config, error) {
	return config.Parse("test.yaml", []byte("repository: {path: m}\n"+text), env(pairs...))
}

func TestCallers(t *testing.T) {
	cfg, err := parseAccess(`
auth: {jwt: [{issuer: i, audience: a, jwks_file: f}]}
groups: {g: {allow: [{models: [x], actions: [metadata]}]}}
callers:
  app:
    keys: ["`+hashOfKey+`", "${KEY}", "${HASH}"]
    certificates: [spiffe://x]
    jwt: [{issuer: i, subject: s}]
    groups: [g]
    allow: [{models: ["churn-*"], actions: [infer, override]}]
    limits: [{models: ["*"], requests_per_second: 0.5, bytes_in_flight: 1MiB}]
  anonymous: {}`, "KEY", "0123456789abcdef", "HASH", hashOther)
	if err != nil {
		t.Fatal(err)
	}
	app := cfg.Callers["app"]
	if len(app.Keys) != 3 || app.Keys[1].Digest() == app.Keys[0].Digest() || config.HashKey("0123456789abcdef") != fmt.Sprintf("sha256:%x", app.Keys[1].Digest()) ||
		fmt.Sprintf("sha256:%x", app.Keys[2].Digest()) != hashOther {
		t.Errorf("keys %x %x %x", app.Keys[0].Digest(), app.Keys[1].Digest(), app.Keys[2].Digest())
	}
	if app.Limits[0].RequestsPerSecond != 0.5 || app.Limits[0].BytesInFlight != 1<<20 || app.Allow[0].Actions[1] != "override" {
		t.Errorf("%+v", app)
	}
	if shown := fmt.Sprintf("%v %+v %#v %v", app, app, app, cfg.Document()); strings.Contains(shown, hashOfKey[7:20]) || strings.Contains(shown, "0123456789abcdef") {
		t.Errorf("shown: %s", shown)
	}
}

func TestBadCallers(t *testing.T) {
	f := func(want, text string, pairs ...string) {
		t.Helper()
		_, err := parseAccess(text, pairs...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the message shows the secret: %v", err)
		}
	}
	key := func(text string) string { return "callers: {app: {keys: [" + text + "]}}" }
	f("callers.app.keys[0]: a key must not be in the file: expected 'sha256:'", key("hunter2hunter2hunter2"))
	f("a key must not be in the file", key("12345678901234567890"))
	f("callers.app.keys[0]: expected 'sha256:' and 64 hexadecimal digits", key("'sha256:12'"))
	f("expected 'sha256:' and 64", key("'sha256:"+strings.Repeat("g", 64)+"'"))
	f("expected 'sha256:' and 64", key("'${KEY}hunter2hunter2'"), "KEY", "x")
	f("the environment variable NO_SUCH is not set", key("'${NO_SUCH}'"))
	f("a key is 16 or more visible ASCII characters", key("'${KEY}'"), "KEY", "hunter2")
	f("expected 'sha256:' and 64", key("'${KEY}'"), "KEY", "sha256:hunter2")
	f("callers.b.keys[0]: the same key as callers.a", "callers: {a: {keys: ['"+hashOfKey+"']}, b: {keys: ['"+hashOfKey+"']}}")
	f("callers.a.keys[1]: the same key as callers.a", "callers: {a: {keys: ['"+hashOfKey+"', '"+hashOfKey+"']}}")
	f("the same key as admin.tokens.root", "admin: {tokens: {root: '0123456789abcdef'}}\ncallers: {a: {keys: ['${KEY}']}}", "KEY", "0123456789abcdef")
	f("the same key as routes.r.override.token", "routes: {r: {variants: [{version: 1, weight: 100%}], override: {token: '0123456789abcdef'}}}\ncallers: {a: {keys: ['${KEY}']}}", "KEY", "0123456789abcdef")
	f("the same name of a certificate as callers.a", "callers: {a: {certificates: [x]}, b: {certificates: [x]}}")
	f("callers.b.jwt[0]: the same subject as callers.a", "auth: {jwt: [{issuer: i, audience: a, jwks_file: f}]}\ncallers: {a: {jwt: [{issuer: i, subject: s}]}, b: {jwt: [{issuer: i, subject: s}]}}")
	f("callers.a.jwt[0].issuer: \"j\" is not one of auth.jwt", "callers: {a: {jwt: [{issuer: j, subject: s}]}}")
	f("callers.a: has no credentials", "callers: {a: {allow: [{models: [x], actions: [infer]}]}}")
	f("callers.anonymous: is the caller without credentials", "callers: {anonymous: {certificates: [x]}}")
	f("callers.anonymous: has no effect: with auth.required", "auth: {required: true}\ncallers: {anonymous: {}}")
	f("callers.root: admin.tokens has the same name", "admin: {tokens: {root: '0123456789abcdef'}}\ncallers: {root: {certificates: [x]}}")
	f("callers.\"a b\": the name of a caller is", "callers: {a b: {certificates: [x]}}")
	f("the group \"gg\" does not exist; did you mean g?", "groups: {g: {}}\ncallers: {a: {certificates: [x], groups: [gg]}}")
	f("expected infer, metadata, statistics, load, register, route, override, rollout, approve, label, signal, capture or admin, got \"infers\"",
		"callers: {a: {certificates: [x], allow: [{models: [x], actions: [infers]}]}}")
	f("callers.a.allow[0].models: must be given", "callers: {a: {certificates: [x], allow: [{actions: [infer]}]}}")
	f("callers.a.allow[0].models: must be given", "callers: {a: {certificates: [x], allow: [{models: [], actions: [infer]}]}}")
	f("callers.a.limits[0]: limits nothing", "callers: {a: {certificates: [x], limits: [{models: [x]}]}}")
	f("rows_burst: has no effect", "callers: {a: {certificates: [x], limits: [{models: [x], bytes_in_flight: 1MiB, rows_burst: 2}]}}")
	f("auth.jwt[0]: expected either jwks_file or jwks_url", "auth: {jwt: [{issuer: i, audience: a}]}")
	f("auth.jwt[0].jwks_url: ", "auth: {jwt: [{issuer: i, audience: a, jwks_url: 'http://idp.example/keys'}]}")
}
