package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.etcd.io/bbolt"
)

const (
	segmentsBucket  = "segments"
	snapshotsBucket = "snapshots"

	segmentName = "journal-%06d.seg"
	// newSegment is a segment while it is written. A crash leaves it behind, and the next
	// cut overwrites it.
	newSegment = "journal.seg.new"
)

// archived returns the head of the log after the last event that is in a segment.
func (f *file) archived() head {
	if list := f.segments(); len(list) > 0 {
		return list[len(list)-1].head()
	}
	return head{}
}

func (f *file) segments() []segment {
	if list := f.index.Load(); list != nil {
		return *list
	}
	return nil
}

// readIndex reads what journal.db says of segments, and sees whether their files are there.
func (f *file) readIndex(tx *bbolt.Tx) error {
	b := tx.Bucket([]byte(segmentsBucket))
	if b == nil {
		return nil
	}
	var list []segment
	last := head{}
	err := b.ForEach(func(key, stored []byte) error {
		var s segment
		text, err := unseal(stored)
		if err == nil {
			err = json.Unmarshal(text, &s)
		}
		if err == nil && (!bytes.Equal(key, seqKey(s.First)) || s.First != last.seq+1 || s.Last < s.First || s.Before != last.hash ||
			s.Name != filepath.Base(s.Name) || s.Bytes < int64(segmentHeader)) {
			err = fmt.Errorf("the segment of event %d follows on event %d", s.First, last.seq)
		}
		if err != nil {
			return fmt.Errorf("%w: the list of segments: %w", errDamaged, err)
		}
		list, last = append(list, s), s.head()
		return f.present(s)
	})
	f.index.Store(&list)
	return err
}

func (f *file) pathOf(s segment) string { return filepath.Join(filepath.Dir(f.path), s.Name) }

// present checks that a segment's file is there with the right size.
func (f *file) present(s segment) error {
	info, err := os.Stat(f.pathOf(s))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &segmentError{s, errors.New("it is not in the data directory")}
	case err != nil:
		return &segmentError{s, err}
	case !info.Mode().IsRegular() || info.Size() != s.Bytes:
		return &segmentError{s, fmt.Errorf("it has %d bytes, expected %d", info.Size(), s.Bytes)}
	}
	return nil
}

// segmentError says what is wrong with a segment.
type segmentError struct {
	segment
	err error
}

func (e *segmentError) Error() string { return fmt.Sprintf("%s: %v", e.Name, e.err) }

func (e *segmentError) Unwrap() error { return e.err }

// what says for people which file it is; the reason may bear a path.
func (e *segmentError) what() string {
	return fmt.Sprintf("%s, with the events %d to %d, is missing or damaged", e.Name, e.First, e.Last)
}

// eachArchived passes on the records of segments, and returns what is left to be read.
func (f *file) eachArchived(r span, visit func(seq int64, record []byte) (bool, error)) (left span, more bool, err error) {
	for _, s := range f.segments() {
		if !s.outside(r) {
			if more, err := f.readSegment(s, r.after, visit); err != nil || !more {
				return r, false, err
			}
		}
		r.after = max(r.after, s.Last)
	}
	return r, true, nil
}

func (f *file) readSegment(s segment, after int64, visit func(seq int64, record []byte) (bool, error)) (more bool, err error) {
	fd, err := f.openSegment(s)
	if err != nil {
		return false, &segmentError{s, err}
	}
	defer fd.Close()  //nolint:errcheck // only read
	var visited error // it may be visit that fails, and not the segment
	more, err = s.read(fd, after, func(seq int64, record []byte) (more bool, err error) {
		more, visited = visit(seq, record)
		return more, visited
	})
	if err != nil && visited == nil {
		err = &segmentError{s, err}
	}
	return more, err
}

