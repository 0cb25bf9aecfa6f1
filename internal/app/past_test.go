package app_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

// What is older than an hour comes from Prometheus, by queries of the gateway about names that exist.
func TestHistoryOfPrometheus(t *testing.T) {
	var mu sync.Mutex
	var queries []string
	broken := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, at := r.FormValue("query"), r.FormValue("end")
		mu.Lock()
		queries = append(queries, query)
		fails := broken
		mu.Unlock()
		var labels string
		value := "0.25"
		switch {
		case fails:
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		case strings.Contains(query, "sluice_requests_total") && !strings.Contains(query, "code"):
			labels, value = `"model":"double"`, "20"
		case strings.Contains(query, "sluice_route_requests_total"):
			labels, value = `"route":"shop","version":"2","role":"canary"`, "7"
		case strings.Contains(query, "sluice_shadow_requests_total"):
			labels, value = `"route":"shop","version":"3"`, "5"
		case strings.Contains(query, "0.99") && strings.Contains(query, "sluice_request_duration"):
			labels = `"model":"double"`
		default:
			labels = `"model":"nobody"`
		}
		_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{%s},"values":[[%s,"%s"]]}]}}`, labels, at, value)
	}))
	defer server.Close()
	const route = "routes: {shop: {model: double, variants: [{version: 1, weight: 50%}, {version: 2, weight: 50%, role: canary}], shadows: [{version: 3, sample: 100%}]}}"
	g := startOn(t, &fakes{}, doubles(t, 3), "models: {double: {"+fakeModels+"}}", route, fmt.Sprintf("prometheus: {url: %q}", server.URL))
	c, err := client.New(client.Options{Admin: g.admin, Data: g.url, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	q := api.HistoryQuery{Models: []string{"double", `evil"} or up{x="`}, Routes: []string{"shop", "double"}, Span: 24 * time.Hour, Points: 100}
	h, err := c.History(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	last := func(p api.Points) float64 { return p[len(p)-1] }
	if n := len(h.Models[0].Requests); len(h.Models) != 1 || n < 90 || n > 100 || time.Duration(h.Step)*time.Duration(n) > q.Span {
		t.Fatalf("%d models, %d steps of %v", len(h.Models), n, h.Step)
	}
	m := h.Models[0]
	if last(m.Requests) != 20 || last(m.P99) != 0.25 || !math.IsNaN(last(m.P50)) || !math.IsNaN(m.Requests[0]) {
		t.Errorf("%+v", m)
	}
	v := h.Routes[0].Variants
	if len(v) != 3 || !math.IsNaN(last(v[0].Requests)) || last(v[1].Requests) != 7 || last(v[2].Requests) != 5 {
		t.Errorf("%+v", v)
	}
	if implied := h.Routes[1].Variants; len(implied) != 1 || last(implied[0].Requests) != 20 {
		t.Errorf("%+v", implied)
	}
	mu.Lock()
	if len(queries) != 13 {
		t.Errorf("%d queries", len(queries))
	}
	for _, query := range queries {
		if strings.Contains(query, "evil") || !strings.Contains(query, `=~"double"`) && !strings.Contains(query, `=~"shop"`) {
			t.Errorf("asked %s", query)
		}
	}
	broken, queries = true, nil
	mu.Unlock()
	if _, err := c.History(t.Context(), q); err == nil || !strings.Contains(err.Error(), "Prometheus") || strings.Contains(err.Error(), server.URL) {
		t.Errorf("a server that fails: %v", err)
	}
	q.Span = time.Hour // of the memory
	if _, err := c.History(t.Context(), q); err != nil {
		t.Error(err)
	}
}
