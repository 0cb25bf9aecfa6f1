package app_test

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/fake"
)

// The history has what models, variants and shadows have served.
func TestHistory(t *testing.T) {
	const route = "routes: {shop: {model: double, variants: [{version: 1, weight: 50%}, {version: 2, weight: 50%, role: canary}], shadows: [{version: 3, sample: 100%}]}}"
	g := startOn(t, &fakes{}, doubles(t, 3), "models: {double: {"+fakeModels+"}}", route)
	c, err := client.New(client.Options{Admin: g.admin, Data: g.url})
	if err != nil {
		t.Fatal(err)
	}
	read := func() api.History {
		t.Helper()
		h, err := c.History(t.Context(), api.HistoryQuery{Models: []string{"double", "nobody"}, Routes: []string{"shop", "double", "nowhere"}, Span: time.Hour, Points: 720})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := read()
	if len(h.Models) != 1 || len(h.Routes) != 2 || len(h.Routes[0].Variants) != 3 || len(h.Routes[1].Variants) != 1 || time.Duration(h.Step) != 5*time.Second || len(h.Models[0].Requests) != 720 {
		t.Fatalf("%d models, %+v, step %v", len(h.Models), h.Routes, h.Step)
	}
	g.asks(t, "shop", 200, 2)
	for range 50 {
		if err := g.ask("double", 1); err != nil {
			t.Fatal(err)
		}
	}
	sum := func(p api.Points) (n float64) { // requests; a step is about 5 seconds
		for _, x := range p {
			if !math.IsNaN(x) {
				n += x * 5
			}
		}
		return n
	}
	about := func(got, want float64) bool { return got > want*0.05 && got < want*2 } // a late look has a lower rate
	var model, stable, canary, shadow, implied float64
	eventually(t, func() bool {
		h = read()
		variants := h.Routes[0].Variants
		model, implied = sum(h.Models[0].Requests), sum(h.Routes[1].Variants[0].Requests)
		stable, canary, shadow = sum(variants[0].Requests), sum(variants[1].Requests), sum(variants[2].Requests)
		return about(model, 250) && about(stable+canary, 200) && about(shadow, 200)
	})
	if stable == 0 || canary == 0 || implied != model {
		t.Errorf("stable %v, canary %v, of the route of the model's name %v, of the model %v", stable, canary, implied, model)
	}
	if v := h.Routes[0].Variants; v[0].Role != "stable" || v[1].Role != "canary" || v[1].Version != 2 || v[2].Role != "shadow" || v[2].Version != 3 {
		t.Errorf("%+v", v)
	}
	answered := 0
	for i, p50 := range h.Models[0].P50 {
		if p99 := h.Models[0].P99[i]; p50 > 0 && p99 >= p50 && p99 < 60 {
			answered++
		}
	}
	if answered == 0 || sum(h.Models[0].Errors) != 0 {
		t.Errorf("%+v", h.Models[0])
	}
	if got := time.Duration(h.MaxSpan); got != time.Hour {
		t.Errorf("the longest span is %v without a Prometheus server, want 1h", got)
	}
}

// A name without a declared route has the same statistics as a route.
func TestStatisticsOfAModelWithoutARoute(t *testing.T) {
	var broken atomic.Bool
	held := make(chan struct{})
	close(held)
	var hold atomic.Pointer[chan struct{}]
	hold.Store(&held)
	run := func(int) error {
		<-*hold.Load()
		if broken.Load() {
			return infer.Errorf(infer.Internal, "broken")
		}
		return nil
	}
	g := startOn(t, &fakes{live: map[int64]fake.Options{1: {Fail: run}}}, doubles(t, 1), "models: {double: {"+fakeModels+"}}")
	for range 3 {
		if err := g.ask("double", 1); err != nil {
			t.Fatal(err)
		}
	}
	f := func(body string, want int) {
		t.Helper()
		if status, text := g.call(t, http.MethodPost, g.url+"/v2/models/double/infer", body); status != want {
			t.Fatalf("%d %s, want %d", status, text, want)
		}
	}
	f(strings.Replace(oneRow, `"x"`, `"z"`, 1), http.StatusBadRequest) // the mistake of a caller
	broken.Store(true)
	f(oneRow, http.StatusInternalServerError)
	broken.Store(false)
	stats := func() (s api.RouteStats) {
		if err := json.Unmarshal([]byte(g.must(t, http.MethodGet, g.admin+"/api/v1/routes/double/stats", "")), &s); err != nil || len(s.Variants) != 1 {
			t.Fatalf("%+v %v", s, err)
		}
		return s
	}
	v := stats().Variants[0]
	want := api.VariantCount{Requests: 5, Errors: 1}
	if v.Total != want || v.Recent.VariantCount != want || v.Recent.P50 <= 0 || v.Recent.P99 < v.Recent.P50 || v.Recent.Window <= 0 || v.State != api.StateReady {
		t.Errorf("%+v", v)
	}
	// The interval of 1 of 5: 0.2 is in it, and it is wide.
	if r := v.ErrorRate; r != v.Recent.ErrorRate || r.Rate != 0.2 || r.Low <= 0 || r.Low > 0.05 || r.High < 0.7 || r.High >= 1 {
		t.Errorf("%+v and %+v", r, v.Recent.ErrorRate)
	}
	waiting := make(chan struct{})
	hold.Store(&waiting)
	replies := g.askers(t, "double", 12)
	eventually(t, func() bool { return stats().Variants[0].Queued > 0 })
	close(waiting)
	for range 12 {
		<-replies
	}
	if n := stats().Variants[0].Queued; n != 0 {
		t.Errorf("%d requests wait after all were answered", n)
	}
}
