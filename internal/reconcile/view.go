package reconcile

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/compare"
	"sluice.io/sluice/internal/confseq"
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/router"
	"sluice.io/sluice/internal/shadow"
)

// view is the state of the table for the control API. It is immutable, and replaced together
// with the table.
type view struct {
	routes     map[string]*routeView // declared and implied, by name
	references driftwatch.Applied
	aliases    []api.Alias
	waiting    []infer.Version // versions that were pushed, and that nothing names
	losses     map[string]*lossModel
}

// routeView is a route with the metrics and breakers of its parts.
type routeView struct {
	route    api.Route
	variants []*metrics.Variant // of the route's variants, in their order; none for an implied route
	answers  []*compare.Sums    // of each canary and control of a rollout; nil for others
	halts    []*atomic.Bool     // the flag that stops requests to each canary; nil for other roles
	breakers []*router.Breaker
	fallback *router.Breaker // of the version that the route names as its fallback
	shadows  []*comparedShadow
	mirrors  []*shadow.Mirror // nil if the shadow cannot run
	kept     int              // how many predictions are kept for labels, in basis points
	version  *metrics.Version // of an implied route
}

// Routes returns the declared and the implied routes, sorted by name.
func (r *Reconciler) Routes() []api.Route {
	v := r.view.Load()
	list := make([]api.Route, 0, len(v.routes))
	for _, route := range v.routes {
		list = append(list, route.route)
	}
	slices.SortFunc(list, func(a, b api.Route) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Route returns a declared or implied route. It fails with NotFound.
func (r *Reconciler) Route(name string) (api.Route, error) {
	route, err := r.routeView(name)
	if err != nil {
		return api.Route{}, err
	}
	return route.route, nil
}

func (r *Reconciler) routeView(name string) (*routeView, error) {
	route := r.view.Load().routes[name]
	if route == nil {
		return nil, infer.Errorf(infer.NotFound, "there is no route '%s', and no model of that name serves", name)
	}
	return route, nil
}

// RouteStats returns the counts of a route's parts. It fails with NotFound.
func (r *Reconciler) RouteStats(name string) (api.RouteStats, error) {
	v, err := r.routeView(name)
	if err != nil {
		return api.RouteStats{}, err
	}
	now := time.Now()
	stats := api.RouteStats{
		Name: v.route.Name, Model: v.route.Model, Revision: v.route.Revision,
		Variants: make([]api.VariantStats, len(v.route.Variants)), Shadows: make([]api.ShadowStats, len(v.route.Shadows)),
	}
	for i, variant := range v.route.Variants {
		s := &stats.Variants[i]
		version := infer.Version{Model: v.route.Model, Number: variant.Version}
		s.Variant, s.State = variant, r.registry.State(version)
		if leased := r.registry.Leased(version); leased != nil {
			s.Queued = leased.Queued()
		}
		if len(v.variants) == 0 {
			if series := r.record.versionFor(version); series != nil {
				s.Total, s.Recent = series.Count(now)
			}
		} else {
			s.Total, s.Recent = v.variants[i].Snapshot(now)
		}
		s.ErrorRate, s.Recent.ErrorRate = errorRate(s.Total), errorRate(s.Recent.VariantCount)
		if len(v.variants) == 0 {
			continue
		}
		if b := v.breakers[i]; b != nil {
			s.Breaker = b.State()
		}
	}
	for i, shadow := range v.route.Shadows {
		s := &stats.Shadows[i]
		s.Shadow, s.State = shadow, r.shadows.State(infer.Version{Model: v.route.Model, Number: shadow.Version})
		s.Answered, s.Errors, s.Dropped, s.Recent = v.shadows[i].Snapshot(now)
		s.Recent.ErrorRate = errorRate(s.Recent.VariantCount)
		if m := v.mirrors[i]; m != nil {
			s.Queued, _ = m.Queued()
		}
	}
	return stats, nil
}

// errorRate returns the share of errors with its interval, for who compares variants while the counts grow.
func errorRate(c api.VariantCount) api.ErrorRate {
	const alpha = 0.05
	n := float64(c.Requests)
	s := min(float64(c.Errors), n) // the counters are read one after another
	i := confseq.MeanBinary(n, s, alpha)
	rate := api.ErrorRate{Low: i.Low, High: i.High}
	if n > 0 {
		rate.Rate = s / n
	}
	return rate
}

// Breakers returns the states of the breakers of all versions that routes use.
func (r *Reconciler) Breakers() map[infer.Version]string {
	states := map[infer.Version]string{}
	for _, v := range r.view.Load().routes {
		for i, b := range v.breakers {
			if b != nil {
				states[infer.Version{Model: v.route.Model, Number: v.route.Variants[i].Version}] = b.State()
			}
		}
		if v.fallback != nil {
			states[infer.Version{Model: v.route.Model, Number: v.route.Fallback.Version}] = v.fallback.State()
		}
	}
	return states
}

// Declared returns the declared routes.
func (r *Reconciler) Declared() []api.Route {
	var list []api.Route
	for _, v := range r.view.Load().routes {
		if v.route.Revision > 0 {
			list = append(list, v.route)
		}
	}
	return list
}

// ShadowQueues returns the number and bytes of the copies that wait for each shadow.
func (r *Reconciler) ShadowQueues() map[infer.Version]metrics.QueueSize {
	queues := map[infer.Version]metrics.QueueSize{}
	for _, v := range r.view.Load().routes {
		for i, m := range v.mirrors {
			if m != nil {
				n, bytes := m.Queued()
				queues[infer.Version{Model: v.route.Model, Number: v.route.Shadows[i].Version}] = metrics.QueueSize{Requests: n, Bytes: bytes}
			}
		}
	}
	for _, l := range r.view.Load().losses {
		if l.mirror != nil {
			n, bytes := l.mirror.Queued()
			queues[l.version] = metrics.QueueSize{Requests: n, Bytes: bytes}
		}
	}
	return queues
}

// Models returns the state of every version that answers callers, or should, without
// details.
func (r *Reconciler) Models() []api.ModelStatus { return r.registry.List() }

// Warnings returns the warnings about entries of the repository that are not served. The list
// must not be modified.
func (r *Reconciler) Warnings() []api.RepositoryWarning { return *r.warnings.Load() }

// Details is Models with details, and with the versions that run as shadows, and those that are
// registered and not loaded.
func (r *Reconciler) Details() []api.ModelStatus { return r.withRoles(r.details(), r.shadows.Status()) }

// Statuses is Details without details.
func (r *Reconciler) Statuses() []api.ModelStatus {
	return r.withRoles(r.registry.List(), r.shadows.List())
}

// withRoles puts versions that answer callers, shadows, and versions that are not loaded into one list.
func (r *Reconciler) withRoles(list, shadows []api.ModelStatus) []api.ModelStatus {
	for i := range list {
		list[i].Role = api.RoleLive
	}
	for _, s := range shadows {
		s.Role = api.RoleShadow
		list = append(list, s)
	}
	for _, v := range r.view.Load().waiting {
		list = append(list, api.ModelStatus{Name: v.Model, Version: v.Number, State: api.StateRegistered})
	}
	slices.SortStableFunc(list, func(a, b api.ModelStatus) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return list
}

// Reference returns the reference that a version is compared with, nil if there is none.
func (r *Reconciler) Reference(v infer.Version) *driftwatch.Reference {
	return r.view.Load().references.Of(v)
}

func (r *Reconciler) details() []api.ModelStatus {
	list, references := r.registry.Status(), r.view.Load().references
	for i := range list {
		s := &list[i]
		v := infer.Version{Model: s.Name, Number: s.Version}
		leased, ref := r.registry.Leased(v), references.Of(v)
		if s.Detail != nil && leased != nil && ref != nil {
			s.Detail.Profile = ref.Profile(leased.Model())
		}
	}
	return list
}

// Served returns the versions that have had requests, with their metrics. So thousands of idle
// versions have no series.
func (r *Reconciler) Served() map[infer.Version]Served {
	m := map[infer.Version]Served{}
	for v, leased := range r.registry.Serving() {
		if series := r.record.versionFor(v); series != nil && series.Used() {
			m[v] = Served{Leased: leased, Series: series}
		}
	}
	return m
}

// Served is a version that serves, with its metrics.
type Served struct {
	Leased *registry.Leased
	Series *metrics.Version
}

// Serving returns a version that serves, with its metrics. It is not ok for any other
// version.
func (r *Reconciler) Serving(v infer.Version) (s Served, ok bool) {
	s = Served{Leased: r.registry.Leased(v), Series: r.record.versionFor(v)}
	return s, s.Leased != nil && s.Series != nil
}