// openSegment opens a segment's file. The first time it is held against its hash; later
// the checksums of what is read do.
func (f *file) openSegment(s segment) (*os.File, error) {
	fd, err := os.Open(f.pathOf(s))
	if err != nil {
		return nil, err
	}
	if _, checked := f.checked.Load(s.Name); checked {
		return fd, nil
	}
	if err := s.checkSum(fd); err != nil {
		return nil, errors.Join(err, fd.Close())
	}
	f.checked.Store(s.Name, nil)
	return fd, nil
}

// archive writes the oldest events up to last to a segment's file, and reads it back. The file
// is on disk when it returns, and of no account until commit.
func (f *file) archive(ctx context.Context, last int64, limit CutterOptions) (s segment, err error) {
	dir := filepath.Dir(f.path)
	temporary := filepath.Join(dir, newSegment)
	fd, err := os.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return s, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary) // if not, the next cut overwrites it
		}
	}()
	s, err = f.writeSegment(ctx, fd, last, limit)
	if err == nil {
		f.step("written")
		err = fd.Sync()
	}
	if err == nil {
		err = s.verify(fd)
	}
	if err = errors.Join(err, fd.Close()); err != nil {
		return s, err
	}
	if s.Name, err = f.freeName(); err != nil {
		return s, err
	}
	if err = os.Rename(temporary, f.pathOf(s)); err != nil {
		return s, err
	}
	f.step("renamed")
	return s, syncDir(dir)
}

func (f *file) writeSegment(ctx context.Context, fd *os.File, last int64, limit CutterOptions) (segment, error) {
	from := f.archived()
	last = min(last, from.seq+limit.Events)
	w, err := newSegmentWriter(fd, from)
	if err != nil {
		return segment{}, err
	}
	// In pieces, since a long transaction that reads can hold up one that writes.
	for done := false; !done && err == nil; {
		size, begun := 0, w.last.seq
		_, err = f.eachActive(w.last.seq, func(seq int64, record []byte) (bool, error) {
			size += len(record)
			err := w.add(seq, record)
			done = seq == last || w.raw >= limit.Bytes
			return !done && size < blockBytes, err
		})
		switch {
		case err != nil:
		case w.last.seq == begun:
			err = fmt.Errorf("event %d is missing", begun+1)
		default:
			err = ctx.Err()
		}
	}
	s, endErr := w.end()
	return s, errors.Join(err, endErr)
}

// verify reads all of a segment's file and follows the chain of hashes.
func (s segment) verify(file *os.File) error {
	if err := s.checkSum(file); err != nil {
		return err
	}
	h := head{seq: s.First - 1, hash: s.Before}
	_, err := s.read(file, h.seq, func(seq int64, record []byte) (more bool, err error) {
		h, err = h.follow(seq, record)
		return true, err
	})
	if err == nil && h != s.head() {
		err = fmt.Errorf("it ends with event %d, or another hash than expected", h.seq)
	}
	return err
}

// freeName returns a name for the next segment that no file has: a file that journal.db
// does not name, of a crash or beside a restored backup, is not overwritten.
func (f *file) freeName() (string, error) {
	for n := len(f.segments()) + 1; ; n++ {
		name := fmt.Sprintf(segmentName, n)
		if _, err := os.Lstat(filepath.Join(filepath.Dir(f.path), name)); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		} else if err != nil {
			return "", err
		}
	}
}

// segmentFiles returns the names of all segments in a directory.
func segmentFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, entry := range entries {
		if name := entry.Name(); strings.HasPrefix(name, "journal-") && strings.HasSuffix(name, ".seg") {
			names = append(names, name)
		}
	}
	return names, err
}

// Unnamed returns the names of segments in the data directory that journal.db does not
// name, sorted: a crash in a cut left them, or journal.db is of an older backup. They
// are never read, and can be deleted if the journal is whole.
func (l *Log) Unnamed() ([]string, error) {
	f, ok := l.store.(*file)
	if !ok {
		return nil, nil
	}
	l.cut.Lock() // a segment is named a moment after it gets its name
	defer l.cut.Unlock()
	names, err := segmentFiles(filepath.Dir(f.path))
	return slices.DeleteFunc(names, func(name string) bool {
		return slices.ContainsFunc(f.segments(), func(s segment) bool { return s.Name == name })
	}), err
}

