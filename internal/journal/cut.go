package journal

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
)

// trimEvents is the number of archived events that one transaction deletes from
// journal.db. An Append waits for at most one such transaction.
const trimEvents = 1_000

// retryCut is the time between a failed cut and the retry.
const retryCut = time.Minute

// CutterOptions are what a Cutter needs. All are required.
type CutterOptions struct {
	// A cut is due if journal.db has more than Events events, or more than Bytes bytes of
	// them. It moves at most Events events to a segment, and ends with the event that
	// reaches Bytes.
	Events int64
	Bytes  int64
	// Folds returns new folds. Each cut stores their snapshots.
	Folds  func() []NamedFold
	Logger *zap.Logger
}

// Cutter moves older events from journal.db to segments.
type Cutter struct {
	log  *Log
	opts CutterOptions
}

// NewCutter returns a Cutter for a log. It does nothing for a log in memory.
func NewCutter(log *Log, opts CutterOptions) *Cutter { return &Cutter{log, opts} }

// Run makes each cut that is due until ctx ends.
func (c *Cutter) Run(ctx context.Context) error {
	if err := c.log.trim(); err != nil { // the rest of a cut that a crash interrupted
		c.opts.Logger.Warn("archived events cannot be deleted from journal.db; the next cut retries", zap.Error(err))
	}
	retry := time.NewTimer(0)
	defer retry.Stop()
	for failed := false; ; {
		grown := c.log.grown
		if failed {
			grown = nil
		}
		select {
		case <-grown:
		case <-retry.C:
			failed = false
		case <-ctx.Done():
			return nil
		}
		for ctx.Err() == nil && !failed && c.due() {
			if err := c.Cut(ctx); err != nil && ctx.Err() == nil {
				c.opts.Logger.Error("older events cannot be archived; the journal keeps them in journal.db and retries in a minute", zap.Error(err))
				failed = true
				retry.Reset(retryCut)
			}
		}
	}
}

func (c *Cutter) due() bool {
	f, ok := c.log.store.(*file)
	return ok && (c.log.Last()-f.archived().seq > c.opts.Events || f.pending.Load() > c.opts.Bytes)
}

// Cut moves the oldest events of journal.db to a segment, up to the limits. If it fails or
// ctx ends, the log is as before. The error is Unavailable.
//
// The journal is complete after each step. Readers ignore the segment's file until one
// transaction names it, and ignore its events in journal.db from then on.
func (c *Cutter) Cut(ctx context.Context) error {
	l := c.log
	l.cut.Lock()
	defer l.cut.Unlock()
	f, ok := l.store.(*file)
	if !ok || l.closed.Load() {
		return nil
	}
	if err := l.change(f.usable); err != nil { // otherwise each attempt would leave a segment behind
		return cutError(err)
	}
	if err := l.trim(); err != nil || l.Last() == f.archived().seq {
		return err
	}
	s, err := f.archive(ctx, l.Last(), c.opts)
	if err != nil {
		return cutError(err)
	}
	folds := c.opts.Folds()
	_, err = l.restore(ctx, folds, s.Last)
	var snapshots map[string]snapshot
	if err == nil {
		snapshots, err = snapshotsOf(folds, s.Last)
	}
	if err == nil {
		f.step("folded")
		err = l.change(func() error { return f.commit(s, snapshots) })
	}
	if err != nil {
		_ = l.change(func() error { return f.discard(s) }) // if it stays, readers ignore the file
		return cutError(err)
	}
	f.step("committed")
	return l.trim()
}

// change calls write while no other write runs.
func (l *Log) change(write func() error) error {
	l.write.Lock()
	defer l.write.Unlock()
	if l.closed.Load() {
		return errClosed
	}
	defer func() { l.bytes.Store(l.store.bytes()) }()
	return write()
}

// trim deletes archived events from journal.db.
func (l *Log) trim() error {
	f, ok := l.store.(*file)
	for left := ok; left; {
		err := l.change(func() (err error) {
			left, err = f.trim(trimEvents)
			return err
		})
		if err != nil {
			return cutError(err)
		}
		f.step("trimmed")
	}
	return nil
}

func cutError(err error) error {
	if errors.Is(err, errClosed) {
		return readError(err)
	}
	return &infer.Error{Code: infer.Unavailable, Op: "journal: cut", Msg: "older events of the journal cannot be archived; the disk may be full", Err: err}
}
