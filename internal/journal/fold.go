package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"sluice.io/sluice/api"
)

// Fold is a state that depends on the events alone: two folds with the same events are
// equal.
type Fold interface {
	// Apply applies the next event.
	Apply(e api.Event) error
	// Snapshot returns the state as bytes. Restore sets the state to that of a snapshot,
	// and changes nothing if it fails.
	Snapshot() ([]byte, error)
	Restore(state []byte) error
}

// NamedFold is a Fold with the name and version of its snapshots.
type NamedFold struct {
	Name string
	// Version is the version of the snapshots' format. The log does not use a snapshot of
	// another version and applies all events instead.
	Version uint32
	Fold
}

// snapshot is the state of a fold after an event.
type snapshot struct {
	seq     int64
	version uint32
	state   []byte
}

func (s snapshot) stored() []byte {
	return seal(append(binary.BigEndian.AppendUint32(seqKey(s.seq), s.version), s.state...))
}

// snapshotOf reads a stored snapshot. It shares the memory of stored.
func snapshotOf(stored []byte) (snapshot, error) {
	value, err := unseal(stored)
	if err == nil && len(value) < 12 {
		err = errors.New("it is truncated")
	}
	if err != nil {
		return snapshot{}, err
	}
	return snapshot{
		seq: int64(binary.BigEndian.Uint64(value)), version: binary.BigEndian.Uint32(value[8:]), state: value[12:], //nolint:gosec // was an int64
	}, nil
}

// Restore brings folds to the last event. Each starts from its snapshot, or from the first
// event if it has no valid snapshot. The names must be unique.
func (l *Log) Restore(folds []NamedFold) error {
	last := l.Last()
	from, err := l.restore(context.Background(), folds, last) //nolint:forbidigo // nothing cancels a start
	if f, ok := l.store.(*file); ok && err == nil && from < f.archived().seq {
		l.keep(f, folds, last) // a fold read archived events; the next start should not
	}
	return err
}

// Rebuild brings new folds to the last event from the first one, and stores new snapshots.
func (l *Log) Rebuild(folds []NamedFold) error {
	last := l.Last()
	_, err := l.advance(context.Background(), folds, nil, last) //nolint:forbidigo // as above
	if f, ok := l.store.(*file); ok && err == nil && last > 0 {
		l.keep(f, folds, last)
	}
	return err
}

// keep stores the snapshots of folds that are at event last. If that fails, the next start
// applies all events again.
func (l *Log) keep(f *file, folds []NamedFold, last int64) {
	if snapshots, err := snapshotsOf(folds, last); err == nil {
		_ = l.change(func() error { return f.keep(snapshots) })
	}
}

// restore brings folds to event last. It returns the event after which it began to read.
func (l *Log) restore(ctx context.Context, folds []NamedFold, last int64) (from int64, err error) {
	snapshots, err := l.store.snapshots()
	if err != nil {
		return 0, readError(err)
	}
	return l.advance(ctx, folds, snapshots, last)
}

// advance is restore with given snapshots.
func (l *Log) advance(ctx context.Context, folds []NamedFold, snapshots map[string]snapshot, last int64) (from int64, err error) {
	at := make([]int64, len(folds)) // the last event that each has applied
	from = last
	for i, fold := range folds {
		s, ok := snapshots[fold.Name]
		if ok && s.version == fold.Version && s.seq <= last && fold.Restore(s.state) == nil {
			at[i] = s.seq
		}
		from = min(from, at[i])
	}
	if from == last {
		return from, nil
	}
	return from, l.Replay(from, Filter{Last: last}, func(e api.Event) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i, fold := range folds {
			if e.Seq <= at[i] {
				continue
			}
			if err := fold.Apply(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// snapshotsOf returns the snapshots of folds after an event, by name.
func snapshotsOf(folds []NamedFold, seq int64) (map[string]snapshot, error) {
	snapshots := make(map[string]snapshot, len(folds))
	for _, fold := range folds {
		state, err := fold.Snapshot()
		if err != nil {
			return nil, fmt.Errorf("the snapshot of %s: %w", fold.Name, err)
		}
		snapshots[fold.Name] = snapshot{seq, fold.Version, state}
	}
	return snapshots, nil
}
