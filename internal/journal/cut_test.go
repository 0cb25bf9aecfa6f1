package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
)

// cutter returns one that moves n events at a time.
func cutter(l *journal.Log, n int64, folds ...func() journal.NamedFold) *journal.Cutter {
	return journal.NewCutter(l, journal.CutterOptions{
		Events: n, Bytes: 1 << 40, Logger: zap.NewNop(),
		Folds: func() (list []journal.NamedFold) {
			for _, f := range folds {
				list = append(list, f())
			}
			return list
		},
	})
}

func cut(t testing.TB, c *journal.Cutter) {
	t.Helper()
	if err := c.Cut(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func verified(t testing.TB, l *journal.Log) api.JournalReport {
	t.Helper()
	report, err := l.Verify()
	if err != nil || report.Problem != "" {
		t.Fatalf("%+v, %v", report, err)
	}
	return report
}

func copied(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestCut(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	c := cutter(l, 10)
	cut(t, c) // there is nothing
	add(t, l, 25)
	before := verified(t, l)
	for i, want := range []struct {
		segments int
		active   int64
	}{{1, 15}, {2, 5}, {3, 0}, {3, 0}} {
		cut(t, c)
		if segments, active := journal.Segments(l); segments != want.segments || active != want.active {
			t.Errorf("after cut %d: %d segments and %d events in none, want %+v", i+1, segments, active, want)
		}
		wantEvents(t, l, 25)
	}
	if diff := cmp.Diff(api.JournalReport{Events: 25, Segments: 3, Hash: before.Hash}, verified(t, l)); diff != "" {
		t.Error(diff)
	}
	for after := int64(-1); after <= 26; after++ {
		for limit := range 27 {
			events, err := l.Read(after, limit, journal.Filter{})
			if want := min(limit, int(25-min(max(after, 0), 25))); err != nil || len(events) != want || want > 0 && events[0].Seq != max(after, 0)+1 {
				t.Fatalf("Read(%d, %d): %d events, want %d; %v", after, limit, len(events), want, err)
			}
		}
	}
	add(t, l, 7)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir)
	wantEvents(t, l, 32)
	add(t, l, 3)
	cut(t, cutter(l, 100))
	wantEvents(t, l, 35)
	if got := verified(t, l); got.Segments != 4 || got.Events != 35 {
		t.Errorf("%+v", got)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 5 {
		t.Errorf("the directory holds %v, %v", names, err)
	}
	_, size := l.Size()
	var sum int64
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v has the mode %v, %v", name, info.Mode(), err)
		}
		sum += info.Size()
	}
	if size != sum {
		t.Errorf("Size says %d bytes, the files have %d", size, sum)
	}
}

// TestCutBySize holds the limit on bytes, and that a segment has blocks.
func TestCutBySize(t *testing.T) {
	l := open(t, t.TempDir())
	large := event(1)
	large.After = []byte(`"` + strings.Repeat("x", 100_000) + `"`)
	for range 10 {
		if _, err := l.Append(journal.Any, large); err != nil {
			t.Fatal(err)
		}
	}
	c := journal.NewCutter(l, journal.CutterOptions{Events: 1000, Bytes: 650_000, Folds: func() []journal.NamedFold { return nil }, Logger: zap.NewNop()})
	cut(t, c)
	if segments, active := journal.Segments(l); segments != 1 || active != 3 {
		t.Errorf("%d segments and %d events in none", segments, active)
	}
	for after := range int64(10) {
		if events, err := l.Read(after, 1, journal.Filter{}); err != nil || len(events) != 1 || events[0].Seq != after+1 || !bytes.Equal(events[0].After, large.After) {
			t.Errorf("after %d: %d events, %v", after, len(events), err)
		}
	}
}

// TestSegmentsChangeNoAnswer compares a log that is cut and opened again at random with
// one in memory, also where the clock goes back.
func TestSegmentsChangeNoAnswer(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	dir, want := t.TempDir(), journal.Memory()
	l := open(t, dir)
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	subjects := []string{"routes/a", "routes/b", "models/a/1"}
	for range 300 {
		switch r.IntN(10) {
		case 0:
			cut(t, cutter(l, 1+r.Int64N(30)))
		case 1:
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = open(t, dir)
		default:
			now = now.Add(time.Duration(r.IntN(120)-20) * time.Second)
			e := event(1)
			e.Time, e.Subject = now, subjects[r.IntN(3)]
			_, err := l.Append(journal.Any, e)
			_, err2 := want.Append(journal.Any, e)
			if err = errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
		}
		at := now.Add(-time.Duration(r.IntN(2 * int(now.Sub(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))+time.Second))))
		got, err := l.LastAt(at)
		if expected, err2 := want.LastAt(at); got != expected || err != nil || err2 != nil {
			t.Fatalf("LastAt(%v) is %d, want %d; %v, %v", at, got, expected, err, err2)
		}
		f := journal.Filter{Subjects: subjects[:r.IntN(3)], Last: r.Int64N(want.Last() + 2)}
		if r.IntN(2) == 0 {
			f.Since = at
		}
		if r.IntN(2) == 0 {
			f.Until = at.Add(time.Duration(r.IntN(3600)) * time.Second)
		}
		after, limit := r.Int64N(want.Last()+2), r.IntN(50)
		events, err := l.Read(after, limit, f)
		expected, err2 := want.Read(after, limit, f)
		if diff := cmp.Diff(expected, events); diff != "" || err != nil || err2 != nil {
			t.Fatalf("Read(%d, %d, %+v): %v, %v, %s", after, limit, f, err, err2, diff)
		}
	}
	if got, want := verified(t, l).Hash, verified(t, want).Hash; got != want {
		t.Errorf("the last hash is %s, want %s", got, want)
	}
	if segments, _ := journal.Segments(l); segments < 5 {
		t.Errorf("only %d segments", segments)
	}
}

