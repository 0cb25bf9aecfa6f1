package journal_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
)

// TestDamagedSegment: a start detects a segment that is missing or has another size. A
// read and Verify detect all other damage.
func TestDamagedSegment(t *testing.T) {
	whole := made(t, 30)
	l := open(t, whole)
	cut(t, cutter(l, 10))
	cut(t, cutter(l, 10))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	const name = "journal-000001.seg"
	data := read(t, filepath.Join(whole, name))
	f := func(change func(path string) error) {
		t.Helper()
		dir := copied(t, whole)
		if err := change(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		_, err := journal.Open(dir)
		if msg := messageOf(err); !strings.Contains(msg, name+", with the events 1 to 10, is missing or damaged") || strings.Contains(msg, dir) {
			t.Errorf("%q", msg)
		}
	}
	f(os.Remove)
	f(func(path string) error { return os.Truncate(path, 100) })
	f(func(path string) error { return os.Truncate(path, int64(len(data))+1) })
	f(func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) })

	r := rand.New(rand.NewPCG(7, 8))
	dir := copied(t, whole)
	for range 200 {
		flipped := bytes.Clone(data)
		flipped[r.IntN(len(data))] ^= 1 << r.IntN(8)
		write(t, filepath.Join(dir, name), flipped)
		l, err := journal.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if events, err := l.Read(12, 100, journal.Filter{}); err != nil || len(events) != 18 {
			t.Fatalf("the rest of the journal: %d events, %v", len(events), err)
		}
		report, err := l.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		readErr := readAll(l)
		wantCode(t, readErr, infer.Unavailable)
		for _, msg := range []string{report.Problem, messageOf(readErr)} {
			if !strings.Contains(msg, name) || strings.Contains(msg, dir) {
				t.Fatalf("%q", msg)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func readAll(l *journal.Log) error {
	_, err := l.Read(0, 100, journal.Filter{})
	return err
}

// TestSegmentChangedLater: after the check of a segment's hash, the checksums of its blocks
// detect damage. Verify checks the hash again.
func TestSegmentChangedLater(t *testing.T) {
	dir := made(t, 10)
	l := open(t, dir)
	cut(t, cutter(l, 10))
	wantEvents(t, l, 10)
	path := filepath.Join(dir, "journal-000001.seg")
	data := read(t, path)
	data[len(data)/2] ^= 1
	write(t, path, data)
	wantCode(t, readAll(l), infer.Unavailable)
	if report, err := l.Verify(t.Context()); err != nil || report.Problem == "" {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestTamperedIndex changes the list of segments in ways that bbolt does not detect.
func TestTamperedIndex(t *testing.T) {
	whole := made(t, 30)
	l := open(t, whole)
	cut(t, cutter(l, 10, count("events")))
	cut(t, cutter(l, 10, count("events")))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	first, second := binarySeq(1), binarySeq(11)
	f := func(change func(tx *bbolt.Tx) error) {
		t.Helper()
		dir := copied(t, whole)
		db, err := bbolt.Open(filepath.Join(dir, fileName), 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Update(change), db.Close()); err != nil {
			t.Fatal(err)
		}
		l, err := journal.Open(dir)
		if err == nil {
			t.Error("opened")
			err = l.Close()
		}
		if msg := messageOf(err); !strings.Contains(msg, "damaged") {
			t.Errorf("%v", err)
		}
	}
	segments := func(f func(b *bbolt.Bucket) error) func(tx *bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return f(tx.Bucket([]byte("segments"))) }
	}
	f(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("segments")) })
	f(segments(func(b *bbolt.Bucket) error { return b.Delete(first) }))
	f(segments(func(b *bbolt.Bucket) error { return b.Delete(second) }))
	f(segments(func(b *bbolt.Bucket) error { return b.Put(second, b.Get(first)) }))
	f(segments(func(b *bbolt.Bucket) error { return b.Put(binarySeq(21), b.Get(second)) }))
	f(segments(func(b *bbolt.Bucket) error {
		return b.Put(second, bytes.Replace(b.Get(second), []byte("000002"), []byte("000001"), 1))
	}))
	f(segments(func(b *bbolt.Bucket) error { return b.Put(second, nil) }))
	f(segments(func(b *bbolt.Bucket) error { return b.Put(second, b.Get(second)[:40]) }))
}

// TestDamagedSnapshot: the log replaces a damaged snapshot with one from the events.
func TestDamagedSnapshot(t *testing.T) {
	dir := made(t, 30)
	l := open(t, dir)
	cut(t, cutter(l, 10, count("events")))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(filepath.Join(dir, fileName), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("snapshots"))
		stored := bytes.Clone(b.Get([]byte("events")))
		stored[7]++
		return b.Put([]byte("events"), stored)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir)
	for _, want := range []failing{{applied: 30}, {restored: 1}} {
		fold := new(failing)
		if err := l.Restore([]journal.NamedFold{{Name: "events", Fold: fold}}); err != nil || *fold != want {
			t.Errorf("%+v, %v; want %+v", fold, err, want)
		}
	}
}

// TestSegmentsWithoutJournal: Open does not start an empty journal beside the segments of
// another.
func TestSegmentsWithoutJournal(t *testing.T) {
	dir := made(t, 10)
	l := open(t, dir)
	cut(t, cutter(l, 10))
	if err := errors.Join(l.Close(), os.Remove(filepath.Join(dir, fileName))); err != nil {
		t.Fatal(err)
	}
	_, err := journal.Open(dir)
	if msg := messageOf(err); !strings.Contains(msg, "journal.db is missing") || strings.Contains(msg, dir) {
		t.Errorf("%v", err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("the directory holds %v, %v", names, err)
	}
}

func binarySeq(n byte) []byte { return []byte{0, 0, 0, 0, 0, 0, 0, n} }
