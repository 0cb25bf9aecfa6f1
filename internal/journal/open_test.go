package journal_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
)

const fileName = "journal.db"

func TestOpenAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	for round := range int64(4) {
		l, err := journal.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		wantEvents(t, l, 10*round)
		add(t, l, 10)
		info, err := os.Stat(filepath.Join(dir, fileName))
		if err != nil {
			t.Fatal(err)
		}
		if events, size := l.Size(); events != 10*round+10 || size != info.Size() || info.Mode().Perm() != 0o600 {
			t.Errorf("Size says %d events and %d bytes, the file has %d and the mode %v", events, size, info.Size(), info.Mode())
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has the mode %v, %v", info.Mode(), err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("the directory holds %v, %v", names, err)
	}
}

// TestMovedFile: the log does not acknowledge an event that the next start would not find.
func TestMovedFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	l := open(t, dir)
	add(t, l, 3)
	refused := func() {
		t.Helper()
		_, err := l.Append(journal.Any, event(4))
		if wantCode(t, err, infer.Unavailable); !strings.Contains(messageOf(err), "not in the data directory") {
			t.Errorf("%q", messageOf(err))
		}
		wantEvents(t, l, 3)
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	refused()
	write(t, path, []byte("another"))
	refused()
	if err := os.Rename(path+".old", path); err != nil {
		t.Fatal(err)
	}
	add(t, l, 1)
	wantEvents(t, l, 4)
}

// TestOpenUnfinished starts after an earlier first start that did not complete.
func TestOpenUnfinished(t *testing.T) {
	f := func(left []byte) {
		t.Helper()
		dir := t.TempDir()
		write(t, filepath.Join(dir, "journal.db.new"), left)
		l := open(t, dir)
		add(t, l, 1)
		wantEvents(t, l, 1)
		if _, err := os.Stat(filepath.Join(dir, "journal.db.new")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the unfinished file is still there: %v", err)
		}
	}
	f(nil)
	f([]byte("half"))
	f(read(t, filepath.Join(made(t, 3), fileName)))
}

// refused checks that Open refuses a file for a reason, and does not change it.
func refused(t *testing.T, data []byte, want string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	write(t, path, data)
	l, err := journal.Open(dir)
	if err == nil {
		t.Errorf("opened with %d events, want an error with %q", l.Last(), want)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		return
	}
	if msg := messageOf(err); !strings.Contains(msg, want) || strings.Contains(msg, dir) {
		t.Errorf("message %q, want %q (%v)", msg, want, err)
	}
	if !bytes.Equal(read(t, path), data) {
		t.Error("the file was changed")
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("the directory holds %v, %v", names, err)
	}
}

func TestOpenForeign(t *testing.T) {
	f := func(data []byte, want string) {
		t.Helper()
		refused(t, data, want)
	}
	f(nil, "damaged")
	f([]byte("x"), "not a journal")
	f([]byte("name: iris\n"), "not a journal")
	f(bytes.Repeat([]byte("SQLite format 3\x00"), 4096), "not a journal")
	f(make([]byte, 1<<16), "not a journal")

	change := func(f func(tx *bbolt.Tx) error) []byte { return edited(t, 3, f) }
	f(change(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("journal")) }), "not a journal")
	f(change(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("events")) }), "not a journal")
	f(change(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("journal")).Put([]byte("format"), []byte("3")) }), "later version")
	f(change(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("journal")).Delete([]byte("format")) }), "later version")
}

// edited returns the file of a journal of n events after bbolt changed it.
func edited(t *testing.T, n int, change func(tx *bbolt.Tx) error) []byte {
	t.Helper()
	path := filepath.Join(made(t, n), fileName)
	db, err := bbolt.Open(path, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(change), db.Close()); err != nil {
		t.Fatal(err)
	}
	return read(t, path)
}

