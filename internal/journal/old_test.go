package journal_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"sluice.io/sluice/internal/journal"
)

// oldJournal returns a directory with a journal of format 1, which revision 0934447 of this
// program wrote: edits of routes, a drift state and a signal, in two runs.
func oldJournal(t *testing.T) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(read(t, filepath.Join("testdata", "journal-0934447.db.gz"))))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, fileName), data)
	return dir
}

// TestOldJournal opens a journal of format 1, appends to it, and cuts it.
func TestOldJournal(t *testing.T) {
	dir := oldJournal(t)
	l := open(t, dir)
	old, err := l.Read(0, 100, journal.Filter{})
	if err != nil || len(old) != 19 || l.Last() != 19 {
		t.Fatalf("%d events, %v", len(old), err)
	}
	if got := verified(t, l); got.Hash != oldHash {
		t.Errorf("the last hash is %s", got.Hash)
	}
	add(t, l, 5)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wantFormat(t, dir, "1") // the old program can read it until the first cut
	l = open(t, dir)
	cut(t, cutter(l, 15, count("events")))
	add(t, l, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wantFormat(t, dir, "2")
	l = open(t, dir)
	got, err := l.Read(0, 19, journal.Filter{})
	if diff := cmp.Diff(old, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if report := verified(t, l); report.Events != 25 || report.Segments != 1 {
		t.Errorf("%+v", report)
	}
	fold := count("events")()
	if err := l.Restore([]journal.NamedFold{fold}); err != nil || *fold.Fold.(*counter) != 25 {
		t.Errorf("%d events folded, %v", *fold.Fold.(*counter), err)
	}
}

// oldHash is the hash of the last event that revision 0934447 wrote.
const oldHash = "3d2bcbcc32d9e9663ff99cff771327a3d021a3b6510bd1fc6269b222b6586063"

func wantFormat(t *testing.T, dir, want string) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, fileName), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(func(tx *bbolt.Tx) error {
		if got := tx.Bucket([]byte("journal")).Get([]byte("format")); string(got) != want {
			t.Errorf("the format is %q, want %q", got, want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
