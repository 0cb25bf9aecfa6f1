package main

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/app"
	"sluice.io/sluice/internal/config"
)

// greeted returns the welcome of a gateway that answers with routes on both ports, and its URL.
func greeted(t *testing.T, tokens map[string]config.Secret, routes map[string]http.HandlerFunc) (text, at string) {
	t.Helper()
	return greetedBy(t, &config.Config{Admin: config.Admin{Tokens: tokens}}, routes)
}

// greetedBy is greeted with a configuration.
func greetedBy(t *testing.T, cfg *config.Config, routes map[string]http.HandlerFunc) (text, at string) {
	t.Helper()
	at = gateway(t, routes)
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := net.ResolveTCPAddr("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	w := welcome{
		out: &out, program: "./my gateway", config: cfg, at: app.Addresses{HTTP: addr, Admin: addr}, ready: make(chan struct{}),
	}
	close(w.ready)
	w.run(t.Context())
	return out.String(), at
}

func TestWelcomeTriesTheModelWithTheShortestExample(t *testing.T) {
	wide := client.Metadata{Inputs: []client.TensorMetadata{{Name: "x", Datatype: "INT8", Shape: []int64{-1, 50}}}}
	narrow := client.Metadata{Inputs: []client.TensorMetadata{{Name: "it's", Datatype: "INT8", Shape: []int64{1}}}}
	got, at := greeted(t, map[string]config.Secret{"alice": "a-long-enough-secret"}, map[string]http.HandlerFunc{
		"GET /api/v1/models": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer a-long-enough-secret" {
				fails(http.StatusUnauthorized, "no token")(w, r)
				return
			}
			says([]api.ModelStatus{
				{Name: "narrow", Version: 1, State: api.StateUnavailable},
				{Name: "wide", Version: 1, State: api.StateReady},
				{Name: "small one", Version: 1, State: api.StateReady},
				{Name: "small one", Version: 2, State: api.StateReady},
			})(w, r)
		},
		"GET /v2/models/wide": says(wide), "GET /v2/models/small one": says(narrow), "GET /v2/models/narrow": says(client.Metadata{}),
	})
	for _, line := range []string{
		"  HTTP     " + at, "  admin    " + at, "  console  " + at + "/",
		"  curl -s " + at + "/v2/models/small%20one",
		"  curl -s " + at + `/v2/models/small%20one/infer -d '{"inputs":[{"name":"it'\''s","shape":[1],"datatype":"INT8","data":[`,
		"  curl -s " + at + "/metrics",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
	if n := strings.Count(got, "curl "); n != 3 {
		t.Errorf("%d commands, want 3", n)
	}
}

func TestWelcomeWithoutModels(t *testing.T) {
	f := func(routes map[string]http.HandlerFunc) {
		t.Helper()
		got, at := greeted(t, nil, routes)
		for _, path := range []string{"/v2", "/v2/health/ready", "/metrics"} {
			if !strings.Contains(got, "  curl -s "+at+path+"\n") {
				t.Errorf("no %s in\n%s", path, got)
			}
		}
	}
	f(map[string]http.HandlerFunc{"GET /api/v1/models": fails(http.StatusForbidden, "no")})
	f(map[string]http.HandlerFunc{"GET /api/v1/models": says([]api.ModelStatus{})})
	f(map[string]http.HandlerFunc{"GET /api/v1/models": says([]api.ModelStatus{{Name: "gone", State: api.StateReady}})})
}

func TestWelcomeSaysWhatIsNotServed(t *testing.T) {
	warning := api.RepositoryWarning{Path: "m/v1/", Problem: "not a version", Advice: "rename it"}
	got, at := greeted(t, nil, map[string]http.HandlerFunc{
		"GET /api/v1/models": says([]api.ModelStatus{}), "GET /-/ready": fails(http.StatusServiceUnavailable, "0 models"),
		"GET /api/v1/status": says(api.ServerStatus{RepositoryWarnings: []api.RepositoryWarning{warning}}),
	})
	if want := "Sluice runs, but it is not ready: 0 models.\n\nNot served:\n  m/v1/: not a version; rename it\n\n  HTTP     " + at; !strings.HasPrefix(got, want) {
		t.Errorf("got %s", got)
	}
	got, _ = greeted(t, nil, map[string]http.HandlerFunc{
		"GET /api/v1/models": says([]api.ModelStatus{{Name: "a", State: api.StateReady}}), "GET /-/ready": says(nil),
	})
	if !strings.HasPrefix(got, "Sluice is ready: 1 model.\n  HTTP") {
		t.Errorf("got %s", got)
	}
}

func TestWelcomeSaysWhichRoutesDiffer(t *testing.T) {
	cfg := &config.Config{Routes: map[string]config.Route{
		"iris": {Variants: []config.RouteVariant{{Version: config.VersionRef{Number: 1}, Weight: 9500, Role: "stable"}, {Version: config.VersionRef{Number: 2}, Weight: 500, Role: "canary"}}},
	}}
	f := func(canary int, want bool) {
		t.Helper()
		live := api.Route{Name: "iris", Revision: 3, Variants: []api.Variant{variant(1, 100-canary, "stable"), variant(2, canary, "canary")}}
		live.Complete()
		got, _ := greetedBy(t, cfg, map[string]http.HandlerFunc{"GET /api/v1/routes": says([]api.Route{live})})
		if strings.Contains(got, "differ from the configuration file") != want || want && !strings.Contains(got, "\n  iris: v2 canary 20% → 5% in the file\n") {
			t.Errorf("a canary of %d %%: %s", canary, got)
		}
	}
	f(5, false)
	f(20, true)
}