// TestTampered changes events in ways that bbolt does not detect.
func TestTampered(t *testing.T) {
	key := func(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }
	f := func(change func(events *bbolt.Bucket) error) {
		t.Helper()
		refused(t, edited(t, 20, func(tx *bbolt.Tx) error { return change(tx.Bucket([]byte("events"))) }), "damaged")
	}
	replace := func(seq uint64, old, now string) func(b *bbolt.Bucket) error {
		return func(b *bbolt.Bucket) error {
			record := b.Get(key(seq))
			if !bytes.Contains(record, []byte(old)) {
				t.Fatalf("no %q in %q", old, record)
			}
			return b.Put(key(seq), bytes.Replace(record, []byte(old), []byte(now), 1))
		}
	}
	f(replace(7, "alice", "mallo"))
	f(replace(20, "alice", "mallory"))
	f(replace(1, "<1>", "<2>"))
	f(func(b *bbolt.Bucket) error { return b.Delete(key(1)) })
	f(func(b *bbolt.Bucket) error { return b.Delete(key(10)) })
	f(func(b *bbolt.Bucket) error { return b.Delete(key(20)) }) // the chain is correct, but the head differs
	f(func(b *bbolt.Bucket) error { return b.Put(key(21), b.Get(key(20))) })
	f(func(b *bbolt.Bucket) error { return b.Put(key(0), b.Get(key(1))) })
	f(func(b *bbolt.Bucket) error { return b.Put(key(1<<63+1), b.Get(key(1))) })
	f(func(b *bbolt.Bucket) error { return b.Put([]byte("odd"), b.Get(key(1))) })
	f(func(b *bbolt.Bucket) error { return b.Put(key(5), nil) })
	f(func(b *bbolt.Bucket) error { return b.Put(key(5), b.Get(key(5))[:31]) })
	f(func(b *bbolt.Bucket) error {
		five, six := bytes.Clone(b.Get(key(5))), bytes.Clone(b.Get(key(6)))
		return errors.Join(b.Put(key(5), six), b.Put(key(6), five))
	})
	f(func(b *bbolt.Bucket) error { _, err := b.CreateBucket([]byte("a bucket")); return err })
}

// TestTamperedBeat changes the last heartbeat.
func TestTamperedBeat(t *testing.T) {
	whole := binary.BigEndian.AppendUint64(nil, 1)
	sum := sha256.Sum256(whole)
	whole = append(whole, sum[:]...)
	f := func(value []byte) []byte {
		t.Helper()
		return edited(t, 2, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("journal")).Put([]byte("alive"), value) })
	}
	for _, value := range [][]byte{{}, whole[:7], whole[:8], whole[:39], append(bytes.Clone(whole), 0), append([]byte{1}, whole[1:]...)} {
		refused(t, f(value), "damaged")
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, fileName), f(whole))
	if got := open(t, dir).LastBeat(); !got.Equal(time.Unix(0, 1)) {
		t.Errorf("the last beat is %v", got)
	}
}

// TestTruncated truncates a journal at many places.
func TestTruncated(t *testing.T) {
	data := read(t, filepath.Join(made(t, 60), fileName))
	end := len(bytes.TrimRight(data, "\x00")) // the file has unused pages at its end
	cuts := []int{0, 1, 15, 16, 79, 80, 4095, 4096, 4097, 4176, end - 4096}
	for at := 8192; at < end-4096; at += 4096 {
		cuts = append(cuts, at-512, at)
	}
	for _, at := range cuts {
		want := "damaged"
		if at > 0 && at < 80 {
			want = "not a journal"
		}
		refused(t, data[:at], want)
	}
}

var every = flag.Bool("every-bit", false, "flip every bit of the pages' structure instead of a sample; takes a minute")

