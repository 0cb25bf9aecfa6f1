package journal

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
)

// trimEvents is how many archived events one transaction takes out of journal.db:
// an Append waits for one such transaction at most.
const trimEvents = 1_000

// retryCut is how long after a cut that failed the next is tried.
const retryCut = time.Minute

// CutterOptions are what a Cutter needs. All are required.
type CutterOptions struct {
	// A cut is made once journal.db holds more than Events events, or Bytes bytes of
	// them. It moves as many to a segment at most, the last one of Bytes included.
	Events int64
	Bytes  int64
	// Folds returns new folds, of which a snapshot is kept with each cut.
	Folds  func() []NamedFold
	Logger *zap.Logger
}

// Cutter moves older events from journal.db to segments.
type Cutter struct {
	log  *Log
	opts CutterOptions
}

// NewCutter returns a Cutter of a log. It does nothing for a log in memory.
func NewCutter(log *Log, opts CutterOptions) *Cutter { return &Cutter{log, opts} }

// Run cuts whenever it is time to, until ctx ends.
func (c *Cutter) Run(ctx context.Context) error {
	if err := c.log.trim(); err != nil { // a cut that a crash has ended
		c.opts.Logger.Warn("archived events are still in the journal's file too", zap.Error(err))
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
				c.opts.Logger.Error("older events cannot be archived; the journal goes on in one file", zap.Error(err))
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

// Cut moves the oldest events of journal.db to a segment, up to the limits. One that fails,
// or is given up since ctx ends, leaves the log as it was.
//
// Each step leaves a whole journal behind: the segment's file is of no account until
// one transaction names it, and from then on what journal.db still has of its events is.
func (c *Cutter) Cut(ctx context.Context) error {
	l := c.log
	l.cut.Lock()
	defer l.cut.Unlock()
	f, ok := l.store.(*file)
	if !ok || l.closed.Load() {
		return nil
	}
	if err := l.change(f.usable); err != nil { // else each try would leave a segment behind
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
		_ = l.change(func() error { return f.discard(s) }) // if not, the file is of no account
		return cutError(err)
	}
	f.step("committed")
	return l.trim()
}

// change calls a function that writes, while nothing else does.
func (l *Log) change(write func() error) error {
	l.write.Lock()
	defer l.write.Unlock()
	if l.closed.Load() {
		return errClosed
	}
	defer func() { l.bytes.Store(l.store.bytes()) }()
	return write()
}

// trim takes events out of journal.db that are archived.
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
