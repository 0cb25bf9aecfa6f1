package journal_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
)

func TestBeat(t *testing.T) {
	both(t, func(t *testing.T, l *journal.Log) {
		if !l.LastBeat().IsZero() {
			t.Errorf("a log without a beat says %v", l.LastBeat())
		}
		add(t, l, 2)
		first := time.Date(2026, 5, 1, 12, 0, 0, 123456789, time.FixedZone("CEST", 7200))
		for i := range 50 {
			at := first.Add(time.Duration(i) * time.Second)
			if err := l.Beat(at); err != nil || !l.LastBeat().Equal(at) {
				t.Fatalf("%v; the last beat is %v, want %v", err, l.LastBeat(), at)
			}
		}
		wantEvents(t, l, 2) // a heartbeat is not an event
		add(t, l, 1)
		wantEvents(t, l, 3)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		wantCode(t, l.Beat(first), infer.Unavailable)
	})
}

// TestBeatOutlivesTheLog also checks that heartbeats do not make the file grow.
func TestBeatOutlivesTheLog(t *testing.T) {
	dir := made(t, 10)
	l := open(t, dir)
	at := time.Now()
	for range 200 {
		at = at.Add(time.Second)
		if err := l.Beat(at); err != nil {
			t.Fatal(err)
		}
	}
	_, before := l.Size()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir)
	if got := l.LastBeat(); !got.Equal(at) {
		t.Errorf("after a start the last beat is %v, want %v", got, at)
	}
	wantEvents(t, l, 10)
	if _, size := l.Size(); size != before {
		t.Errorf("the file has grown from %d to %d bytes", before, size)
	}
}

func TestBeatInAMovedFile(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	if err := os.Rename(filepath.Join(dir, fileName), filepath.Join(dir, "old")); err != nil {
		t.Fatal(err)
	}
	wantCode(t, l.Beat(time.Now()), infer.Unavailable)
	if !l.LastBeat().IsZero() {
		t.Errorf("a beat that was refused is there: %v", l.LastBeat())
	}
	if err := os.Rename(filepath.Join(dir, "old"), filepath.Join(dir, fileName)); err != nil {
		t.Fatal(err)
	}
	if err := l.Beat(time.Now()); err != nil {
		t.Error(err)
	}
}
