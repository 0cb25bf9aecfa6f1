package app

import (
	"cmp"
	"context"
	"slices"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// Routes implements admin.RouteControl.
func (c control) Routes() []api.Route {
	v := c.app.reconcile.view.Load()
	list := make([]api.Route, 0, len(v.routes))
	for _, route := range v.routes {
		list = append(list, route.route)
	}
	slices.SortFunc(list, func(a, b api.Route) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Route implements admin.RouteControl.
func (c control) Route(name string) (api.Route, error) {
	route, err := c.routeView(name)
	if err != nil {
		return api.Route{}, err
	}
	return route.route, nil
}

func (c control) routeView(name string) (*routeView, error) {
	route := c.app.reconcile.view.Load().routes[name]
	if route == nil {
		return nil, infer.Errorf(infer.NotFound, "there is no route '%s', nor a model of that name that serves", name)
	}
	return route, nil
}

// SetRoute implements admin.RouteControl.
func (c control) SetRoute(ctx context.Context, route api.Route, edit admin.Edit) (api.RouteResult, error) {
	r := c.app.reconcile
	return c.edit(ctx, func(ctx context.Context, commit func() bool) (api.RouteResult, error) {
		return r.setRoute(ctx, commit, route, edit)
	})
}

// DeleteRoute implements admin.RouteControl.
func (c control) DeleteRoute(ctx context.Context, name string, edit admin.Edit) (api.RouteResult, error) {
	r := c.app.reconcile
	return c.edit(ctx, func(ctx context.Context, commit func() bool) (api.RouteResult, error) {
		return r.deleteRoute(ctx, commit, name, edit)
	})
}

// edit is send for a change that is made within control.timeout or not at all.
func (c control) edit(ctx context.Context, do func(context.Context, func() bool) (api.RouteResult, error)) (api.RouteResult, error) {
	limit := c.app.opts.Config.Control.Timeout
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var result api.RouteResult // not read unless the change was made
	err := c.app.reconcile.sendOrNothing(ctx, func(ctx context.Context, commit func() bool) (err error) {
		result, err = do(ctx, commit)
		return err
	})
	switch {
	case err == nil:
		return result, nil
	case infer.CodeOf(err) == infer.Deadline:
		return api.RouteResult{}, infer.Errorf(infer.Unavailable, "not done within control.timeout (%v); nothing was changed", limit)
	default:
		return api.RouteResult{}, err
	}
}

// Events implements admin.RouteControl.
func (c control) Events(after int64, limit int, subject string) ([]api.Event, error) {
	return c.app.journal.Read(after, limit, subject)
}

// RouteStats implements admin.RouteControl.
func (c control) RouteStats(name string) (api.RouteStats, error) {
	v, err := c.routeView(name)
	if err != nil {
		return api.RouteStats{}, err
	}
	now := time.Now()
	stats := api.RouteStats{
		Name: v.route.Name, Model: v.route.Model, Revision: v.route.Revision,
		Variants: make([]api.VariantStats, len(v.route.Variants)), Shadows: make([]api.ShadowStats, len(v.route.Shadows)),
	}
	live, shadows := versionStates(c.app.registry), versionStates(c.app.shadows)
	for i, variant := range v.route.Variants {
		s := &stats.Variants[i]
		version := infer.Version{Model: v.route.Model, Number: variant.Version}
		s.Variant, s.State = variant, live[version]
		if len(v.arms) == 0 {
			s.Total = c.impliedCount(version)
			continue
		}
		s.Total, s.Recent = v.arms[i].Snapshot(now)
		if b := v.breakers[i]; b != nil {
			s.Breaker = b.State()
		}
	}
	for i, shadow := range v.route.Shadows {
		s := &stats.Shadows[i]
		s.Shadow, s.State = shadow, shadows[infer.Version{Model: v.route.Model, Number: shadow.Version}]
		s.Answered, s.Errors, s.Dropped, s.Recent = v.shadows[i].Snapshot(now)
		if m := v.mirrors[i]; m != nil {
			s.Queued, _ = m.Queued()
		}
	}
	return stats, nil
}

// impliedCount is what a version did that no route splits. Its own counters know
// successes and failures, whoever made the mistake.
func (c control) impliedCount(v infer.Version) api.ArmCount {
	series := c.app.reconcile.record.versionFor(v)
	if series == nil {
		return api.ArmCount{}
	}
	s := series.Snapshot()
	return api.ArmCount{Requests: int64(s.Success.Count + s.Fail.Count), Errors: int64(s.Fail.Count)} //nolint:gosec // counts of requests
}

// versionStates returns the state of each version that a registry knows.
func versionStates(r *registry.Registry) map[infer.Version]string {
	m := map[infer.Version]string{}
	for _, s := range r.Status() {
		m[infer.Version{Model: s.Name, Number: s.Version}] = s.State
	}
	return m
}