func TestWelcomeSplitsTheTraffic(t *testing.T) {
	meta := client.Metadata{Inputs: []client.TensorMetadata{{Name: "x", Datatype: "BOOL", Shape: []int64{0}}}}
	implied := api.Route{Name: "digits", Variants: []api.Variant{variant(1, 100, "stable")}}
	plain := api.Route{Name: "boring", Revision: 4, Variants: []api.Variant{variant(1, 100, "stable")}}
	split := api.Route{Name: "it's", Revision: 2, Variants: []api.Variant{variant(1, 95, "stable"), variant(2, 5, "canary")}}
	const secret = "a-long-enough-secret"
	tokens := map[string]config.Secret{"alice": secret}
	f := func(want string, tokens map[string]config.Secret, routes ...api.Route) {
		t.Helper()
		got, at := greeted(t, tokens, map[string]http.HandlerFunc{
			"GET /api/v1/routes": func(w http.ResponseWriter, r *http.Request) {
				if tokens != nil && r.Header.Get("Authorization") != "Bearer "+secret {
					fails(http.StatusUnauthorized, "no token")(w, r)
					return
				}
				says(routes)(w, r)
			},
			"GET /v2/models/it's": says(meta), "GET /v2/models/boring": fails(http.StatusServiceUnavailable, "not loaded"),
		})
		want = "Sluice is ready.\n  HTTP     " + at + "\n  admin    " + at + "\n  console  " + at + "/\n\nTry:\n" + strings.ReplaceAll(want, "URL", at)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	const send, data = `  curl -s URL/v2/models/it%27s
  curl -si URL/v2/models/it%27s/infer`, `"inputs":[{"name":"x","shape":[0],"datatype":"BOOL","data":[]}]}'
  curl -s URL/metrics
`
	const split20 = `
Split the traffic:
  './my gateway' routes get 'it'\''s' --watch --admin URL
  './my gateway' routes set 'it'\''s' --canary 2=20% --reason "looks good" --admin URL
  './my gateway' journal --admin URL
`
	f(send+` -d '{`+data+split20, nil, implied, plain, split)
	split.Sticky.Parameter = "user"
	f(send+` -d '{"parameters":{"user":"u1"},`+data+split20, nil, split)
	split.Sticky = api.Sticky{Header: "X-User-Id"}
	f(send+` -H 'X-User-Id: u1' -d '{`+data+strings.Replace(split20, "traffic:", "traffic (SLUICE_TOKEN must have a token of the admin port):", 1), tokens, split)

	const nothing = "  curl -s URL/v2\n  curl -s URL/v2/health/ready\n  curl -s URL/metrics\n"
	f(nothing+`
Split the traffic:
  './my gateway' routes get boring --watch --admin URL
  './my gateway' journal --admin URL
`, nil, implied, plain) // none of its versions is loaded
	f(nothing, nil, implied)
}

func TestMoreForACanary(t *testing.T) {
	f := func(want int, variants ...api.Variant) {
		t.Helper()
		r := api.Route{Variants: variants}
		got := 0
		if v := canary(&r); v != nil {
			got = moreFor(&r, v)
		}
		if got != want {
			t.Errorf("%v: %d, want %d", variants, got, want)
		}
	}
	f(500, variant(1, 100, "stable"), variant(2, 0, "canary"))
	f(2_000, variant(1, 95, "stable"), variant(2, 5, "canary"))
	f(2_000, variant(1, 15, "stable"), variant(2, 5, "canary"), variant(1, 80, "control"))
	f(5_000, variant(1, 80, "stable"), variant(2, 20, "canary"))
	f(0, variant(1, 50, "stable"), variant(2, 50, "canary"))
	f(0, variant(1, 14, "stable"), variant(2, 5, "canary"), variant(1, 81, "control"))
	f(0, variant(1, 50, "stable"), variant(3, 45, "stable"), variant(2, 5, "canary"))
	f(0, variant(1, 90, "stable"), variant(2, 5, "canary"), variant(3, 5, "canary"))
}

func TestReachable(t *testing.T) {
	f := func(ip net.IP, want string) {
		t.Helper()
		if got := reachable(&net.TCPAddr{IP: ip, Port: 8000}, &config.TLS{}); got != want {
			t.Errorf("%v gives %s, want %s", ip, got, want)
		}
	}
	f(net.IPv4zero, "http://localhost:8000")
	f(net.IPv6unspecified, "http://localhost:8000")
	f(net.IPv4(10, 0, 0, 1), "http://10.0.0.1:8000")
	f(net.IPv6loopback, "http://[::1]:8000")
	if got := reachable(&net.TCPAddr{IP: net.IPv4zero, Port: 8000}, &config.TLS{Cert: "cert.pem"}); got != "https://localhost:8000" {
		t.Errorf("with TLS: %s", got)
	}
}
