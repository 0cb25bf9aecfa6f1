package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"sluice.io/sluice/api"
)

// Fold is a state that the events come to. It is a function of the events alone: two
// folds that were given the same events are the same.
type Fold interface {
	// Apply takes the next event.
	Apply(e api.Event) error
	// Snapshot returns the state as bytes, and Restore takes it up again in place of the
	// events before it. A Restore that fails changes nothing.
	Snapshot() ([]byte, error)
	Restore(state []byte) error
}

// NamedFold is a Fold with what its snapshots are known by.
type NamedFold struct {
	Name string
	// Version is of the form of the snapshots. One of another version is not used: the
	// fold is made of all events.
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

// snapshotOf reads a stored snapshot. It shares its memory.
func snapshotOf(stored []byte) (snapshot, error) {
	value, err := unseal(stored)
	if err == nil && len(value) < 12 {
		err = errors.New("it is cut")
	}
	if err != nil {
		return snapshot{}, err
	}
	return snapshot{
		seq: int64(binary.BigEndian.Uint64(value)), version: binary.BigEndian.Uint32(value[8:]), state: value[12:], //nolint:gosec // was an int64
	}, nil
}

// Restore brings folds to the last event: each from its snapshot, and those without one
// that fits from the first event. No two may have one name.
func (l *Log) Restore(folds []NamedFold) error {
	last := l.Last()
	from, err := l.restore(context.Background(), folds, last) //nolint:forbidigo // a start is not given up half-way
	if f, ok := l.store.(*file); ok && err == nil && from < f.archived().seq {
		l.keep(f, folds, last) // a fold was made of the archived events
	}
	return err
}

// Rebuild brings new folds to the last event without their snapshots, which are written
// anew.
func (l *Log) Rebuild(folds []NamedFold) error {
	last := l.Last()
	_, err := l.advance(context.Background(), folds, nil, last) //nolint:forbidigo // as above
	if f, ok := l.store.(*file); ok && err == nil && last > 0 {
		l.keep(f, folds, last)
	}
	return err
}

// keep writes the snapshots of folds that are at event last. If they cannot be written
// the next start makes the folds of all events again.
func (l *Log) keep(f *file, folds []NamedFold, last int64) {
	if snapshots, err := snapshotsOf(folds, last); err == nil {
		_ = l.change(func() error { return f.keep(snapshots) })
	}
}

// restore brings folds to event last, and returns after which event it began to read.
func (l *Log) restore(ctx context.Context, folds []NamedFold, last int64) (from int64, err error) {
	snapshots, err := l.store.snapshots()
	if err != nil {
		return 0, readError(err)
	}
	return l.advance(ctx, folds, snapshots, last)
}

// advance is restore with given snapshots.
func (l *Log) advance(ctx context.Context, folds []NamedFold, snapshots map[string]snapshot, last int64) (from int64, err error) {
	at := make([]int64, len(folds)) // the last event that each has seen
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

// snapshotsOf returns what folds are after an event, by their names.
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