// TestStoppedCut opens what each step of a cut leaves behind, as if the process had
// ended there.
func TestStoppedCut(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	add(t, l, 2_500)
	cut(t, cutter(l, 100, count("events")))
	var steps []string
	journal.OnStep(l, func(name string) {
		steps = append(steps, name)
		left := open(t, copied(t, dir))
		fold := count("events")()
		if err := left.Restore([]journal.NamedFold{fold}); err != nil || *fold.Fold.(*counter) != 2_500 {
			t.Errorf("%s: %d events folded, %v", name, *fold.Fold.(*counter), err)
		}
		add(t, left, 2)
		wantEvents(t, left, 2_502)
		cut(t, cutter(left, 5_000, count("events")))
		add(t, left, 1)
		wantEvents(t, left, 2_503)
		if got := verified(t, left); got.Events != 2_503 {
			t.Errorf("%s: %+v", name, got)
		}
	})
	cut(t, cutter(l, 2_200, count("events")))
	want := []string{"trimmed", "written", "renamed", "folded", "committed", "trimmed", "trimmed", "trimmed"}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Error(diff)
	}
	wantEvents(t, l, 2_500)
}

// TestFailedCut: a cut that cannot be made leaves the log as it was, and no file behind.
func TestFailedCut(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	add(t, l, 20)
	if err := os.Mkdir(filepath.Join(dir, "journal.seg.new"), 0o700); err != nil {
		t.Fatal(err)
	}
	wantCode(t, cutter(l, 10).Cut(t.Context()), infer.Unavailable)
	if err := os.Remove(filepath.Join(dir, "journal.seg.new")); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	wantCode(t, cutter(l, 10).Cut(ended), infer.Unavailable)
	for _, broken := range []*failing{{apply: errors.New("no")}, {snapshot: errors.New("no")}} {
		wantCode(t, cutter(l, 10, func() journal.NamedFold { return journal.NamedFold{Name: "failing", Fold: broken} }).Cut(t.Context()), infer.Unavailable)
	}
	journal.OnStep(l, func(name string) {
		if name == "folded" { // then the transaction is refused
			if err := os.Rename(filepath.Join(dir, fileName), filepath.Join(dir, "moved")); err != nil {
				t.Error(err)
			}
		}
	})
	wantCode(t, cutter(l, 10).Cut(t.Context()), infer.Unavailable)
	if err := os.Rename(filepath.Join(dir, "moved"), filepath.Join(dir, fileName)); err != nil {
		t.Fatal(err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("the directory holds %v, %v", names, err)
	}
	if segments, active := journal.Segments(l); segments != 0 || active != 20 {
		t.Errorf("%d segments and %d events in none", segments, active)
	}
	journal.OnStep(l, nil)
	add(t, l, 1)
	cut(t, cutter(l, 10))
	wantEvents(t, l, 21)
}

// TestForeignSegment: a file that has the name of a segment and is not in the journal,
// as after journal.db alone was restored, is left alone.
func TestForeignSegment(t *testing.T) {
	dir := made(t, 10)
	for _, name := range []string{"journal-000001.seg", "journal-000007.seg", "journal-x.seg"} {
		write(t, filepath.Join(dir, name), []byte(name))
	}
	l := open(t, dir)
	cut(t, cutter(l, 10))
	wantEvents(t, l, 10)
	for _, name := range []string{"journal-000001.seg", "journal-000007.seg", "journal-x.seg"} {
		if got := read(t, filepath.Join(dir, name)); string(got) != name {
			t.Errorf("%s holds %d bytes", name, len(got))
		}
	}
	if len(read(t, filepath.Join(dir, "journal-000008.seg"))) < 100 {
		t.Error("the segment is empty")
	}
}

// TestDamagedSegment: a start misses a segment that is not there or has another size;
// whatever else is wrong is found when the segment is read, and by Verify.
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
		report, err := l.Verify()
		if err != nil {
			t.Fatal(err)
		}
		readErr := readAll(l)
		wantCode(t, readErr, infer.Internal)
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

// TestSegmentChangedLater: what is read of a segment after it was held against its hash
// has checksums of its own, and Verify does it again.
func TestSegmentChangedLater(t *testing.T) {
	dir := made(t, 10)
	l := open(t, dir)
	cut(t, cutter(l, 10))
	wantEvents(t, l, 10)
	path := filepath.Join(dir, "journal-000001.seg")
	data := read(t, path)
	data[len(data)/2] ^= 1
	write(t, path, data)
	wantCode(t, readAll(l), infer.Internal)
	if report, err := l.Verify(); err != nil || report.Problem == "" {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestTamperedIndex changes the list of segments and the snapshots in ways that bbolt
// finds nothing wrong with.
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
	f(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("snapshots"))
		stored := bytes.Clone(b.Get([]byte("events")))
		stored[7]++
		return b.Put([]byte("events"), stored)
	})
}

