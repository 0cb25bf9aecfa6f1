package rollout

import (
	"context"
	"fmt"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Start starts a rollout of a completed and checked spec. Errors: NotFound for the route or the version, Conflict
// if a rollout runs, the route is frozen, or it is not one that a rollout can change.
func (c *Controller) Start(ctx context.Context, spec api.RolloutSpec, by api.Actor) (api.Rollout, error) {
	if err := c.startable(spec.Route); err != nil {
		return api.Rollout{}, err // before the route is looked at, which a rollout has changed
	}
	r, err := c.prepare(ctx, spec)
	if err != nil {
		return api.Rollout{}, err
	}
	if err := c.begin(r, by); err != nil {
		return api.Rollout{}, err
	}
	err = c.write(api.EventRolloutStarted, r, by)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.starting, spec.Route)
	if err != nil {
		return api.Rollout{}, err
	}
	c.add(newRunner(c, *r))
	return *r, nil
}

// begin gives a rollout its number. Until its first event is written, no other one of its route can start.
func (c *Controller) begin(r *api.Rollout, by api.Actor) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.free(r.Spec.Route); err != nil {
		return err
	}
	if last := c.fold.last(r.Spec.Route); last != nil {
		r.Number = last.Number + 1
		if last.State == api.RolloutRolledBack {
			r.Rollbacks = last.Rollbacks
		}
	}
	r.ID = fmt.Sprintf("%s-%d", r.Spec.Route, r.Number)
	r.StartedBy, r.StartedAt = by, time.Now()
	r.SinceAt = r.StartedAt
	c.starting[r.Spec.Route] = r.ID
	return nil
}

// startable returns Conflict if no rollout of a route can start now.
func (c *Controller) startable(route string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.free(route)
}

// free is startable for a caller that holds c.mu.
func (c *Controller) free(route string) error {
	if running := c.active[route]; running != nil {
		return infer.Errorf(infer.Conflict, "rollout '%s' of route '%s' has not ended", running.id, route)
	}
	switch id, busy := c.starting[route]; {
	case busy && id != "":
		return infer.Errorf(infer.Conflict, "rollout '%s' of route '%s' is being started", id, route)
	case busy:
		return infer.Errorf(infer.Conflict, "route '%s' is being unfrozen", route)
	}
	if last := c.fold.last(route); last != nil && last.Frozen {
		return infer.Errorf(infer.Conflict, "route '%s' is frozen after %d rollbacks in a row: find out why, then lift it with gateway rollouts unfreeze %s", route, last.Rollbacks, route)
	}
	return nil
}

// prepare returns a new rollout.
func (c *Controller) prepare(ctx context.Context, spec api.RolloutSpec) (*api.Rollout, error) {
	route, err := c.opts.Traffic.Route(spec.Route)
	if err != nil {
		return nil, err
	}
	if len(route.Variants) != 1 {
		return nil, infer.Errorf(infer.Conflict, "route '%s' has %d variants, expected one, the stable version: end the trial with gateway routes set, then start the rollout", spec.Route, len(route.Variants))
	}
	if route.Variants[0].Version == spec.Version {
		return nil, infer.Errorf(infer.Conflict, "version %d is the stable version of route '%s' already", spec.Version, spec.Route)
	}
	if len(spec.Queries) > 0 && c.opts.Query == nil {
		return nil, infer.Errorf(infer.Conflict, "queries: no Prometheus server is configured; set prometheus.url")
	}
	digest, err := c.opts.Traffic.Digest(ctx, route.Model, spec.Version)
	if err != nil {
		return nil, err
	}
	return &api.Rollout{
		Number: 1, Model: route.Model, Spec: spec, Digest: digest, State: api.RolloutValidating, Before: route, Durable: true,
		Approvals: []api.Approval{}, Needed: c.opts.Policy(route.Model).Approvals, Evidence: []api.RolloutEvidence{},
		Why: fmt.Sprintf("version %d is being loaded", spec.Version),
	}, nil
}

// Unfreeze lets rollouts of a route start again.
func (c *Controller) Unfreeze(route string, by api.Actor) (api.Rollout, error) {
	next, err := c.beginUnfreeze(route)
	if err != nil {
		return api.Rollout{}, err
	}
	err = c.write(api.EventRolloutUnfrozen, &next, by)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.starting, route)
	if err != nil {
		return api.Rollout{}, err
	}
	return next, nil
}

// beginUnfreeze returns the last rollout of a route without what freezes it.
func (c *Controller) beginUnfreeze(route string) (api.Rollout, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.fold.last(route)
	_, busy := c.starting[route]
	switch {
	case last == nil || !last.Frozen:
		return api.Rollout{}, infer.Errorf(infer.Conflict, "route '%s' is not frozen", route)
	case busy:
		return api.Rollout{}, infer.Errorf(infer.Conflict, "route '%s' is being unfrozen", route) // by another call
	}
	c.starting[route] = ""
	next := *last
	next.Frozen, next.Rollbacks = false, 0
	return next, nil
}
