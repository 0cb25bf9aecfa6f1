package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/routes"
)

// routeEdit is a change of one route, or of an alias. after is nil if the route is deleted, and
// if it is a change of an alias, which has no name.
type routeEdit struct {
	name  string
	alias *api.Alias // after the change; its version is 0 if it is deleted
	after *api.RouteState
	event api.Event
}

// edit makes the edit of a route that becomes next, or is deleted if next is nil.
func (r *Reconciler) edit(origin, name string, next *api.RouteState) (routeEdit, error) {
	e := routeEdit{name: name, after: next}
	now, exists := r.routes.Get(name)
	var err error
	switch {
	case next == nil && !exists:
		e.event, err = routes.DeleteEvent(origin, api.RouteState{Route: api.Route{Name: name}})
	case next == nil:
		e.event, err = routes.DeleteEvent(origin, now)
	case exists:
		e.event, err = routes.SetEvent(origin, &now, *next)
	default:
		e.event, err = routes.SetEvent(origin, nil, *next)
	}
	return e, err
}

// fileEdits returns the edits from the file that was applied last to the file of cfg. The
// error lists the edits that are not possible.
func (r *Reconciler) fileEdits(cfg *config.Config) ([]routeEdit, error) {
	set, deleted := r.routes.FileChanges(documents(cfg))
	edits := make([]routeEdit, 0, len(set)+len(deleted))
	var problems []string
	add := func(name string, next *api.RouteState, err error) {
		between := "." // before the name of a field
		if err == nil {
			err, between = r.locked(name), ": "
		}
		if err == nil {
			var e routeEdit
			if e, err = r.edit(api.OriginFile, name, next); err == nil {
				edits = append(edits, e)
			}
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("routes.%s%s%s", name, between, infer.Message(err)))
		}
	}
	for _, route := range set {
		var next api.RouteState
		route, err := r.resolve(route, nil)
		if err == nil {
			next, err = r.routes.Put(route)
		}
		add(route.Name, &next, err)
	}
	for _, name := range deleted {
		add(name, nil, nil)
	}
	if len(problems) > 0 {
		return edits, infer.Errorf(infer.Invalid, "%s", strings.Join(problems, "; "))
	}
	return edits, nil
}

// documents returns the routes of the file.
func documents(cfg *config.Config) map[string]api.Route {
	docs := make(map[string]api.Route, len(cfg.Routes))
	for name, route := range cfg.Routes {
		docs[name] = route.Document(name)
	}
	return docs
}

// states returns the states that edits set.
func states(edits []routeEdit) []api.RouteState {
	var list []api.RouteState
	for _, e := range edits {
		if e.after != nil {
			list = append(list, *e.after)
		}
	}
	return list
}

// Edit has the conditions of a change of a route.
type Edit struct {
	Revision int64 // the revision to change; AnyRevision for any
	DryRun   bool  // return the result without changing anything
	Rollout  bool  // the edit is one of the rollout that has locked the route
	By       api.Actor
}

// AnyRevision is the Revision of an Edit that accepts any revision of the route.
const AnyRevision = -1

// SetRoute replaces a route, or declares it. It first loads the versions that the route
// names. If one cannot be loaded, or ctx ends, nothing changes. An empty seed keeps the
// route's seed. Errors: Precondition for another revision, Conflict if there are too many
// routes, Invalid for a route that cannot serve, Unavailable if a version fails to load.
func (r *Reconciler) SetRoute(ctx context.Context, route api.Route, asked Edit) (api.RouteResult, error) {
	// Retry a version that failed before, since a caller asks for it.
	resolved := route // as of the last attempt
	names := func(v infer.Version) bool {
		return v.Model == route.Model && (slices.Contains(named(&resolved), v.Number) || isShadow(&resolved, v.Number))
	}
	now := registry.Found{}
	if !r.serves(&route) { // otherwise there is no need to wait for the disk
		now, _ = r.repo.ScanModel(route.Model)
	}
	return r.edited(ctx, route.Name, asked, names, func() (*api.RouteState, desired, error) {
		if _, exists := r.routes.Get(route.Name); !exists && len(r.routes.Names()) >= r.desired.cfg.Control.MaxRoutes {
			return nil, desired{}, infer.Errorf(infer.Conflict, "%d routes are declared, the max of control.max_routes; delete a route or raise the setting", r.desired.cfg.Control.MaxRoutes)
		}
		var err error
		if resolved, err = r.resolve(route, nil); err != nil {
			return nil, desired{}, err
		}
		next, err := r.routes.Put(resolved)
		if err != nil {
			return nil, desired{}, err
		}
		return &next, r.lookFor(&next, now), nil
	})
}

// serves reports whether all versions that a route names are loaded.
func (r *Reconciler) serves(route *api.Route) bool {
	return !slices.ContainsFunc(named(route), func(n int64) bool {
		return r.registry.Leased(infer.Version{Model: route.Model, Number: n}) == nil
	}) && !slices.ContainsFunc(route.Shadows, func(s api.Shadow) bool {
		return r.shadows.Leased(infer.Version{Model: route.Model, Number: s.Version}) == nil
	})
}

