package reconcile

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
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// Reload reads the configuration again and applies it completely. It fails and changes
// nothing if the file has mistakes, changes a setting that needs a restart, has a route that
// cannot serve, or breaks a version that serves. A new version that fails to load is listed
// with its reason. The reload continues if ctx ends. A later reload replaces one that waits
// for loads, which fails with Conflict.
func (r *Reconciler) Reload(ctx context.Context, by api.Actor) (result api.ReloadResult, err error) {
	if r.opts.Reload == nil {
		return result, infer.Errorf(infer.Precondition, "the gateway cannot read its configuration again")
	}
	next := desired{profiles: driftwatch.References{}}
	if next.cfg, err = r.opts.Reload(); err != nil {
		r.reloaded(err)
		return result, infer.Errorf(infer.Invalid, "%v", err)
	}
	listing, err := r.repo.Scan()
	if err != nil {
		r.reloaded(err)
		return result, err
	}
	next.found = listing.Models
	next.profiles.Read(next.cfg, next.found) // here, since the loop must not wait for a disk
	r.beside.Read(next.found)
	reload := &reload{r: r, next: next, warnings: listing.Warnings, by: by}
	err = r.do(ctx, &change{
		outlives: true, begin: reload.begin, goal: reload.goal, retry: func(infer.Version) bool { return true }, finish: reload.finish,
	})
	if err != nil {
		return api.ReloadResult{}, err
	}
	return reload.result, nil
}

func (r *Reconciler) reloaded(err error) { r.record.metrics.Reloaded(err == nil, time.Now()) }

// reload is one reload in progress.
type reload struct {
	r        *Reconciler
	next     desired // goal sets named
	warnings []api.RepositoryWarning
	by       api.Actor
	number   int
	before   map[infer.Version]*registry.Leased // what served when the reload began
	edits    []routeEdit
	result   api.ReloadResult
}

func (x *reload) begin() {
	x.r.reloads++
	x.number, x.before = x.r.reloads, x.r.registry.Serving()
}

func (x *reload) goal() (g *goal, err error) {
	r := x.r
	defer func() {
		if err != nil {
			r.reloaded(err)
		}
	}()
	if x.number != r.reloads {
		return nil, infer.Errorf(infer.Conflict, "a later reload replaced this one; nothing was applied")
	}
	if names := config.RestartOnly(r.desired.cfg, x.next.cfg); len(names) > 0 {
		return nil, infer.Errorf(infer.Invalid, "settings that need a restart have changed: %v; nothing was applied", names)
	}
	if x.edits, err = r.fileEdits(x.next.cfg); err != nil {
		return nil, infer.Errorf(infer.CodeOf(err), "%s; nothing was applied", infer.Message(err))
	}
	x.next.named = r.desired.named
	return r.goal(x.next, x.edits), nil
}

func (x *reload) finish(t *transition) (err error) {
	r := x.r
	defer func() { r.reloaded(err) }()
	if err := r.refuses(t, x.edits, x.before); err != nil {
		return err
	}
	tokens := tokenChanges(r.desired.cfg, x.next.cfg)
	r.told.becauseAll(api.CauseReload, x.by)
	if err := r.commit(t, x.edits, x.by); err != nil {
		return err
	}
	if r.opts.Applied != nil {
		r.opts.Applied(x.next.cfg)
	}
	r.warn(x.warnings)
	x.result.Changed = append(append(changes(x.before, t.live.Serving(), t.live.Failed()), routeChanges(x.edits)...), tokens...)
	x.result.Differing = r.differing()
	r.log.Info("reloaded", zap.Strings("changed", x.result.Changed), zap.Strings("differing", x.result.Differing))
	r.audit(api.EventConfigReloaded, "config", x.by, x.result)
	return nil
}

// refuses returns an error if a reload cannot be applied. The missing folder of a version
// that serves is not an error: the version continues to serve, and an edit of the file cannot
// restore the folder.
func (r *Reconciler) refuses(t *transition, edits []routeEdit, before map[infer.Version]*registry.Leased) error {
	for v, err := range t.live.Failed() {
		if before[v] != nil && infer.CodeOf(err) != infer.NotFound {
			return infer.Errorf(infer.Invalid, "model '%s' version %d failed to load: %s; nothing was applied", v.Model, v.Number, registry.Reason(err))
		}
	}
	serving := t.live.Serving()
	if problems := append(t.goal.referenceProblems(serving), t.goal.columnProblems(serving)...); len(problems) > 0 {
		return infer.Errorf(infer.Invalid, "%s; nothing was applied", strings.Join(problems, "; "))
	}
	offers := t.offers()
	problems := offers.problems(states(edits))
	// The new state of the repository must not add problems to other routes.
	others := r.untouched(edits)
	known := map[string]bool{}
	for _, p := range (offer{found: r.desired.found, live: before, shadow: r.shadows.Serving()}).problems(others) {
		known[p.route+p.Field] = true
	}
	for _, p := range offers.problems(others) {
		if !known[p.route+p.Field] {
			problems = append(problems, p)
		}
	}
	return refusal(problems, true)
}

// differing lists the routes of the file that differ from it because of an edit through the
// control API.
func (r *Reconciler) differing() []string {
	names := r.routes.Differing(documents(r.desired.cfg))
	for i, name := range names {
		names[i] = fmt.Sprintf("route %s differs from the file because of an edit through the control API", name)
	}
	return names
}

// tokenChanges lists the routes with a new override token, which is not part of their
// document.
func tokenChanges(before, after *config.Config) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(after.Routes)) {
		old, ok := before.Routes[name]
		if ok && old.Override != after.Routes[name].Override {
			list = append(list, fmt.Sprintf("route %s has a new override token", name))
		}
	}
	return list
}

// changes returns a sorted list of the versions that were loaded, replaced or unloaded, and
// of those that failed to load.
func changes(before, after map[infer.Version]*registry.Leased, failed map[infer.Version]error) []string {
	list := []string{} // an empty list, not null, in JSON
	for v, err := range failed {
		list = append(list, fmt.Sprintf("%s version %d failed to load: %s", v.Model, v.Number, registry.Reason(err)))
	}
	for v, leased := range after {
		switch before[v] {
		case leased:
		case nil:
			list = append(list, fmt.Sprintf("%s version %d loaded", v.Model, v.Number))
		default:
			list = append(list, fmt.Sprintf("%s version %d replaced", v.Model, v.Number))
		}
	}
	for v := range before {
		if after[v] == nil {
			list = append(list, fmt.Sprintf("%s version %d unloaded", v.Model, v.Number))
		}
	}
	slices.Sort(list)
	return list
}

// routeChanges lists the changes of edits.
func routeChanges(edits []routeEdit) []string {
	list := make([]string, len(edits))
	for i, e := range edits {
		if list[i] = fmt.Sprintf("route %s deleted", e.name); e.after != nil {
			list[i] = fmt.Sprintf("route %s set to revision %d", e.name, e.after.Revision)
		}
	}
	return list
}
