package main

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/app"
	"sluice.io/sluice/internal/config"
)

// greeted returns the welcome of a gateway that answers with routes on both
// ports, and its URL.
func greeted(t *testing.T, tokens map[string]config.Secret, routes map[string]http.HandlerFunc) (text, at string) {
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
	w := welcome{out: &out, tokens: tokens, at: app.Addresses{HTTP: addr, Admin: addr}, ready: make(chan struct{})}
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
		"  HTTP   " + at, "  admin  " + at,
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

func TestReachable(t *testing.T) {
	f := func(ip net.IP, want string) {
		t.Helper()
		if got := reachable(&net.TCPAddr{IP: ip, Port: 8000}); got != want {
			t.Errorf("%v gives %s, want %s", ip, got, want)
		}
	}
	f(net.IPv4zero, "http://localhost:8000")
	f(net.IPv6unspecified, "http://localhost:8000")
	f(net.IPv4(10, 0, 0, 1), "http://10.0.0.1:8000")
	f(net.IPv6loopback, "http://[::1]:8000")
}