// DeleteRoute deletes a route. Its model's newest version serves from then on. Errors:
// NotFound if the route is not declared, Precondition for another revision.
func (r *Reconciler) DeleteRoute(ctx context.Context, name string, asked Edit) (api.RouteResult, error) {
	none := func(infer.Version) bool { return false }
	return r.edited(ctx, name, asked, none, func() (*api.RouteState, desired, error) {
		if _, ok := r.routes.Get(name); !ok {
			return nil, desired{}, infer.Errorf(infer.NotFound, "there is no declared route '%s'", name)
		}
		return nil, r.desired, nil
	})
}

// edited makes one edit of a caller. names selects the versions that it needs. next returns
// the route's new state, nil if it is deleted.
func (r *Reconciler) edited(ctx context.Context, name string, asked Edit, names func(infer.Version) bool,
	next func() (*api.RouteState, desired, error),
) (result api.RouteResult, err error) {
	var edits []routeEdit
	var after *api.RouteState
	since := int64(AnyRevision) // the route's revision at the first attempt
	err = r.do(ctx, &change{
		retry: names, awaits: names,
		goal: func() (*goal, error) {
			if err := r.locked(name); err != nil && !asked.Rollout {
				return nil, err
			}
			now, _ := r.routes.Get(name)
			if since == AnyRevision {
				since = now.Revision
			}
			if since != now.Revision || asked.Revision != AnyRevision && asked.Revision != now.Revision {
				return nil, infer.Errorf(infer.Precondition, "route '%s' has revision %d now, expected %d: read the route again and repeat the change", name, now.Revision, max(since, asked.Revision))
			}
			state, d, err := next()
			if err != nil {
				return nil, err
			}
			edit, err := r.edit(api.OriginAPI, name, state)
			if err != nil {
				return nil, err
			}
			after, edits = state, []routeEdit{edit}
			return r.goal(d, edits), nil
		},
		finish: func(t *transition) (err error) {
			result, err = r.finishEdit(t, name, after, edits, asked)
			return err
		},
	})
	if err != nil {
		return api.RouteResult{}, err
	}
	return result, nil
}

// finishEdit commits or refuses an edit after its versions are loaded.
func (r *Reconciler) finishEdit(t *transition, name string, next *api.RouteState, edits []routeEdit, asked Edit) (api.RouteResult, error) {
	if err := refusal(t.offers().problems(states(edits)), false); err != nil {
		return api.RouteResult{}, err
	}
	if err := r.keepsSignatures(t, edits); err != nil {
		return api.RouteResult{}, err
	}
	before := r.shown(name)
	after := api.RouteState{Route: api.Route{Name: name}}
	after.Complete()
	if next != nil {
		after = *next
	} else if newest := newestOf(t, name); newest != 0 {
		after = routes.Implied(name, newest)
	}
	result := api.RouteResult{Route: after.Route, SlotsMoved: routes.Moved(before, after), DryRun: asked.DryRun}
	if asked.DryRun {
		return result, nil
	}
	model := name
	if next != nil {
		model = next.Model
	} else if now, ok := r.routes.Get(name); ok {
		model = now.Model
	}
	r.told.because(model, api.CauseRoute, asked.By)
	if err := r.commit(t, edits, asked.By); err != nil {
		return api.RouteResult{}, err
	}
	r.log.Info("route changed", zap.String("route", name), zap.Int64("revision", result.Revision), zap.Int("slots_moved", result.SlotsMoved),
		zap.String("actor", asked.By.Actor), zap.Bool("actor_verified", asked.By.Verified), zap.String("reason", asked.By.Reason))
	return result, nil
}

// shown returns the declared or implied route of a name, or the zero state if there is
// neither.
func (r *Reconciler) shown(name string) api.RouteState {
	if state, ok := r.routes.Get(name); ok {
		return state
	}
	if route := r.view.Load().routes[name]; route != nil {
		return routes.Implied(name, route.route.Variants[0].Version)
	}
	return api.RouteState{}
}

func isShadow(route *api.Route, version int64) bool {
	return slices.ContainsFunc(route.Shadows, func(s api.Shadow) bool { return s.Version == version })
}

// newestOf returns the version that would serve a model without a route, or 0 if there is
// none.
func newestOf(t *transition, model string) (newest int64) {
	for v := range t.live.Serving() {
		if v.Model == model && t.goal.prefers(v, newest) {
			newest = v.Number
		}
	}
	return newest
}

// lookFor returns the desired state with a route's versions: the last scan of the repository,
// with the versions that the route names from a new scan. So an edit of a route does not
// start to serve other new files, or stop serving files that are gone.
func (r *Reconciler) lookFor(state *api.RouteState, now registry.Found) desired {
	f := foundModel(r.desired.found, state.Model)
	f.Versions = slices.Clone(f.Versions)
	for _, fv := range now.Versions {
		v := infer.Version{Model: state.Model, Number: fv.Number}
		asked := slices.Contains(named(&state.Route), fv.Number) || isShadow(&state.Route, fv.Number)
		at := indexOf(f.Versions, fv.Number)
		switch {
		case !asked || r.leaving[v] || r.registry.Leased(v) != nil || r.shadows.Leased(v) != nil:
		case at < 0:
			f.Versions = append(f.Versions, fv)
		default:
			f.Versions[at] = fv
		}
	}
	slices.SortFunc(f.Versions, byNumber)
	return r.desired.with(f)
}

func byNumber(a, b registry.FoundVersion) int { return cmp.Compare(a.Number, b.Number) }
