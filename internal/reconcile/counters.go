package reconcile

import (
	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
)

// Counter counts requests, or copies for a shadow.
type Counter interface {
	Totals() (requests, errors int64)
	// AddTimes adds the number of answered requests by their latency to to, which has metrics.Buckets elements.
	AddTimes(to []int64)
}

// ModelCounters calls visit for each model that had requests, with the number of requests that wait, and a counter for
// each of its versions that serve.
func (r *Reconciler) ModelCounters(visit func(model string, queued int, counters []Counter)) {
	type model struct {
		queued   int
		counters []Counter
	}
	all := map[string]model{}
	for v, s := range r.Served() {
		m := all[v.Model]
		all[v.Model] = model{m.queued + s.Leased.Queued(), append(m.counters, s.Series)}
	}
	for name, m := range all {
		visit(name, m.queued, m.counters)
	}
}

// RouteCounters calls visit for each variant and shadow of each declared route, with the number of requests or copies that
// wait for the version, whatever their route.
func (r *Reconciler) RouteCounters(visit func(route string, version int64, role string, queued int, c Counter)) {
	for name, v := range r.view.Load().routes {
		for i, m := range v.variants {
			a, queued := v.route.Variants[i], 0
			if leased := r.registry.Leased(infer.Version{Model: v.route.Model, Number: a.Version}); leased != nil {
				queued = leased.Queued()
			}
			visit(name, a.Version, a.Role, queued, m)
		}
		for i, s := range v.shadows {
			queued := 0
			if m := v.mirrors[i]; m != nil {
				queued, _ = m.Queued()
			}
			visit(name, v.route.Shadows[i].Version, api.RoleShadow, queued, s.Shadow)
		}
	}
}

var (
	_ Counter = (*metrics.Version)(nil)
	_ Counter = (*metrics.Variant)(nil)
	_ Counter = (*metrics.Shadow)(nil)
)
