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
	// newSegment is the name of a segment while it is written. A crash can leave it behind.
	// The next cut overwrites it.
	newSegment = "journal.seg.new"
)

// archived returns the head of the log after the last event in a segment.
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

// readIndex reads the list of segments in journal.db, and checks that their files exist.
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
			err = fmt.Errorf("the segment that begins with event %d does not continue after event %d", s.First, last.seq)
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

// present checks that a segment's file exists and has the right size.
func (f *file) present(s segment) error {
	info, err := os.Stat(f.pathOf(s))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &segmentError{s, errors.New("the file is not in the data directory")}
	case err != nil:
		return &segmentError{s, err}
	case !info.Mode().IsRegular() || info.Size() != s.Bytes:
		return &segmentError{s, fmt.Errorf("the file has %d bytes, expected a regular file of %d", info.Size(), s.Bytes)}
	}
	return nil
}

// segmentError is a problem of a segment.
type segmentError struct {
	segment
	err error
}

func (e *segmentError) Error() string { return fmt.Sprintf("%s: %v", e.Name, e.err) }

func (e *segmentError) Unwrap() error { return e.err }

// what names the file for people, without the reason, which may have a path.
func (e *segmentError) what() string {
	return fmt.Sprintf("%s, with the events %d to %d, is missing or damaged", e.Name, e.First, e.Last)
}

// eachArchived calls visit with the records of segments, and returns the span that is left
// to read.
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
	var visited error // tells an error of visit from one of the segment
	more, err = s.read(fd, after, func(seq int64, record []byte) (more bool, err error) {
		more, visited = visit(seq, record)
		return more, visited
	})
	if err != nil && visited == nil {
		err = &segmentError{s, err}
	}
	return more, err
}

// openSegment opens a segment's file. It checks the hash the first time. Later the
// checksums of the zstd frames are enough.
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

// archive writes the oldest events up to last to a segment's file, and reads it back. When
// it returns, the file is on disk. Readers ignore it until commit.
func (f *file) archive(ctx context.Context, last int64, limit CutterOptions) (s segment, err error) {
	dir := filepath.Dir(f.path)
	temporary := filepath.Join(dir, newSegment)
	fd, err := os.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return s, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary) // if it stays, the next cut overwrites it
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
	// In parts, since a long read transaction can delay a write transaction.
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

// verify reads all of a segment's file, checks its hash and follows the chain of hashes.
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
		err = fmt.Errorf("the segment ends with event %d, or with another hash than expected", h.seq)
	}
	return err
}

// freeName returns an unused name for the next segment. A crash or a restored backup can
// leave files that journal.db does not name. These are not overwritten.
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

// Unnamed returns the sorted names of segments in the data directory that journal.db does
// not name. A crash during a cut left them, or journal.db is from an older backup. The log
// never reads them. They can be deleted if the journal is complete.
func (l *Log) Unnamed() ([]string, error) {
	f, ok := l.store.(*file)
	if !ok {
		return nil, nil
	}
	l.cut.Lock() // during a cut, a file exists before journal.db names it
	defer l.cut.Unlock()
	names, err := segmentFiles(filepath.Dir(f.path))
	return slices.DeleteFunc(names, func(name string) bool {
		return slices.ContainsFunc(f.segments(), func(s segment) bool { return s.Name == name })
	}), err
}

// commit makes a segment part of the log in one transaction. After that, readers ignore its
// events in journal.db.
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
	if f.broken { // the segment may be part of the log
		return nil
	}
	return os.Remove(f.pathOf(s))
}

// keep stores snapshots and replaces those of the same names.
func (f *file) keep(snapshots map[string]snapshot) error {
	return f.write(func(tx *bbolt.Tx) error { return putSnapshots(tx, snapshots) }, func(tx *bbolt.Tx) bool {
		b := tx.Bucket([]byte(snapshotsBucket))
		for name, s := range snapshots {
			return b != nil && bytes.Equal(b.Get([]byte(name)), s.stored()) // one is enough: all are there or none
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

// snapshots returns the snapshots that can be read. A fold without one applies all events.
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

// trim deletes up to n events from journal.db that are in a segment, and reports whether
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
