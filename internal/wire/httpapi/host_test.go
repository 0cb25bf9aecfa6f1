package httpapi_test

import (
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	addr := start(t, &stub{}, func(o *options) { o.Hosts = []string{"gateway.example", "127.0.0.1", "::1"} })
	f := func(host, method, path string, status int) {
		t.Helper()
		text := strings.Replace(request(method, path, ""), "Host: ", "Host: "+host+"\r\nX-Was: ", 1)
		a := send(t, addr, text)
		if a.status != status || status == 403 && !strings.Contains(a.body, "server.http.hosts") {
			t.Errorf("%s %s of host %q: %d %s, want %d", method, path, host, a.status, a.body, status)
		}
	}
	for _, host := range []string{"gateway.example", "Gateway.Example:8000", "127.0.0.1", "127.0.0.1:1", "[::1]:8000", "[::1]"} {
		f(host, "GET", "/v2", 200)
	}
	for _, host := range []string{"evil.example", "gateway.example.evil.example", "gateway.example@evil.example", "[::2]", "127.0.0.2"} {
		f(host, "GET", "/v2", 403)
		f(host, "POST", "/v2/repository/index", 403)
		f(host, "GET", "/v2/health/ready", 200)
	}
}
