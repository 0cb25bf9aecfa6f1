package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/aliases"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/pipeline"
	"sluice.io/sluice/internal/publish"
	"sluice.io/sluice/internal/rollout"
	"sluice.io/sluice/internal/routes"
	"sluice.io/sluice/internal/signals"
	"sluice.io/sluice/internal/trail"
)

// folds are the states that follow from the events of the journal. A part continues from its
// fold when the gateway starts. Each cut makes new folds for its snapshots.
type folds struct {
	routes  *routes.Fold
	served  *trail.State
	signals *signals.Store
	drift   *driftwatch.Fold
	losses  *driftwatch.LossFold
	rollout *rollout.Fold
	run     *lastRun
	pushed  *publish.Fold
	aliases *aliases.Set
	feed    *signals.FeedState
	trained *pipeline.Fold
}

func newFolds() folds {
	return folds{
		routes: routes.NewFold(), served: trail.NewState(), signals: signals.NewStore(), drift: driftwatch.NewFold(), losses: driftwatch.NewLossFold(),
		run: &lastRun{}, rollout: rollout.NewFold(), pushed: publish.NewFold(), aliases: aliases.NewSet(),
		feed: &signals.FeedState{}, trained: pipeline.NewFold(),
	}
}

// list names the folds. Raise a version if the format of a snapshot changes, or the way in
// which a fold applies an event: the fold is then made again from the whole journal.
func (f folds) list(log *zap.Logger) []journal.NamedFold {
	return []journal.NamedFold{
		{Name: "routes", Version: 1, Fold: f.routes},
		{Name: "served", Version: 1, Fold: served{f.served, log}},
		{Name: "signals", Version: 2, Fold: f.signals},
		{Name: "drift", Version: 1, Fold: f.drift},
		{Name: "losses", Version: 1, Fold: f.losses},
		{Name: "rollouts", Version: 1, Fold: f.rollout},
		{Name: "run", Version: 1, Fold: f.run},
		{Name: "registered", Version: 2, Fold: f.pushed},
		{Name: "aliases", Version: 1, Fold: f.aliases},
		{Name: "feed", Version: 1, Fold: f.feed},
		{Name: "retrainings", Version: 1, Fold: f.trained},
	}
}

// served is the fold of what served. It skips an event that cannot be read, since only the
// trail depends on it.
type served struct {
	*trail.State

	log *zap.Logger
}

func (s served) Apply(e api.Event) error {
	if err := s.State.Apply(e); err != nil {
		s.log.Warn("an event of the trail cannot be read", zap.Error(err))
	}
	return nil
}

// lastRun is how the last run of the gateway ended, as far as events show.
type lastRun struct {
	Turn    string    `json:"turn"` // the type of the last start or stop; empty if there is none
	TurnSeq int64     `json:"turn_seq"`
	Last    int64     `json:"last"` // the number of the last event
	At      time.Time `json:"at"`   // its time
}

// Apply implements journal.Fold.
func (r *lastRun) Apply(e api.Event) error {
	r.Last, r.At = e.Seq, e.Time
	if e.Type == api.EventGatewayStarted || e.Type == api.EventGatewayStopped {
		r.Turn, r.TurnSeq = e.Type, e.Seq
	}
	return nil
}

// Snapshot implements journal.Fold.
func (r *lastRun) Snapshot() ([]byte, error) { return json.Marshal(r) }

// Restore implements journal.Fold.
func (r *lastRun) Restore(state []byte) error {
	var next lastRun
	if err := json.Unmarshal(state, &next); err != nil {
		return err
	}
	*r = next
	return nil
}

// resume brings new folds to the end of the journal, and returns the routes.
func (f folds) resume(restore func([]journal.NamedFold) error, log *zap.Logger) (*routes.Set, error) {
	if err := restore(f.list(log)); err != nil {
		return nil, err
	}
	return f.routes.Set()
}

// replay brings the folds to the end of the journal, and the parts with them.
func (a *App) replay(cfg *config.Config) error {
	began := time.Now()
	f := newFolds()
	declared, err := f.resume(a.journal.Restore, a.log)
	if err != nil { // the events decide; a snapshot is only derived from them
		a.log.Warn("the snapshots of the journal do not match its events; all events are read", zap.Error(err))
		f = newFolds()
		if declared, err = f.resume(a.journal.Rebuild, a.log); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
	}
	if unnamed, err := a.journal.Unnamed(); err != nil || len(unnamed) > 0 {
		a.log.Warn("segments in the data directory are not used: a crash left them, or journal.db is from an older backup",
			zap.Strings("files", unnamed), zap.Error(err))
	}
	if last := a.journal.Last(); last > 0 {
		a.log.Info("journal read", zap.Int64("events", last), zap.Duration("took_seconds", time.Since(began)))
	}
	a.reconcile.Resume(declared, f.aliases, f.served)
	a.watch.Resume(f.drift)
	a.losses.Resume(f.losses)
	a.rollouts.Resume(f.rollout)
	a.before = *f.run
	a.buildPipeline(cfg, f.trained)
	if err := a.buildPublisher(cfg, f.pushed); err != nil {
		return err
	}
	if err := a.buildOutbox(cfg, f.signals); err != nil {
		return err
	}
	a.feed = a.newFeed(cfg, f.feed)
	return nil
}

// newCutter returns the cutter, which bounds the part of the journal that a start reads.
func (a *App) newCutter(cfg *config.Config) *journal.Cutter {
	log := a.log.Named("journal")
	return journal.NewCutter(a.journal, journal.CutterOptions{
		Events: int64(cfg.Journal.SegmentEvents), Bytes: int64(cfg.Journal.SegmentSize), Logger: log,
		Folds: func() []journal.NamedFold { return newFolds().list(log) },
	})
}

// VerifyExport checks the events of an export of a journal.
func VerifyExport(r io.Reader) (api.JournalReport, error) { return journal.VerifyExport(r) }

// VerifyJournal reads the whole journal in a data directory, archived segments included, and
// returns its problems. No gateway may have it open.
func VerifyJournal(ctx context.Context, dir string) (api.JournalReport, error) {
	return journal.Verify(ctx, dir)
}

// ExportedEvents select what is exported of a journal. The zero value selects all.
type ExportedEvents struct {
	After        int64 // the number of an event
	Subject      string
	Types        []string
	Since, Until time.Time
}

// ExportJournal writes events of the journal in a data directory as JSON lines with their hashes. No gateway may have it open.
func ExportJournal(dir string, of ExportedEvents, w io.Writer) error {
	return journal.Export(dir, of.After, asFilter(admin.EventFilter{Subject: of.Subject, Types: of.Types, Since: of.Since, Until: of.Until}), w)
}
