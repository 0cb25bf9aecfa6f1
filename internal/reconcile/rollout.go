package reconcile

import (
	"context"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/rollout"
)

// locked returns Conflict if a rollout has locked a route.
func (r *Reconciler) locked(route string) error {
	if r.opts.Locked == nil {
		return nil
	}
	if id := r.opts.Locked(route); id != "" {
		return infer.Errorf(infer.Conflict, "rollout '%s' changes route '%s': wait until it has ended, or abort it", id, route)
	}
	return nil
}

// Halt stops requests to the canary of a version in a route, or allows them again. It takes effect with the next request,
// and does not block.
func (r *Reconciler) Halt(route string, version int64, halted bool) {
	v, err := r.routeView(route)
	if err != nil {
		return
	}
	for i, halt := range v.halts {
		if halt != nil && v.route.Variants[i].Version == version {
			halt.Store(halted)
		}
	}
}

// Set makes a route for a rollout. Errors are those of SetRoute.
func (r *Reconciler) Set(ctx context.Context, route api.Route, by api.Actor) error {
	route.Seed = "" // keeps the route's
	_, err := r.SetRoute(ctx, route, Edit{Revision: AnyRevision, Rollout: true, By: by})
	return err
}

// Counts returns what the variants of a route have counted. version is the canary's, or that which is stable by now.
func (r *Reconciler) Counts(route string, version int64, objective time.Duration) (counts rollout.Counts, err error) {
	v, err := r.routeView(route)
	if err != nil {
		return counts, err
	}
	now := time.Now()
	for i, variant := range v.route.Variants {
		c := map[string]*rollout.Count{api.RoleStable: &counts.Stable, api.RoleCanary: &counts.Canary, api.RoleControl: &counts.Control}[variant.Role]
		if len(v.variants) == 0 || variant.Role == api.RoleCanary && variant.Version != version {
			continue
		}
		total, recent := v.variants[i].Snapshot(now)
		c.Requests, c.Errors, c.Refused, c.Random = total.Requests, total.Errors, total.Refused, total.Random
		c.Recent = api.RolloutRate{Requests: recent.Requests, Bad: recent.Errors}
		c.Window = time.Duration(recent.Window)
		c.Answered, c.Slow = v.variants[i].Slower(objective)
		if objective == 0 {
			c.Slow = 0
		}
		c.P95 = api.Duration(v.variants[i].Percentile(95))
		if b := v.breakers[i]; b != nil {
			c.Open = b.State() == "open"
		}
	}
	return counts, nil
}

// Digest returns that of a version's files: as they were loaded, or if it is not loaded as they are now. It fails
// with NotFound.
func (r *Reconciler) Digest(ctx context.Context, model string, version int64) (string, error) {
	v := infer.Version{Model: model, Number: version}
	if leased := r.registry.Leased(v); leased != nil {
		return leased.Digest(), nil
	}
	files, err := r.repo.Open(v)
	if err != nil {
		return "", infer.Errorf(infer.NotFound, "model '%s' has no version %d", model, version)
	}
	defer files.Close() //nolint:errcheck // it was only read
	return files.Digest(ctx)
}
