package app

import (
	"context"
	"io"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/reconcile"
	"sluice.io/sluice/internal/trail"
)

// Routes implements admin.RouteControl.
func (c control) Routes() []api.Route { return c.app.reconcile.Routes() }

// Route implements admin.RouteControl.
func (c control) Route(name string) (api.Route, error) { return c.app.reconcile.Route(name) }

// RouteStats implements admin.RouteControl.
func (c control) RouteStats(name string) (api.RouteStats, error) {
	return c.app.reconcile.RouteStats(name)
}

// ShadowReport implements admin.RouteControl.
func (c control) ShadowReport(name string) (api.ShadowReport, error) {
	return c.app.reconcile.ShadowReport(name)
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
		return api.RouteResult{}, infer.Errorf(infer.Unavailable, "the change did not end within control.timeout (%v); nothing was changed", limit)
	}
	return result, err
}

// Events implements admin.RouteControl.
func (c control) Events(after int64, limit int, filter admin.EventFilter) ([]api.Event, error) {
	switch {
	case filter.Before == 1:
		return nil, nil // there is none before the first
	case filter.Newest:
		return c.app.journal.Newest(after, limit, asFilter(filter))
	default:
		return c.app.journal.Read(after, limit, asFilter(filter))
	}
}

// ExportJournal implements admin.RouteControl.
func (c control) ExportJournal(after int64, filter admin.EventFilter, w io.Writer) error {
	return c.app.journal.Export(after, asFilter(filter), w)
}

func asFilter(filter admin.EventFilter) journal.Filter {
	f := journal.Filter{Types: filter.Types, Since: filter.Since, Until: filter.Until, Last: max(0, filter.Before-1)}
	if filter.Subject != "" {
		f.Subjects = []string{filter.Subject}
	}
	return f
}

// VerifyJournal implements admin.RouteControl.
func (c control) VerifyJournal(ctx context.Context) (api.JournalReport, error) {
	report, err := c.app.journal.Verify(ctx)
	if report.Problem != "" {
		c.app.log.Error("the journal was changed or damaged after it was written", zap.String("problem", report.Problem))
	}
	return report, err
}

// ServedAt implements admin.RouteControl.
func (c control) ServedAt(name string, at time.Time) (api.ServedAt, error) {
	return trail.At(trailLog{c.app.journal}, name, at, time.Now())
}

// trailLog is the journal for package trail.
type trailLog struct{ *journal.Log }

// Each implements trail.Journal.
func (l trailLog) Each(q trail.Query, visit func(api.Event) error) error {
	return l.Replay(q.After, journal.Filter{Types: q.Types, Subjects: q.Subjects, Last: q.Last}, visit)
}
