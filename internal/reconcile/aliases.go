package reconcile

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// Aliases returns the aliases of a model, sorted by name.
func (r *Reconciler) Aliases(model string) []api.Alias {
	list := []api.Alias{} // an empty list, not null, in JSON
	for _, a := range r.view.Load().aliases {
		if a.Model == model {
			list = append(list, a)
		}
	}
	return list
}

// Alias returns an alias. It fails with NotFound.
func (r *Reconciler) Alias(model, name string) (api.Alias, error) {
	for _, a := range r.Aliases(model) {
		if a.Name == name {
			return a, nil
		}
	}
	return api.Alias{}, infer.Errorf(infer.NotFound, "model '%s' has no alias '%s'", model, name)
}

// Labelled returns the version of an alias of a model, or of a route's model. It fails with
// NotFound. It only reads.
func (r *Reconciler) Labelled(name, label string) (int64, error) {
	v := r.view.Load()
	if route := v.routes[name]; route != nil {
		name = route.route.Model
	}
	for i := range v.aliases {
		if a := &v.aliases[i]; a.Model == name && a.Name == label {
			return a.Version, nil
		}
	}
	return 0, infer.Errorf(infer.NotFound, "model '%s' has no alias '%s', which the label names; set it with gateway aliases set, or name a version", name, label)
}

// SetAlias gives an alias a version, or deletes it if that is 0. The routes that name it change
// with it, all or none. The version is loaded first. Errors: Precondition for another revision,
// Conflict if a route names a deleted alias, Invalid, Unavailable if the version fails to load.
func (r *Reconciler) SetAlias(ctx context.Context, model, name string, version int64, asked Edit) (result api.AliasResult, err error) {
	m := &aliasMove{r: r, asked: asked, result: api.AliasResult{Alias: api.Alias{Model: model, Name: name, Version: version}}}
	if version != 0 {
		m.found, _ = r.repo.ScanModel(model)
	}
	of := func(v infer.Version) bool { return version != 0 && v == infer.Version{Model: model, Number: version} }
	err = r.do(ctx, &change{retry: of, awaits: of, goal: m.goal, finish: m.finish})
	if err != nil {
		return api.AliasResult{}, err
	}
	return m.result, nil
}

// aliasMove is a change of an alias in progress.
type aliasMove struct {
	r      *Reconciler
	asked  Edit
	found  registry.Found // a scan of the model
	edits  []routeEdit
	result api.AliasResult
}

func (m *aliasMove) goal() (*goal, error) {
	r, a := m.r, &m.result
	now := r.aliases.Get(a.Model, a.Name)
	if m.asked.Revision != AnyRevision && m.asked.Revision != now.Revision {
		return nil, infer.Errorf(infer.Precondition, "alias '%s' of model '%s' has revision %d now, expected %d: read it again and repeat the change", a.Name, a.Model, now.Revision, m.asked.Revision)
	}
	if a.Version == 0 && now.Version == 0 {
		return nil, infer.Errorf(infer.NotFound, "model '%s' has no alias '%s'", a.Model, a.Name)
	}
	event, after, err := r.aliases.Move(a.Model, a.Name, a.Version)
	if err != nil {
		return nil, err
	}
	a.Alias, a.Routes = after, []string{}
	m.edits = []routeEdit{{alias: &after, event: event}}
	for _, state := range r.routes.All() {
		if state.Model != a.Model || !follows(&state.Route, a.Name) {
			continue
		}
		if a.Version == 0 {
			return nil, infer.Errorf(infer.Conflict, "route '%s' names the alias '%s'; change the route first", state.Name, a.Name)
		}
		if err := m.follow(state.Route); err != nil {
			return nil, err
		}
	}
	d := r.desired
	if a.Version != 0 {
		d = r.lookFor(&api.RouteState{Route: api.Route{Model: a.Model, Variants: []api.Variant{{Version: a.Version}}}}, m.found)
	}
	return r.goal(d, m.edits), nil
}

// follow adds the edit of a route that names the alias.
func (m *aliasMove) follow(route api.Route) error {
	route, err := m.r.resolve(route, &m.result.Alias)
	if err != nil {
		return err
	}
	next, err := m.r.routes.Put(route)
	if err != nil {
		return infer.Errorf(infer.CodeOf(err), "route '%s': %s", route.Name, infer.Message(err))
	}
	edit, err := m.r.edit(api.OriginAPI, route.Name, &next)
	m.edits, m.result.Routes = append(m.edits, edit), append(m.result.Routes, route.Name)
	return err
}

