package app

import (
	"context"
	"slices"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/history"
	"sluice.io/sluice/internal/metrics"
	"sluice.io/sluice/internal/reconcile"
)

// newHistory returns what keeps rates and latencies.
func (a *App) newHistory(cfg *config.Config) *history.Recorder {
	return history.New(history.Options{
		Source: recorded{a.reconcile}, Buckets: metrics.Buckets, Middle: metrics.Middle, MaxBytes: int64(cfg.History.MaxMemory),
	})
}

// recorded has the counters of models and routes for package history.
type recorded struct{ reconcile *reconcile.Reconciler }

// Each implements history.Source.
func (r recorded) Each(visit func(history.Key, int, []history.Counter)) {
	var counters []history.Counter
	r.reconcile.ModelCounters(func(model string, queued int, list []reconcile.Counter) {
		counters = counters[:0]
		for _, c := range list {
			counters = append(counters, c)
		}
		visit(history.Key{Model: model}, queued, counters)
	})
	r.reconcile.RouteCounters(func(route string, version int64, role string, queued int, c reconcile.Counter) {
		visit(history.Key{Route: route, Variant: history.Variant{Version: version, Role: role}}, queued, append(counters[:0], c))
	})
}

// MaxHistory implements admin.HistoryControl.
func (c control) MaxHistory() time.Duration {
	if c.app.past != nil {
		return maxPast
	}
	return history.Span
}

// History implements admin.HistoryControl.
func (c control) History(ctx context.Context, q api.HistoryQuery) (api.History, error) {
	h, keys := c.historyOf(q)
	window, series, err := c.readHistory(ctx, q, keys)
	if err != nil {
		return api.History{}, err
	}
	h.From, h.Step, h.Since, h.MaxSpan = window.From, api.Duration(window.Step), window.Since, api.Duration(c.MaxHistory())
	for i := range h.Models {
		h.Models[i].Series, series = series[0], series[1:]
	}
	for i := range h.Routes {
		for j := range h.Routes[i].Variants {
			h.Routes[i].Variants[j].Series, series = series[0], series[1:]
		}
	}
	return h, nil
}

// readHistory returns the values of series: of the memory, or of Prometheus if they are too old.
func (c control) readHistory(ctx context.Context, q api.HistoryQuery, keys []history.Key) (history.Window, []api.Series, error) {
	if q.Span > history.Span {
		return c.app.past.read(ctx, q, keys)
	}
	window, values := c.app.history.Read(q.Span, q.Points, keys)
	list := make([]api.Series, len(values))
	for i, v := range values {
		list[i] = api.Series{Requests: v.Requests, Errors: v.Errors, P50: v.P50, P99: v.P99, Queue: v.Queue}
	}
	return window, list, nil
}

// historyOf returns the document of the names that exist, without values, and the key of each series in it.
func (c control) historyOf(q api.HistoryQuery) (h api.History, keys []history.Key) {
	h = api.History{Models: []api.ModelHistory{}, Routes: []api.RouteHistory{}} // [] instead of null
	var known map[string]bool
	exists := func(model string) bool {
		if known == nil {
			known = map[string]bool{}
			for _, m := range c.app.reconcile.Statuses() {
				known[m.Name] = true
			}
		}
		return known[model]
	}
	for _, model := range q.Models {
		if c.app.history.Has(model) || exists(model) {
			h.Models, keys = append(h.Models, api.ModelHistory{Name: model}), append(keys, history.Key{Model: model})
		}
	}
	for _, name := range q.Routes {
		if variants, of := c.variantsOf(name); len(variants) > 0 {
			h.Routes, keys = append(h.Routes, api.RouteHistory{Name: name, Variants: variants}), append(keys, of...)
		}
	}
	return h, keys
}

// variantsOf returns the variants and shadows of a route, the present ones first, and their keys.
func (c control) variantsOf(name string) (list []api.VariantHistory, keys []history.Key) {
	add := func(v history.Variant, k history.Key) {
		list, keys = append(list, api.VariantHistory{Version: v.Version, Role: v.Role}), append(keys, k)
	}
	route, err := c.app.reconcile.Route(name)
	if err == nil && route.Revision == 0 { // not declared: it is the model
		v := route.Variants[0]
		add(history.Variant{Version: v.Version, Role: v.Role}, history.Key{Model: route.Model})
	} else if err == nil {
		for _, v := range route.Variants {
			add(history.Variant{Version: v.Version, Role: v.Role}, history.Key{Route: name, Variant: history.Variant{Version: v.Version, Role: v.Role}})
		}
		for _, s := range route.Shadows {
			v := history.Variant{Version: s.Version, Role: api.RoleShadow}
			add(v, history.Key{Route: name, Variant: v})
		}
	}
	for _, v := range c.app.history.Variants(name) {
		if k := (history.Key{Route: name, Variant: v}); !slices.Contains(keys, k) {
			add(v, k)
		}
	}
	return list, keys
}
