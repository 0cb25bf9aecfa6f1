package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"sluice.io/sluice/internal/bolt"
)

// The buckets and keys of the file.
const (
	metaBucket   = "journal"
	formatKey    = "format"
	headKey      = "head"
	aliveKey     = "alive"
	eventsBucket = "events"

	// format is the format of a file with segments and snapshots. The first cut changes a
	// file of oldFormat to it. The formats do not differ otherwise.
	format    = "2"
	oldFormat = "1"
)

// file keeps the records in a bbolt file.
type file struct {
	db *bbolt.DB
	// fd is db's file. close closes it if db must not be called any more.
	fd   *os.File
	path string

	index   atomic.Pointer[[]segment]
	pending atomic.Int64 // bytes of the records that are in no segment
	checked sync.Map     // names of the segments whose hash was checked
	stepped func(string) // called after each step of a cut, for tests; may be nil

	bolt   bolt.Guard
	broken bool // the last write may or may not be on disk; only write sets it
}

func (f *file) put(h head, records [][]byte) error {
	change := func(tx *bbolt.Tx) error {
		events := tx.Bucket([]byte(eventsBucket))
		events.FillPercent = 1 // keys only grow, so bbolt never inserts into a page that was split
		first := h.seq - int64(len(records)) + 1
		for i, record := range records {
			if err := events.Put(seqKey(first+int64(i)), record); err != nil {
				return err
			}
		}
		return tx.Bucket([]byte(metaBucket)).Put([]byte(headKey), headValue(h))
	}
	err := f.write(change, func(tx *bbolt.Tx) bool {
		key, _ := tx.Bucket([]byte(eventsBucket)).Cursor().Last()         // the last one is enough: all are there or none
		return key != nil && int64(binary.BigEndian.Uint64(key)) >= h.seq //nolint:gosec // was written from an int64
	})
	if err == nil {
		for _, record := range records {
			f.pending.Add(int64(len(record)))
		}
	}
	return err
}

func (f *file) beat(value []byte) error {
	change := func(tx *bbolt.Tx) error { return tx.Bucket([]byte(metaBucket)).Put([]byte(aliveKey), value) }
	return f.write(change, func(tx *bbolt.Tx) bool {
		return bytes.Equal(tx.Bucket([]byte(metaBucket)).Get([]byte(aliveKey)), value)
	})
}

// write runs one transaction. If it fails, made reports whether the change is visible anyway.
func (f *file) write(change func(tx *bbolt.Tx) error, made func(tx *bbolt.Tx) bool) error {
	if err := f.usable(); err != nil {
		return err
	}
	broken, err := f.bolt.Update(f.db, change, made)
	f.broken = broken
	return closed(err)
}

// usable returns an error if nothing can be written any more.
func (f *file) usable() error {
	if f.broken {
		return errBroken
	}
	if !isStill(f.path, f.fd) { // a write would be acknowledged and lost
		return errMoved
	}
	return nil
}

func (f *file) each(r span, visit func(seq int64, record []byte) (bool, error)) error {
	for behind := true; behind; {
		left, more, err := f.eachArchived(r, visit)
		if err != nil || !more {
			return err
		}
		r = left
		if behind, err = f.eachActive(r.after, visit); err != nil {
			return err
		}
	}
	return nil
}

// eachActive calls visit with the records of journal.db after a number. If a cut has
// archived the first of them in the meantime, it visits none and reports that it is behind.
func (f *file) eachActive(after int64, visit func(seq int64, record []byte) (bool, error)) (behind bool, err error) {
	err = f.guard(func() error {
		return f.db.View(func(tx *bbolt.Tx) error {
			cursor := tx.Bucket([]byte(eventsBucket)).Cursor()
			next := seqKey(after + 1)
			key, record := cursor.Seek(next)
			if behind = !bytes.Equal(key, next) && f.archived().seq > max(after, 0); behind {
				return nil
			}
			for ; key != nil; key, record = cursor.Next() {
				if len(key) != 8 {
					return fmt.Errorf("a key of %d bytes among the events", len(key))
				}
				more, err := visit(int64(binary.BigEndian.Uint64(key)), record) //nolint:gosec // a number beyond int64 fails the check of the chain
				if err != nil || !more {
					return err
				}
			}
			return nil
		})
	})
	return behind, err
}

func (f *file) bytes() int64 {
	var n int64
	if info, err := f.fd.Stat(); err == nil {
		n = info.Size()
	}
	for _, s := range f.segments() {
		n += s.Bytes
	}
	return n
}

// step tells a test that a step of a cut is done.
func (f *file) step(name string) {
	if f.stepped != nil {
		f.stepped(name)
	}
}

func (f *file) close() error {
	if f.bolt.Panicked() {
		return f.fd.Close() // this releases the lock; the map stays until the process ends
	}
	return f.guard(f.db.Close)
}

// guard calls into bbolt.
func (f *file) guard(call func() error) error { return closed(f.bolt.Call(call)) }

// closed says in our words that the file is closed.
func closed(err error) error {
	if errors.Is(err, bbolterrors.ErrDatabaseNotOpen) {
		return errClosed
	}
	return err
}

func seqKey(seq int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(seq)) //nolint:gosec // never negative
}

func headValue(h head) []byte { return append(seqKey(h.seq), h.hash[:]...) }
