package config_test

import (
	"strings"
	"testing"

	"sluice.io/sluice/internal/config"
)

func TestTLS(t *testing.T) {
	cfg := mustParse(t, `
repository: {path: m}
server: {http: {tls: {cert: c.pem, key: k.pem, client_ca: ca.pem, client_auth: require, min_version: 1.3}}}`)
	want := config.TLS{Cert: "c.pem", Key: "k.pem", ClientCA: "ca.pem", ClientAuth: config.ClientAuthRequire, MinVersion: "1.3"}
	if got := cfg.Server.HTTP.TLS; got != want || !got.Enabled() || cfg.Admin.TLS.Enabled() {
		t.Errorf("%+v", got)
	}
	for text, message := range map[string]string{
		"{cert: c.pem}":                               "server.http.tls.key: must be given",
		"{key: k.pem}":                                "server.http.tls.cert: must be given",
		"{client_auth: require}":                      "server.http.tls.cert: must be given",
		"{client_ca: ca.pem}":                         "server.http.tls.cert: must be given",
		"{cert: c, key: k, client_auth: request}":     "server.http.tls.client_ca: must be given",
		"{cert: c, key: k, client_ca: ca.pem}":        "client_ca: has no effect",
		"{cert: c, key: k, min_version: 1.1}":         "expected 1.2 or 1.3",
		"{cert: c, key: k, client_auth: on}":          "client_auth",
		"{cert: c, key: k, verify: require}":          "unknown key",
		"{cert: [c], key: k}":                         "expected text",
		"{cert: '${CERT}', key: k}":                   "replaced in secrets only",
		"{cert: c, key: k, client_auth: [], x: true}": "unknown key",
	} {
		_, err := config.Parse("test.yaml", []byte("repository: {path: m}\nserver: {http: {tls: "+text+"}}"), noEnv)
		if err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: got %v, want %q", text, err, message)
		}
	}
}
