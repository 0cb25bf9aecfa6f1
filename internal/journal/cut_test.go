package journal_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
)

// cutter returns a Cutter that moves n events at a time.
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
	report, err := l.Verify(t.Context())
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
	cut(t, c) // without events
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

// TestCutBySize checks the limit on bytes, and reads a segment with several blocks.
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

// TestSegmentsChangeNoAnswer compares a log in memory with one that is cut and opened again
// at random. Some events are earlier than those before them.
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

// TestStoppedCut opens a copy of the files after each step of a cut, as if the process had
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

// TestFailedCut: a cut that fails leaves the log as it was, and leaves no file behind.
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
		if name == "folded" { // then the transaction fails
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
	// If nothing can be written any more, a cut does not write a segment either.
	if err := os.Rename(filepath.Join(dir, fileName), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	journal.OnStep(l, func(name string) { t.Errorf("a cut that cannot be committed made the step %q", name) })
	wantCode(t, cutter(l, 10).Cut(t.Context()), infer.Unavailable)
	journal.OnStep(l, nil)
	if err := os.Rename(filepath.Join(dir, "moved"), filepath.Join(dir, fileName)); err != nil {
		t.Fatal(err)
	}
	add(t, l, 1)
	cut(t, cutter(l, 10))
	wantEvents(t, l, 21)
}

// TestForeignSegment: the log leaves a file alone that has the name of a segment and is not
// in the journal, as after a restore of journal.db alone.
func TestForeignSegment(t *testing.T) {
	dir := made(t, 10)
	foreign := []string{"journal-000001.seg", "journal-000003.seg", "journal-999999.seg", "journal-x.seg"}
	for _, name := range foreign {
		write(t, filepath.Join(dir, name), []byte(name))
	}
	l := open(t, dir)
	for range 3 {
		cut(t, cutter(l, 10))
		add(t, l, 10)
	}
	wantEvents(t, l, 40)
	for _, name := range foreign {
		if got := read(t, filepath.Join(dir, name)); string(got) != name {
			t.Errorf("%s holds %d bytes", name, len(got))
		}
	}
	for _, name := range []string{"journal-000002.seg", "journal-000004.seg", "journal-000005.seg"} {
		if len(read(t, filepath.Join(dir, name))) < 100 {
			t.Errorf("%s is empty", name)
		}
	}
	if names, err := l.Unnamed(); err != nil || !slices.Equal(names, foreign) {
		t.Errorf("not named: %v, %v", names, err)
	}
	if report, err := l.Verify(t.Context()); err != nil || report.Problem != "" || report.Unnamed != len(foreign) {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestCutBesideOthers cuts while other goroutines append and read.
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
		add(t, l, 1) // wait for the cutter
	}
	stop()
	wg.Wait()
	wantEvents(t, l, l.Last())
	verified(t, l)
}

// TestVerifyDirectory verifies a journal that no gateway has open.
func TestVerifyDirectory(t *testing.T) {
	dir := made(t, 12)
	l := open(t, dir)
	cut(t, cutter(l, 10))
	want := verified(t, l)
	_, err := journal.Verify(t.Context(), dir)
	wantCode(t, err, infer.Unavailable) // in use
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, fileName), 0o400); err != nil { // as in a backup
		t.Fatal(err)
	}
	if got, err := journal.Verify(t.Context(), dir); err != nil || got != want || got.Events != 12 || got.Segments != 1 {
		t.Errorf("%+v, want %+v; %v", got, want, err)
	}
	empty := t.TempDir()
	_, err = journal.Verify(t.Context(), empty)
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