// TestFlipped flips single bits of a journal with a segment and a snapshot. Open refuses
// the journal. If the bit is not in a page in use, the journal has all events, accepts
// more, and can be opened again.
func TestFlipped(t *testing.T) {
	dir := made(t, 60)
	beat := open(t, dir)
	cut(t, cutter(beat, 20, count("events")))
	if err := errors.Join(beat.Beat(time.Unix(7, 0)), beat.Close()); err != nil {
		t.Fatal(err)
	}
	const segment = "journal-000001.seg"
	archived := read(t, filepath.Join(dir, segment))
	data := read(t, filepath.Join(dir, fileName))
	end := len(bytes.TrimRight(data, "\x00"))
	var places []int
	for page := 0; page < end; page += 4096 { // each bit of the structure
		for bit := range 8 * 80 {
			places = append(places, 8*page+bit)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
	if !*every {
		places = places[:200]
	}
	for range len(places) / 4 {
		places = append(places, r.IntN(8*end))
	}
	dir = t.TempDir()
	write(t, filepath.Join(dir, segment), archived)
	path := filepath.Join(dir, fileName)
	bad := 0
	for _, place := range places {
		flipped := bytes.Clone(data)
		flipped[place/8] ^= 1 << (place % 8)
		write(t, path, flipped)
		l, err := journal.Open(dir)
		if err != nil {
			bad++
			if msg := messageOf(err); !strings.Contains(msg, "damaged") && !strings.Contains(msg, "not a journal") && !strings.Contains(msg, "later version") {
				t.Fatalf("bit %d: %v", place, err)
			}
			if !bytes.Equal(read(t, path), flipped) {
				t.Fatalf("bit %d: the file was changed", place)
			}
			continue
		}
		wantEvents(t, l, 60)
		fold := count("events")()
		if err := l.Restore([]journal.NamedFold{fold}); err != nil || *fold.Fold.(*counter) != 60 {
			t.Fatalf("bit %d: %d events folded, %v", place, *fold.Fold.(*counter), err)
		}
		if at := l.LastBeat(); !at.Equal(time.Unix(7, 0)) {
			t.Fatalf("bit %d: the last beat is %v", place, at)
		}
		add(t, l, 2)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if l, err = journal.Open(dir); err != nil {
			t.Fatalf("bit %d: damaged after more events: %v", place, err)
		}
		wantEvents(t, l, 62)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d of %d flipped bits were detected", bad, len(places))
	if bad < len(places)/3 {
		t.Errorf("only %d of %d flipped bits were detected", bad, len(places))
	}
}

// TestTornCommit builds the files that a crash of the machine during an Append may leave:
// some of its pages are on disk, but not the one that makes them valid. Each file has the
// events from before.
func TestTornCommit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	l := open(t, dir)
	r := rand.New(rand.NewPCG(3, 4))
	tornDir := t.TempDir()
	for n := range int64(40) {
		before := read(t, path)
		add(t, l, 1)
		after := read(t, path)
		for range 4 {
			torn := bytes.Clone(before)
			if r.IntN(2) == 0 { // the file has grown
				torn = append(torn, make([]byte, len(after)-len(torn))...)
			}
			for at := 8192; at < len(torn); at += 512 {
				if r.IntN(2) == 0 {
					copy(torn[at:at+512], after[at:])
				}
			}
			write(t, filepath.Join(tornDir, fileName), torn)
			got, err := journal.Open(tornDir)
			if err != nil {
				t.Fatalf("torn at event %d: %v", n+1, err)
			}
			wantEvents(t, got, n)
			if err := got.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestOpenLocked(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	add(t, l, 1)
	_, err := journal.Open(dir)
	wantCode(t, err, infer.Unavailable)
	if !strings.Contains(messageOf(err), "in use by another process") {
		t.Errorf("message %q", messageOf(err))
	}
	add(t, l, 1)
	wantEvents(t, l, 2)
}

// TestOpenTogether lets several goroutines create the same journal at once: one gets it.
func TestOpenTogether(t *testing.T) {
	dir := t.TempDir()
	const n = 8
	results := make(chan error, n)
	logs := make(chan *journal.Log, n)
	for range n {
		go func() {
			l, err := journal.Open(dir)
			if err == nil {
				add(t, l, 3)
				logs <- l
			}
			results <- err
		}()
	}
	for range n {
		if err := <-results; err != nil {
			wantCode(t, err, infer.Unavailable)
		}
	}
	if len(logs) != 1 {
		t.Fatalf("%d hold the journal", len(logs))
	}
	l := <-logs
	wantEvents(t, l, 3)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	wantEvents(t, open(t, dir), 3)
}

func TestOpenOddPlaces(t *testing.T) {
	f := func(dir, want string) {
		t.Helper()
		l, err := journal.Open(dir)
		if err == nil {
			t.Errorf("opened with %d events", l.Last())
			return
		}
		if !strings.Contains(messageOf(err), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), nil)
	f(filepath.Join(dir, "file"), "cannot be opened")
	f(filepath.Join(dir, "file", "below"), "cannot be opened")

	if err := os.MkdirAll(filepath.Join(dir, "dir", fileName), 0o700); err != nil {
		t.Fatal(err)
	}
	f(filepath.Join(dir, "dir"), "not a journal")

	if err := os.Mkdir(filepath.Join(dir, "link"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link", fileName)); err != nil {
		t.Fatal(err)
	}
	f(filepath.Join(dir, "link"), "cannot be opened")
}
