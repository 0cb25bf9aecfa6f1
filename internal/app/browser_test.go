package app_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// page is a request as a browser sends it for a page. header has names and values in turn.
func (g *gateway) page(t *testing.T, client *http.Client, method, url string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp
}

// A page of another site can send requests through its reader's browser, without credentials or with
// those that the browser adds by itself. It must not change anything.
func TestPagesOfOtherSitesChangeNothing(t *testing.T) {
	const key = "operator-key-01234567"
	t.Setenv("OPERATOR_KEY", key)
	g := startOn(t, &fakes{}, doubles(t, 1), "repository.control: explicit", "repository.load: [double]", "http.cors: {origins: ['https://console.example']}", `
callers:
  operator: {keys: ['${OPERATOR_KEY}'], allow: [{models: ['*'], actions: [load, admin]}]}
  anonymous: {allow: [{models: ['*'], actions: [infer, metadata, load, admin]}]}`)
	changes := []string{g.url + "/v2/repository/models/double/load", g.admin + "/api/v1/models/double/load", g.admin + "/-/reload"}
	for name, c := range map[string]struct {
		header    []string
		data, own int // the status on the data plane and on the admin port
	}{
		"no page":                    {nil, 200, 200},
		"typed by the user":          {[]string{"Sec-Fetch-Site", "none"}, 200, 200},
		"another site":               {[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403, 403},
		"another site, old browser":  {[]string{"Origin", "https://evil.example"}, 403, 403},
		"another site, no origin":    {[]string{"Sec-Fetch-Site", "cross-site"}, 403, 403},
		"another host of the site":   {[]string{"Sec-Fetch-Site", "same-site", "Origin", "http://localhost:1"}, 403, 403},
		"a file or a sandbox":        {[]string{"Origin", "null"}, 403, 403},
		"a name that leads here":     {[]string{"Sec-Fetch-Site", "same-origin", "Origin", "http://evil.example", "Host", "evil.example"}, 403, 403},
		"a page that may call":       {[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://console.example"}, 200, 403},
		"with a key, that was given": {[]string{"Origin", "https://evil.example", "Authorization", "Bearer " + key}, 200, 403},
	} {
		t.Run(name, func(t *testing.T) {
			for _, url := range changes {
				want := c.own
				if strings.HasPrefix(url, g.url) {
					want = c.data
				}
				if got := g.page(t, http.DefaultClient, http.MethodPost, url, c.header...); got.StatusCode != want {
					t.Errorf("%s: %d, want %d", url, got.StatusCode, want)
				}
			}
		})
	}
	for _, path := range []string{"/v2/models/double/infer", "/v2/repository/index", "/v2/models/double"} {
		got := g.page(t, http.DefaultClient, http.MethodPost, g.url+path, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
		if got.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: a page of any site may read the answer", path)
		}
	}
}

// A page can send to the gRPC port only what a form can send, unless the server allows more.
func TestPagesCannotCallGRPC(t *testing.T) {
	g := startOn(t, &fakes{}, doubles(t, 1), "repository.control: explicit", "repository.load: [double]")
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	url := "http://" + g.grpc + "/inference.GRPCInferenceService/RepositoryModelUnload"
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""} {
		got := g.page(t, client, http.MethodPost, url, "Origin", "https://evil.example", "Content-Type", kind)
		if got.StatusCode != http.StatusUnsupportedMediaType || got.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%q: %d %v", kind, got.StatusCode, got.Header)
		}
	}
	got := g.page(t, client, http.MethodOptions, url, "Origin", "https://evil.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
	if got.StatusCode < 400 || got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a preflight: %d %v", got.StatusCode, got.Header)
	}
}

// Answers of the admin port are neither run, nor shown in a frame, nor told to others.
func TestHeadersOfPages(t *testing.T) {
	g := startOn(t, &fakes{}, doubles(t, 1))
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	html := 0
	for _, path := range []string{"/docs", "//docs", "/debug/pprof", "/debug/pprof/", "/metrics", "/api/v1/models", "/nothing<script>", "/-/healthy", "/openapi.json"} {
		got := g.page(t, client, http.MethodGet, g.admin+path)
		if strings.HasPrefix(got.Header.Get("Content-Type"), "text/html") {
			html++
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			if got.Header.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got.Header.Get(name), want)
			}
		}
		policy := got.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy %q does not have %s", path, policy, part)
			}
		}
		if strings.Contains(policy, "script-src") {
			t.Errorf("%s: the policy %q allows scripts", path, policy)
		}
	}
	if html < 3 {
		t.Errorf("%d of the answers were HTML, want those of the documents, of pprof and of a redirect", html)
	}
	for _, path := range []string{"/", "/nothing<script>", "/v2/models/<script>", "/v2/models/%3Cscript%3E", "/v2/health/ready", "/metrics"} {
		if got := g.page(t, client, http.MethodGet, g.url+path); strings.Contains(got.Header.Get("Content-Type"), "html") {
			t.Errorf("%s: the data plane answers HTML: %v", path, got.Header)
		}
	}
}
