package app

import (
	"context"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/watch"
)

// Watch implements admin.WatchControl.
func (c control) Watch(ctx context.Context, q api.WatchQuery, to admin.WatchViewer) error {
	return c.app.watchers.Watch(ctx, q, to)
}

func (a *App) newHub() *watch.Hub {
	return watch.New(watch.Options{
		Journal: watchedLog{a.journal}, Logger: a.log.Named("watch"),
		Sources: watch.Sources{
			Models: a.reconcile.Statuses, Routes: a.reconcile.Routes, Rollouts: a.rollouts.List, Signals: func() []api.Signal { return a.outbox.List() },
			Drift: a.watch.Status, Counters: a.reconcile.RouteStats,
		},
	})
}

// watchedLog is the journal for package watch.
type watchedLog struct{ *journal.Log }

// Read implements watch.Journal.
func (l watchedLog) Read(after int64, limit int, f watch.Filter) ([]api.Event, error) {
	filter := journal.Filter{Types: f.Types}
	if f.Subject != "" {
		filter.Subjects = []string{f.Subject}
	}
	return l.Log.Read(after, limit, filter)
}
