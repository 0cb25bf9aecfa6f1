package app

import (
	"context"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/reconcile"
)

// Routes implements admin.RouteControl.
func (c control) Routes() []api.Route { return c.app.reconcile.Routes() }

// Route implements admin.RouteControl.
func (c control) Route(name string) (api.Route, error) { return c.app.reconcile.Route(name) }

// RouteStats implements admin.RouteControl.
func (c control) RouteStats(name string) (api.RouteStats, error) {
	return c.app.reconcile.RouteStats(name)
}

// SetRoute implements admin.RouteControl.
func (c control) SetRoute(ctx context.Context, route api.Route, edit admin.Edit) (api.RouteResult, error) {
	return c.edit(ctx, func(ctx context.Context) (api.RouteResult, error) {
		return c.app.reconcile.SetRoute(ctx, route, asEdit(edit))
	})
}

// DeleteRoute implements admin.RouteControl.
func (c control) DeleteRoute(ctx context.Context, name string, edit admin.Edit) (api.RouteResult, error) {
	return c.edit(ctx, func(ctx context.Context) (api.RouteResult, error) {
		return c.app.reconcile.DeleteRoute(ctx, name, asEdit(edit))
	})
}

func asEdit(e admin.Edit) reconcile.Edit {
	edit := reconcile.Edit{Revision: e.Revision, DryRun: e.DryRun, By: e.By}
	if e.Revision == admin.AnyRevision {
		edit.Revision = reconcile.AnyRevision
	}
	return edit
}

// edit makes a change within control.timeout or not at all.
func (c control) edit(ctx context.Context, do func(context.Context) (api.RouteResult, error)) (api.RouteResult, error) {
	limit := c.app.opts.Config.Control.Timeout
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	result, err := do(ctx)
	if infer.CodeOf(err) == infer.Deadline {
		return api.RouteResult{}, infer.Errorf(infer.Unavailable, "not done within control.timeout (%v); nothing was changed", limit)
	}
	return result, err
}

// Events implements admin.RouteControl.
func (c control) Events(after int64, limit int, subject string) ([]api.Event, error) {
	var filter journal.Filter
	if subject != "" {
		filter.Subjects = []string{subject}
	}
	return c.app.journal.Read(after, limit, filter)
}
