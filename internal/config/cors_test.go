package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/config"
)

func TestCORS(t *testing.T) {
	cfg := mustParse(t, "repository: {path: m}\nserver: {http: {cors: {origins: [\"https://a.example\", \"http://localhost:3000\"], methods: [POST], headers: [X-User-Id], max_age: 1h}}}")
	want := config.CORS{Origins: []string{"https://a.example", "http://localhost:3000"}, Methods: []string{"POST"}, Headers: []string{"X-User-Id"}, MaxAge: time.Hour}
	if diff := cmp.Diff(want, cfg.Server.HTTP.CORS); diff != "" {
		t.Error(diff)
	}
	if all := mustParse(t, "repository: {path: m}\nserver: {http: {cors: {origins: ['*']}}}").Server.HTTP.CORS; all.Origins[0] != "*" || len(all.Methods) != 3 {
		t.Errorf("%+v", all)
	}
}

func TestHosts(t *testing.T) {
	hosts := mustParse(t, "repository: {path: m}\nserver: {http: {hosts: [gateway.example, 10.0.0.1, '::1']}}").Server.HTTP.Hosts
	if diff := cmp.Diff([]string{"gateway.example", "10.0.0.1", "::1"}, hosts); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{
		"['gateway:8000']":    "server.http.hosts[0]: expected a host name",
		"['https://gateway']": "server.http.hosts[0]: expected a host name",
		"['*.example']":       "server.http.hosts[0]: expected a host name",
		"['']":                "server.http.hosts[0]: expected a host name",
		"[a, a]":              "server.http.hosts[1]: \"a\" is named twice",
	} {
		_, err := config.Parse("test.yaml", []byte("repository: {path: m}\nserver: {http: {hosts: "+text+"}}"), noEnv)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestCORSIsRefused(t *testing.T) {
	for setting, want := range map[string]string{
		"origins: ['*', 'https://a.example']":               "server.http.cors.origins[0]: '*' allows all origins, so it must be the only one",
		"origins: ['https://a.example/']":                   "server.http.cors.origins[0]: expected '*', or an origin such as",
		"origins: ['https://A.example']":                    "server.http.cors.origins[0]: expected '*', or an origin such as",
		"origins: ['a.example']":                            "server.http.cors.origins[0]: expected '*', or an origin such as",
		"origins: ['https://u:p@a.example']":                "server.http.cors.origins[0]: expected '*', or an origin such as",
		"origins: ['https://*.example?a']":                  "server.http.cors.origins[0]: expected '*', or an origin such as",
		"origins: ['https://a.example', https://a.example]": "server.http.cors.origins[1]: \"https://a.example\" is named twice",
		"methods: [DELETE]":                                 "server.http.cors.methods[0]: expected GET, HEAD or POST",
		"headers: [\"a\\nb\"]":                              "server.http.cors.headers[0]: expected the name of a header",
		"max_age: 48h":                                      "server.http.cors.max_age: expected",
	} {
		_, err := config.Parse("test.yaml", []byte("repository: {path: m}\nserver: {http: {cors: {"+setting+"}}}"), noEnv)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", setting, err, want)
		}
	}
}
