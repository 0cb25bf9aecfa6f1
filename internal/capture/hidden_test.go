package capture_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/capture"
)

// hiding returns the settings with fields hidden.
func hiding(redact, hash []string) capture.Settings {
	s := all()
	s.Redact, s.Hash = redact, hash
	return s
}

func TestHide(t *testing.T) {
	f := func(redact, hash []string, check func(r *capture.Request) bool) {
		t.Helper()
		dir := t.TempDir()
		o := options(t, dir)
		o.HashKey = []byte("0123456789abcdef")
		s := capture.New(o)
		tap, err := s.Tap(tabular(1), "d", hiding(redact, hash))
		if err != nil {
			t.Fatal(err)
		}
		stop := running(t, s)
		send(tap, "a", 1, 2)
		stop()
		if got := requests(t, dir); len(got) != 1 || !check(got[0]) {
			t.Errorf("redact %v, hash %v: %+v", redact, hash, got)
		}
	}
	f([]string{"caller", "input:x", "parameter:tier"}, nil, func(r *capture.Request) bool {
		return r.Caller == "" && len(r.Inputs) == 0 && string(r.Parameters) == "{}" && len(r.Outputs) == 1 && r.Rows == 2
	})
	const digits = 64
	f(nil, []string{"caller", "output:score", "parameter:tier"}, func(r *capture.Request) bool {
		return len(r.Caller) == digits && len(r.Outputs[0].Data) == 2*(4+digits) && !strings.Contains(string(r.Parameters), "gold") && len(r.Inputs) == 1
	})
	if _, err := capture.New(options(t, t.TempDir())).Tap(tabular(1), "d", hiding(nil, []string{"caller"})); err == nil {
		t.Error("hashes without a key")
	}
}

// While the bucket is down requests wait, and beyond the buffer they are dropped and counted.
func TestBucketDown(t *testing.T) {
	dir := t.TempDir()
	o := options(t, dir)
	var down atomic.Bool
	down.Store(true)
	open := o.Open
	o.Open = func(ctx context.Context) (*capture.Bucket, error) {
		if down.Load() {
			return nil, errors.New("no route to /secret/host")
		}
		return open(ctx)
	}
	o.RotateAge, o.RotateSize, o.MaxBuffer = 10*time.Millisecond, 1<<10, 4<<10
	s := capture.New(o)
	tap, err := s.Tap(tabular(1), "d", all())
	if err != nil {
		t.Fatal(err)
	}
	stop := running(t, s)
	send(tap, "a", 100, 1)
	for s.Counts()[0].Failures == 0 {
		time.Sleep(time.Millisecond) // until a write has failed
	}
	c := s.Counts()[0]
	if c.Dropped[api.CaptureFull] == 0 || c.Captured+c.Dropped[api.CaptureFull] != 100 || s.Waiting() > o.MaxBuffer || c.Problem == "" || strings.Contains(c.Problem, "secret") {
		t.Errorf("%+v", c)
	}
	down.Store(false)
	stop() // writes what waits
	if got := requests(t, dir); uint64(len(got)) != c.Captured || s.Waiting() != 0 {
		t.Errorf("%d requests, %+v, %d bytes wait", len(got), c, s.Waiting())
	}
}

// Files whose day is older than the retention are deleted, whoever wrote them.
func TestRetention(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "model=credit", "version=1", "day=2020-01-01", "x.parquet")
	if err := os.MkdirAll(filepath.Dir(old), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(old, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := capture.New(options(t, dir))
	tap, err := s.Tap(tabular(1), "d", all())
	if err != nil {
		t.Fatal(err)
	}
	running(t, s)
	for {
		if _, err := os.Stat(old); errors.Is(err, os.ErrNotExist) {
			break
		}
		time.Sleep(time.Millisecond) // until the first look
	}
	_ = tap
}

func TestNoParameters(t *testing.T) {
	dir := t.TempDir()
	s, set := capture.New(options(t, dir)), all()
	set.Parameters = false
	tap, err := s.Tap(tabular(1), "d", set)
	if err != nil {
		t.Fatal(err)
	}
	send(tap, "a", 1, 1)
	running(t, s)()
	if got := requests(t, dir); len(got) != 1 || got[0].Parameters != nil {
		t.Errorf("%+v", got)
	}
}

func TestTooLarge(t *testing.T) {
	s := capture.New(options(t, t.TempDir()))
	set := all()
	set.MaxRequest = 300
	tap, err := s.Tap(tabular(1), "d", set)
	if err != nil {
		t.Fatal(err)
	}
	send(tap, "a", 1, 100)
	send(tap, "", 1, 1)
	if c := s.Counts()[0]; c.Dropped[api.CaptureTooLarge] != 1 || c.Captured != 1 {
		t.Errorf("%+v", c)
	}
}

// A copy costs the one allocation that is counted, and a request outside of the sample none.
func TestAllocations(t *testing.T) {
	f := func(sample int, most float64) {
		t.Helper()
		o := options(t, t.TempDir())
		o.MaxBuffer = 1 << 30
		set := all()
		set.Sample = sample
		tap, err := capture.New(o).Tap(tabular(1), "d", set)
		if err != nil {
			t.Fatal(err)
		}
		req, resp := asked("a", 4)
		if n := testing.AllocsPerRun(1000, func() { tap.Capture(req, resp, "default", time.Millisecond) }); n > most {
			t.Errorf("sample %d: %v allocations, want at most %v", sample, n, most)
		}
	}
	f(0, 0)
	f(10000, 1)
}

// A file that is cut off or damaged is an error.
func FuzzOpenFile(f *testing.F) {
	dir := f.TempDir()
	s := capture.New(options(f, dir))
	tap, err := s.Tap(tabular(1), "d", all())
	if err != nil {
		f.Fatal(err)
	}
	stop := running(f, s)
	send(tap, "a", 2, 2)
	stop()
	whole := read(f, files(f, dir)[0])
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(whole[len(whole)/2:])
	f.Add([]byte{})
	f.Fuzz(func(_ *testing.T, data []byte) {
		if file, err := capture.OpenFile(data); err == nil {
			_ = file.Requests(func(*capture.Request) error { return nil })
		}
	})
}