func binarySeq(n byte) []byte { return []byte{0, 0, 0, 0, 0, 0, 0, n} }

// TestCutBesideOthers cuts while others append and read.
func TestCutBesideOthers(t *testing.T) {
	l := open(t, t.TempDir())
	c := cutter(l, 20, count("events"))
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				want, seq := l.Last(), int64(0)
				for {
					events, err := l.Read(seq, 7, journal.Filter{})
					if err != nil {
						t.Error(err)
						return
					}
					for _, e := range events {
						if seq++; e.Seq != seq {
							t.Errorf("event %d, want %d", e.Seq, seq)
							return
						}
					}
					if len(events) == 0 {
						break
					}
				}
				if seq < want {
					t.Errorf("%d events, Last said %d", seq, want)
				}
			}
		})
	}
	add(t, l, 400)
	for segments, _ := journal.Segments(l); segments < 5; segments, _ = journal.Segments(l) {
		add(t, l, 1) // the cutter is behind
	}
	stop()
	wg.Wait()
	wantEvents(t, l, l.Last())
	verified(t, l)
}

// TestVerifyDirectory looks at a journal that no gateway has open.
func TestVerifyDirectory(t *testing.T) {
	dir := made(t, 12)
	l := open(t, dir)
	cut(t, cutter(l, 10))
	want := verified(t, l)
	_, err := journal.Verify(dir)
	wantCode(t, err, infer.Unavailable) // in use
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := journal.Verify(dir); err != nil || got != want || got.Events != 12 || got.Segments != 1 {
		t.Errorf("%+v, want %+v; %v", got, want, err)
	}
	empty := t.TempDir()
	_, err = journal.Verify(empty)
	wantCode(t, err, infer.NotFound)
	if names, err := os.ReadDir(empty); err != nil || len(names) != 0 {
		t.Errorf("the directory holds %v, %v", names, err)
	}
	if memory := journal.Memory(); memory != nil {
		add(t, memory, 3)
		cut(t, cutter(memory, 1))
		if got := verified(t, memory); got.Events != 3 || got.Segments != 0 {
			t.Errorf("%+v", got)
		}
		wantEvents(t, memory, 3)
	}
}

