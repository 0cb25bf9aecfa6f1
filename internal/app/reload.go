package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// Reload reads the configuration again and applies it, as POST /-/reload does.
func (a *App) Reload(ctx context.Context, by api.Actor) (api.ReloadResult, error) {
	return control{a}.Reload(ctx, by)
}

// reload reads the configuration again and applies it, or changes nothing: where
// the file has mistakes, asks for what needs a restart, makes a route one that
// cannot serve as it says, or breaks a version that serves. A version that is new and
// fails to load is listed with its reason.
func (r *reconciler) reload(ctx context.Context, by api.Actor) (result api.ReloadResult, err error) {
	defer func() { r.record.metrics.Reloaded(err == nil, time.Now()) }()
	if r.load == nil {
		return result, infer.Errorf(infer.Precondition, "there is no configuration to read again")
	}
	next, err := r.load()
	if err != nil {
		return result, infer.Errorf(infer.Invalid, "%v", err)
	}
	if names := config.RestartOnly(r.cfg, next); len(names) > 0 {
		return result, infer.Errorf(infer.Invalid, "settings that need a restart have changed: %v; nothing was applied", names)
	}
	edits, err := r.fileEdits(next)
	if err != nil {
		return result, infer.Errorf(infer.CodeOf(err), "%s; nothing was applied", infer.Message(err))
	}
	found, err := r.repo.Scan()
	if err != nil {
		return result, err
	}
	before := r.registry.Instances()
	g := r.goal(next, found, edits)
	g.profiles = r.references.Again()
	g.references = g.profiles.Of(next, found)
	t := r.prepare(ctx, g, func(infer.Version) bool { return true })
	if err := r.refuses(t, edits, before); err != nil {
		r.discard(t)
		return result, err
	}
	tokens := tokenChanges(r.cfg, next)
	if err := r.commit(t, edits, by); err != nil {
		return result, err
	}
	result.Changed = append(append(changes(before, t.live), routeChanges(edits)...), tokens...)
	result.Differing = r.differing()
	r.log.Info("reloaded", zap.Strings("changed", result.Changed), zap.Strings("differing", result.Differing))
	r.audit(api.EventConfigReloaded, "config", by, result)
	return result, nil
}

// refuses returns why a reload cannot be applied.
func (r *reconciler) refuses(t *transition, edits []routeEdit, before map[infer.Version]*registry.Instance) error {
	for v, err := range t.live.Failed() {
		if before[v] != nil {
			return infer.Errorf(infer.Invalid, "model '%s' version %d failed to load: %s; nothing was applied", v.Model, v.Number, registry.Reason(err))
		}
	}
	if problems := t.goal.referenceProblems(t.live.Instances()); len(problems) > 0 {
		return infer.Errorf(infer.Invalid, "%s; nothing was applied", strings.Join(problems, "; "))
	}
	problems := t.offers().problems(states(edits))
	// Of the other routes none may get worse by what the repository holds now.
	others := slices.DeleteFunc(r.routes.All(), func(s api.RouteState) bool {
		return slices.ContainsFunc(edits, func(e routeEdit) bool { return e.name == s.Name })
	})
	known := map[string]bool{}
	for _, p := range (offer{found: r.found, live: before, shadow: r.shadows.Instances()}).problems(others) {
		known[p.route+p.Field] = true
	}
	for _, p := range t.offers().problems(others) {
		if !known[p.route+p.Field] {
			problems = append(problems, p)
		}
	}
	return refusal(problems, true)
}

// differing lists the routes of the file that an edit through the control API has
// made other than the file says.
func (r *reconciler) differing() []string {
	names := r.routes.Differing(documents(r.cfg))
	for i, name := range names {
		names[i] = fmt.Sprintf("route %s differs from the file by an edit through the control API", name)
	}
	return names
}

// tokenChanges lists the routes that take another override token, which is no part
// of their document.
func tokenChanges(before, after *config.Config) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(after.Routes)) {
		old, ok := before.Routes[name]
		if ok && old.Override != after.Routes[name].Override {
			list = append(list, fmt.Sprintf("route %s takes another override token", name))
		}
	}
	return list
}

// changes lists, sorted, what a plan did.
func changes(before map[infer.Version]*registry.Instance, plan *registry.Plan) []string {
	list := []string{} // an empty list, not null, in JSON
	after, failed := plan.Instances(), plan.Failed()
	for _, v := range plan.Changed() {
		verb := "loaded"
		switch {
		case failed[v] != nil:
			verb = "failed to load: " + registry.Reason(failed[v])
		case before[v] != nil:
			verb = "replaced"
		}
		list = append(list, fmt.Sprintf("%s version %d %s", v.Model, v.Number, verb))
	}
	for v := range before {
		if after[v] == nil {
			list = append(list, fmt.Sprintf("%s version %d unloaded", v.Model, v.Number))
		}
	}
	slices.Sort(list)
	return list
}

// routeChanges lists what edits did.
func routeChanges(edits []routeEdit) []string {
	list := make([]string, len(edits))
	for i, e := range edits {
		if list[i] = fmt.Sprintf("route %s deleted", e.name); e.after != nil {
			list[i] = fmt.Sprintf("route %s set to revision %d", e.name, e.after.Revision)
		}
	}
	return list
}
