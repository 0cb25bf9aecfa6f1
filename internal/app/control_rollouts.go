package app

import (
	"context"
	"path/filepath"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/promquery"
	"sluice.io/sluice/internal/rollout"
)

// locked returns the rollout that alone may change a route.
func (a *App) locked(route string) string { return a.rollouts.Locked(route) }

// rolloutDigest returns the digest that a version must have while a rollout of it runs.
func (a *App) rolloutDigest(route string, version int64) string {
	return a.rollouts.Digest(route, version)
}

// newQuery returns what asks the configured Prometheus server, nil if there is none.
func newQuery(c *config.Prometheus) (func(ctx context.Context, query string) (float64, error), error) {
	if c.URL == "" {
		return nil, nil //nolint:nilnil // no server is not an error
	}
	client, err := promquery.New(promquery.Options{URL: c.URL, Token: c.Token.Reveal(), Timeout: c.Timeout})
	if err != nil {
		return nil, err
	}
	return client.Value, nil
}

// openMarks opens the file of aborted rollouts, nil without a data directory.
func openMarks(dir string) (*rollout.Marks, error) {
	if dir == "" {
		return nil, nil //nolint:nilnil // without a journal that survives a crash there is nothing to go on with
	}
	return rollout.OpenMarks(filepath.Join(dir, "rollouts.aborted"))
}

func (a *App) rolloutPolicy(model string) rollout.Policy {
	p := a.config.Load().Model(model).Rollouts
	return rollout.Policy{Approvals: p.Approvals, Groups: p.Approvers, Expires: p.ApprovalExpiry}
}

// Rollouts implements admin.RolloutControl.
func (c control) Rollouts() []api.Rollout { return c.app.rollouts.List() }

// RolloutHistory implements admin.RolloutControl.
func (c control) RolloutHistory(route string) ([]api.Rollout, error) {
	return c.app.rollouts.History(route)
}

// PlanRollout implements admin.RolloutControl.
func (c control) PlanRollout(ctx context.Context, spec api.RolloutSpec) (api.RolloutPlan, error) {
	return c.app.rollouts.Plan(ctx, spec)
}

// StartRollout implements admin.RolloutControl.
func (c control) StartRollout(ctx context.Context, spec api.RolloutSpec, by api.Actor) (api.Rollout, error) {
	return c.app.rollouts.Start(ctx, spec, by)
}

// PauseRollout implements admin.RolloutControl.
func (c control) PauseRollout(ctx context.Context, route string, by api.Actor) (api.Rollout, error) {
	return c.app.rollouts.Pause(ctx, route, by)
}

// ResumeRollout implements admin.RolloutControl.
func (c control) ResumeRollout(ctx context.Context, route string, by api.Actor) (api.Rollout, error) {
	return c.app.rollouts.Continue(ctx, route, by)
}

// PromoteRollout implements admin.RolloutControl.
func (c control) PromoteRollout(ctx context.Context, route string, by api.Actor) (api.Rollout, error) {
	return c.app.rollouts.Promote(ctx, route, by)
}

// AbortRollout implements admin.RolloutControl.
func (c control) AbortRollout(ctx context.Context, route string, by api.Actor) (api.Rollout, error) {
	return c.app.rollouts.Abort(ctx, route, by)
}

// ApproveRollout implements admin.RolloutControl.
func (c control) ApproveRollout(ctx context.Context, route string, by api.Actor, groups []string) (api.Rollout, error) {
	return c.app.rollouts.Approve(ctx, route, by, groups)
}

// UnfreezeRollouts implements admin.RolloutControl.
func (c control) UnfreezeRollouts(_ context.Context, route string, by api.Actor) (api.Rollout, error) {
	return c.app.rollouts.Unfreeze(route, by)
}