// counter is a fold that counts events.
type counter int

func (c *counter) Apply(e api.Event) error {
	if *c++; int64(*c) != e.Seq {
		return fmt.Errorf("event %d is the fold's %d", e.Seq, *c)
	}
	return nil
}

func (c *counter) Snapshot() ([]byte, error) { return fmt.Append(nil, int(*c)), nil }

func (c *counter) Restore(state []byte) error {
	var n int
	_, err := fmt.Sscan(string(state), &n)
	*c = counter(n)
	return err
}

func count(name string) func() journal.NamedFold {
	return func() journal.NamedFold { return journal.NamedFold{Name: name, Fold: new(counter)} }
}

// failing is a fold that does not do what it should, and counts what it was asked.
type failing struct {
	apply, snapshot, restore error
	applied, restored        int
}

func (f *failing) Apply(api.Event) error     { f.applied++; return f.apply }
func (f *failing) Snapshot() ([]byte, error) { return []byte("state"), f.snapshot }
func (f *failing) Restore([]byte) error      { f.restored++; return f.restore }

func TestRestore(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	add(t, l, 25)
	good := func(name string, version uint32, fold *failing) journal.NamedFold {
		return journal.NamedFold{Name: name, Version: version, Fold: fold}
	}
	made := func() journal.NamedFold { return good("a", 1, &failing{}) }
	restore := func(version uint32, fold *failing, restored, applied int) {
		t.Helper()
		beside := new(counter) // has no snapshot at first
		err := l.Restore([]journal.NamedFold{good("a", version, fold), {Name: "counter", Fold: beside}})
		if err != nil || int64(*beside) != l.Last() || fold.restored != restored || fold.applied != applied {
			t.Errorf("restored %d times, applied %d events, want %d and %d; the fold beside it %d; %v",
				fold.restored, fold.applied, restored, applied, *beside, err)
		}
	}
	restore(1, &failing{}, 0, 25) // no cut yet, and so no snapshot
	cut(t, cutter(l, 10, made))
	restore(1, &failing{}, 1, 15) // now kept as of event 25, since the counter was made of the archive
	restore(1, &failing{}, 1, 0)
	restore(1, &failing{restore: errors.New("no")}, 1, 25)
	add(t, l, 2)
	restore(1, &failing{}, 1, 2)
	restore(2, &failing{}, 0, 27)
	restore(2, &failing{}, 1, 0)
	broken := errors.New("broken")
	if err := l.Restore([]journal.NamedFold{good("b", 1, &failing{apply: broken})}); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if err := l.Restore(nil); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir)
	restore(2, &failing{}, 1, 0)
	memory := journal.Memory()
	add(t, memory, 5)
	fold := count("x")()
	if err := memory.Restore([]journal.NamedFold{fold}); err != nil || *fold.Fold.(*counter) != 5 {
		t.Errorf("in memory: %d, %v", *fold.Fold.(*counter), err)
	}
}