// finish commits or refuses the change after the version is loaded.
func (m *aliasMove) finish(t *transition) error {
	r, a := m.r, &m.result
	v := infer.Version{Model: a.Model, Number: a.Version}
	if offer := t.offers(); a.Version != 0 {
		c := routeChecker{offer: offer, route: &api.Route{Name: a.Model, Model: a.Model}}
		if c.version("version", a.Version, offer.live, offer.failed); len(c.problems) > 0 {
			return refusal(c.problems, false)
		}
		if err := r.succeeds(t, v, r.defaultOf(a.Model)); a.Name == api.AliasChampion && err != nil {
			return err
		}
	}
	if err := refusal(t.offers().problems(states(m.edits)), false); err != nil {
		return err
	}
	if err := r.keepsSignatures(t, m.edits); err != nil {
		return err
	}
	if m.result.DryRun = m.asked.DryRun; m.asked.DryRun {
		return nil
	}
	r.told.because(a.Model, api.CauseAlias, m.asked.By)
	if err := r.commit(t, m.edits, m.asked.By); err != nil {
		return err
	}
	a.Alias = r.aliases.Get(a.Model, a.Name)
	r.log.Info("alias changed", zap.String("model", a.Model), zap.String("alias", a.Name), zap.Int64("version", a.Version), zap.Strings("routes", a.Routes),
		zap.String("actor", m.asked.By.Actor), zap.Bool("actor_verified", m.asked.By.Verified), zap.String("reason", m.asked.By.Reason))
	return nil
}

// follows reports whether a route names an alias.
func follows(route *api.Route, alias string) bool {
	return slices.ContainsFunc(route.Variants, func(v api.Variant) bool { return v.Alias == alias }) ||
		slices.ContainsFunc(route.Shadows, func(s api.Shadow) bool { return s.Alias == alias })
}

// resolve gives the variants and shadows that name an alias its version. moved is an alias that
// changes, or nil. It fails with Invalid if there is no such alias.
func (r *Reconciler) resolve(route api.Route, moved *api.Alias) (api.Route, error) {
	model := route.Model
	of := func(field, name string, version *int64) error {
		if name == "" {
			return nil
		}
		a := r.aliases.Get(model, name)
		if moved != nil && moved.Name == name && moved.Model == model {
			a = *moved
		}
		if *version = a.Version; a.Version == 0 {
			return infer.Errorf(infer.Invalid, "%s: model '%s' has no alias '%s'; set it first", field, model, name)
		}
		return nil
	}
	route.Variants, route.Shadows = slices.Clone(route.Variants), slices.Clone(route.Shadows)
	for i := range route.Variants {
		if err := of("variants", route.Variants[i].Alias, &route.Variants[i].Version); err != nil {
			return route, err
		}
	}
	for i := range route.Shadows {
		if err := of("shadows", route.Shadows[i].Alias, &route.Shadows[i].Version); err != nil {
			return route, err
		}
	}
	return route, nil
}

// aliased returns the aliases after edits.
func (r *Reconciler) aliased(edits []routeEdit) []api.Alias {
	list := r.aliases.All()
	for _, e := range edits {
		if e.alias == nil {
			continue
		}
		list = slices.DeleteFunc(list, func(a api.Alias) bool { return a.Model == e.alias.Model && a.Name == e.alias.Name })
		if e.alias.Version != 0 {
			list = append(list, *e.alias)
		}
	}
	return list
}

// prefers reports whether a version that serves should answer for its model by name if there is
// no route, rather than another one: the champion, else the newest that nothing else makes serve.
func (g *goal) prefers(v infer.Version, over int64) bool {
	champion := g.champions[v.Model]
	switch {
	case champion != 0 && v.Number == champion:
		return true
	case champion != 0 && over == champion:
		return false
	default:
		return !g.borrowed[v] && v.Number > over
	}
}

// defaultOf returns the version that serves a model by its own name, nil if there is none or a
// route serves it.
func (r *Reconciler) defaultOf(model string) *infer.Model {
	route := r.view.Load().routes[model]
	if route == nil || route.route.Revision > 0 {
		return nil
	}
	if l := r.registry.Leased(infer.Version{Model: model, Number: route.route.Variants[0].Version}); l != nil {
		return l.Model()
	}
	return nil
}

// keepsSignatures fails with Invalid if an edit of a route makes a registered version serve that
// lacks something of what the route's stable version has now.
func (r *Reconciler) keepsSignatures(t *transition, edits []routeEdit) error {
	for i := range edits {
		if edits[i].after == nil {
			continue
		}
		route := &edits[i].after.Route
		stable := r.defaultOf(route.Name)
		if now, ok := r.routes.Get(route.Name); ok && now.Model == route.Model {
			at, _ := now.Stable()
			if l := r.registry.Leased(infer.Version{Model: now.Model, Number: now.Variants[at].Version}); l != nil {
				stable = l.Model()
			}
		}
		for _, n := range named(route) {
			if err := r.succeeds(t, infer.Version{Model: route.Model, Number: n}, stable); err != nil {
				return err
			}
		}
	}
	return nil
}

// succeeds fails with Invalid if a registered version cannot replace a stable one, which may be
// nil.
func (r *Reconciler) succeeds(t *transition, v infer.Version, stable *infer.Model) error {
	next := t.live.Serving()[v]
	fv := find(foundModel(t.goal.found, v.Model), v.Number)
	if stable == nil || next == nil || !fv.Registered || stable.Name != v.Model || stable.Version == v.Number {
		return nil
	}
	err := infer.Compatible(stable, next.Model())
	if err == nil {
		err = infer.Keeps(stable, next.Model())
	}
	if err != nil {
		return infer.Errorf(infer.Invalid, "version %d cannot replace version %d: %s; clients would break, so use another model name for it", v.Number, stable.Version, infer.Message(err))
	}
	return nil
}
