package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/routes"
)

// routeEdit is a change of one route: after is nil where it ends.
type routeEdit struct {
	name   string
	after  *api.RouteState
	event  api.Event
	origin string
}

// edit makes the edit of a route that becomes next, or ends where that is nil.
func (r *reconciler) edit(origin, name string, next *api.RouteState) (routeEdit, error) {
	e := routeEdit{name: name, after: next, origin: origin}
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

// append writes edits to the journal, all or none, and folds them in.
func (r *reconciler) append(edits []routeEdit, by api.Actor) error {
	if len(edits) == 0 {
		return nil
	}
	events := make([]api.Event, len(edits))
	for i, e := range edits {
		events[i] = e.event
		events[i].Actor = by
	}
	events, err := r.journal.AppendAll(journal.Any, events) // nobody else writes events of routes
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := r.routes.Apply(e); err != nil {
			panic("BUG: the journal took what cannot be folded: " + err.Error())
		}
	}
	return nil
}

// fileEdits returns the edits that the file of cfg asks for, compared with the
// file that was last applied; those that cannot be are left out and reported.
func (r *reconciler) fileEdits(cfg *config.Config) ([]routeEdit, error) {
	set, deleted := r.routes.FileChanges(documents(cfg))
	edits := make([]routeEdit, 0, len(set)+len(deleted))
	var problems []string
	add := func(name string, next *api.RouteState, err error) {
		if err == nil {
			var e routeEdit
			if e, err = r.edit(api.OriginFile, name, next); err == nil {
				edits = append(edits, e)
			}
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("routes.%s.%s", name, infer.Message(err)))
		}
	}
	for _, route := range set {
		next, err := r.routes.Put(route)
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

// states returns what edits set.
func states(edits []routeEdit) []api.RouteState {
	var list []api.RouteState
	for _, e := range edits {
		if e.after != nil {
			list = append(list, *e.after)
		}
	}
	return list
}

// setRoute replaces a route, or declares it. Before the change the versions that
// it names are loaded; where one cannot be, or commit is false, nothing changes.
func (r *reconciler) setRoute(ctx context.Context, commit func() bool, route api.Route, asked admin.Edit) (api.RouteResult, error) {
	if err := r.checkRevision(route.Name, asked.Revision); err != nil {
		return api.RouteResult{}, err
	}
	if _, exists := r.routes.Get(route.Name); !exists && len(r.routes.Names()) >= r.cfg.Control.MaxRoutes {
		return api.RouteResult{}, infer.Errorf(infer.Conflict, "%d routes are declared, as many as control.max_routes allows", r.cfg.Control.MaxRoutes)
	}
	next, err := r.routes.Put(route)
	if err != nil {
		return api.RouteResult{}, err
	}
	return r.change(ctx, commit, route.Name, &next, asked)
}

// deleteRoute ends a route; its model's newest version serves from then on.
func (r *reconciler) deleteRoute(ctx context.Context, commit func() bool, name string, asked admin.Edit) (api.RouteResult, error) {
	if _, ok := r.routes.Get(name); !ok {
		return api.RouteResult{}, infer.Errorf(infer.NotFound, "there is no declared route '%s'", name)
	}
	if err := r.checkRevision(name, asked.Revision); err != nil {
		return api.RouteResult{}, err
	}
	return r.change(ctx, commit, name, nil, asked)
}

func (r *reconciler) checkRevision(name string, asked int64) error {
	now, _ := r.routes.Get(name)
	if asked != admin.AnyRevision && asked != now.Revision {
		return infer.Errorf(infer.Precondition, "route '%s' has revision %d now, not %d: read it again and decide anew", name, now.Revision, asked)
	}
	return nil
}

// change makes one edit that a caller asked for.
func (r *reconciler) change(ctx context.Context, commit func() bool, name string, next *api.RouteState, asked admin.Edit) (api.RouteResult, error) {
	edit, err := r.edit(api.OriginAPI, name, next)
	if err != nil {
		return api.RouteResult{}, err
	}
	edits := []routeEdit{edit}
	before := r.shown(name, r.view.Load())
	// A version that failed before is tried again, since someone asks for it.
	retry := func(v infer.Version) bool {
		return next != nil && v.Model == next.Model && (slices.Contains(named(&next.Route), v.Number) || isShadow(&next.Route, v.Number))
	}
	t := r.prepare(ctx, r.goal(r.cfg, r.lookFor(next), edits), retry)
	if err := refusal(t.offers().problems(states(edits)), false); err != nil {
		r.discard(t)
		return api.RouteResult{}, err
	}
	after := api.RouteState{Route: api.Route{Name: name}}
	after.Complete()
	if next != nil {
		after = *next
	} else if newest := newestOf(t, name); newest != 0 {
		after = routes.Implied(name, newest)
	}
	result := api.RouteResult{Route: after.Route, SlotsMoved: routes.Moved(before, after), DryRun: asked.DryRun}
	if asked.DryRun {
		r.discard(t)
		return result, nil
	}
	if !commit() {
		r.discard(t)
		return api.RouteResult{}, infer.Errorf(infer.Unavailable, "the versions were not ready in time; nothing was changed")
	}
	if err := r.commit(t, edits, asked.By); err != nil {
		return api.RouteResult{}, err
	}
	r.log.Info("route changed", zap.String("route", name), zap.Int64("revision", result.Revision), zap.Int("slots_moved", result.SlotsMoved),
		zap.String("actor", asked.By.Actor), zap.Bool("actor_verified", asked.By.Verified), zap.String("reason", asked.By.Reason))
	return result, nil
}

// shown returns a route as callers see it: declared or implied, the zero state
// where there is neither.
func (r *reconciler) shown(name string, v *view) api.RouteState {
	if state, ok := r.routes.Get(name); ok {
		return state
	}
	if route := v.routes[name]; route != nil {
		return routes.Implied(name, route.route.Variants[0].Version)
	}
	return api.RouteState{}
}

func isShadow(route *api.Route, version int64) bool {
	return slices.ContainsFunc(route.Shadows, func(s api.Shadow) bool { return s.Version == version })
}

// newestOf returns the version that would serve a model without a route, 0 for none.
func newestOf(t *transition, model string) (newest int64) {
	for v := range t.live.Instances() {
		if v.Model == model && !t.goal.borrowed[v] {
			newest = max(newest, v.Number)
		}
	}
	return newest
}

// lookFor returns the repository as it was last read, and the versions that a
// route names as they are now. So an edit of one route brings nothing else into
// service that has come to lie there, nor takes away what does no longer.
func (r *reconciler) lookFor(state *api.RouteState) []registry.Found {
	if state == nil {
		return r.found
	}
	now, ok := r.repo.ScanModel(state.Model)
	if !ok {
		return r.found
	}
	found := slices.Clone(r.found)
	i := slices.IndexFunc(found, func(f registry.Found) bool { return f.Name == state.Model })
	if i < 0 {
		i, found = len(found), append(found, registry.Found{Name: now.Name, Ignored: now.Ignored})
	}
	f := &found[i]
	f.Versions = slices.Clone(f.Versions)
	live, shadows := r.registry.Instances(), r.shadows.Instances()
	for _, fv := range now.Versions {
		v := infer.Version{Model: state.Model, Number: fv.Number}
		asked := slices.Contains(named(&state.Route), fv.Number) || isShadow(&state.Route, fv.Number)
		at := indexOf(f.Versions, fv.Number)
		switch {
		case !asked || live[v] != nil || shadows[v] != nil:
		case at < 0:
			f.Versions = append(f.Versions, fv)
		default:
			f.Versions[at] = fv
		}
	}
	slices.SortFunc(f.Versions, func(a, b registry.FoundVersion) int { return cmp.Compare(a.Number, b.Number) })
	return found
}