// commit makes a segment part of the log: one transaction, after which its events in
// journal.db are read no more.
func (f *file) commit(s segment, snapshots map[string]snapshot) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	err = f.write(func(tx *bbolt.Tx) error {
		segments, err := tx.CreateBucketIfNotExists([]byte(segmentsBucket))
		if err == nil {
			err = segments.Put(seqKey(s.First), seal(text))
		}
		if err == nil {
			err = tx.Bucket([]byte(metaBucket)).Put([]byte(formatKey), []byte(format))
		}
		if err != nil {
			return err
		}
		return putSnapshots(tx, snapshots)
	}, func(tx *bbolt.Tx) bool {
		segments := tx.Bucket([]byte(segmentsBucket))
		return segments != nil && segments.Get(seqKey(s.First)) != nil
	})
	if err != nil {
		return err
	}
	list := append(slices.Clone(f.segments()), s)
	f.index.Store(&list)
	f.pending.Add(-s.raw)
	return nil
}

// discard removes the file of a segment that could not be committed.
func (f *file) discard(s segment) error {
	if f.broken { // it may be part of the log after all
		return nil
	}
	return os.Remove(f.pathOf(s))
}

// keep stores snapshots in place of those of the same names.
func (f *file) keep(snapshots map[string]snapshot) error {
	return f.write(func(tx *bbolt.Tx) error { return putSnapshots(tx, snapshots) }, func(tx *bbolt.Tx) bool {
		b := tx.Bucket([]byte(snapshotsBucket))
		for name, s := range snapshots {
			return b != nil && bytes.Equal(b.Get([]byte(name)), s.stored()) // one of them: all are there or none
		}
		return false
	})
}

func putSnapshots(tx *bbolt.Tx, snapshots map[string]snapshot) error {
	b, err := tx.CreateBucketIfNotExists([]byte(snapshotsBucket))
	for name, s := range snapshots {
		if err == nil {
			err = b.Put([]byte(name), s.stored())
		}
	}
	return err
}

// snapshots returns those that can be read: another is made anew of all events.
func (f *file) snapshots() (map[string]snapshot, error) {
	snapshots := map[string]snapshot{}
	err := f.guard(func() error {
		return f.db.View(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte(snapshotsBucket))
			if b == nil {
				return nil
			}
			return b.ForEach(func(name, stored []byte) error {
				if s, err := snapshotOf(bytes.Clone(stored)); err == nil {
					snapshots[string(name)] = s
				}
				return nil
			})
		})
	})
	return snapshots, err
}

// trim takes up to n events out of journal.db that are in a segment, and reports whether
// there may be more.
func (f *file) trim(n int) (left bool, err error) {
	cut := f.archived().seq
	var keys [][]byte
	err = f.guard(func() error {
		return f.db.View(func(tx *bbolt.Tx) error {
			cursor := tx.Bucket([]byte(eventsBucket)).Cursor()
			for key, _ := cursor.First(); key != nil && len(keys) < n && binary.BigEndian.Uint64(key) <= uint64(cut); key, _ = cursor.Next() { //nolint:gosec // not negative
				keys = append(keys, bytes.Clone(key))
			}
			return nil
		})
	})
	if err != nil || len(keys) == 0 {
		return false, err
	}
	err = f.write(func(tx *bbolt.Tx) error {
		events := tx.Bucket([]byte(eventsBucket))
		for _, key := range keys {
			if err := events.Delete(key); err != nil {
				return err
			}
		}
		return nil
	}, func(tx *bbolt.Tx) bool { return tx.Bucket([]byte(eventsBucket)).Get(keys[0]) == nil })
	return len(keys) == n, err
}
