//go:build unix

package capture_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/capture"
	"sluice.io/sluice/internal/testing/fulldisk"
)

// If the disk is full, requests wait and are written when there is room. No part of a file is left.
func TestFullDisk(t *testing.T) {
	if !fulldisk.Alone(t) {
		return
	}
	dir := t.TempDir()
	o := options(t, dir)
	o.RotateAge = 10 * time.Millisecond
	s := capture.New(o)
	tap, err := s.Tap(tabular(1), "d", all())
	if err != nil {
		t.Fatal(err)
	}
	stop := func() {}
	fulldisk.Limited(t, 100, func() {
		stop = running(t, s)
		send(tap, "a", 10, 2)
		for s.Counts()[0].Failures == 0 {
			time.Sleep(time.Millisecond) // until a write has failed
		}
	})
	if left, err := os.ReadDir(filepath.Join(dir, "_tmp")); err != nil || len(left) != 0 || len(files(t, dir)) != 0 {
		t.Error(err, left, files(t, dir))
	}
	stop() // writes what waits
	if got := requests(t, dir); len(got) != 10 {
		t.Errorf("%d requests", len(got))
	}
	checkListed(t, dir, "g1")
}

// A bucket that does not answer holds nobody but the writer: requests are captured until there is no
// room, and then dropped.
func TestSlowBucket(t *testing.T) {
	dir := t.TempDir()
	o := options(t, dir)
	o.RotateAge, o.RotateSize, o.MaxBuffer = time.Millisecond, 1<<10, 8<<10
	asked, answer := make(chan struct{}), make(chan struct{})
	open, first := o.Open, true
	o.Open = func(ctx context.Context) (*capture.Bucket, error) {
		if first {
			first = false
			close(asked)
			<-answer
		}
		return open(ctx)
	}
	s := capture.New(o)
	tap, err := s.Tap(tabular(1), "d", all())
	if err != nil {
		t.Fatal(err)
	}
	stop := running(t, s)
	send(tap, "a", 1, 1)
	<-asked
	send(tap, "b", 1000, 1) // returns while the bucket hangs
	c := s.Counts()[0]
	if c.Dropped[api.CaptureFull] == 0 || c.Captured+c.Dropped[api.CaptureFull] != 1001 || s.Waiting() > o.MaxBuffer {
		t.Errorf("%+v, %d bytes wait", c, s.Waiting())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Files(ctx, "credit", api.CaptureRange{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a reader waits: %v", err)
	}
	close(answer)
	stop()
	if got := requests(t, dir); uint64(len(got)) != c.Captured {
		t.Errorf("%d requests of %d", len(got), c.Captured)
	}
}

// A file is made when the oldest request has waited for rotate_age, not before, and its day is deleted
// after the retention.
func TestRotationAndRetention(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := capture.New(options(t, dir))
		tap, err := s.Tap(tabular(1), "d", all())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		send(tap, "a", 1, 1)
		s.Label("credit", truth("a-0", 0, "good", 1))
		f := func(after time.Duration, want int) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if got := len(files(t, dir)); got != want {
				t.Errorf("%v: %d files, want %d", time.Now(), got, want)
			}
		}
		f(59*time.Second, 0)
		f(2*time.Second, 2)
		send(tap, "b", 1, 1)
		f(61*time.Second, 3)
		f(29*24*time.Hour, 3)
		f(3*24*time.Hour, 0)
		if listed, err := s.Files(ctx, "credit", api.CaptureRange{}); err != nil || len(listed) != 0 {
			t.Error(err, listed)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkCaptureEvents measures what a request of four rows costs in the sample, with and without events,
// while there is room for all.
func BenchmarkCaptureEvents(b *testing.B) {
	for _, on := range []bool{false, true} {
		b.Run(fmt.Sprintf("events=%v", on), func(b *testing.B) {
			o := options(b, b.TempDir())
			o.MaxBuffer, o.RotateSize = 1<<30, 1<<29
			if on {
				o.Events = eventsTo("http://127.0.0.1:1")
				o.Events.MaxBuffer = 1 << 30
			}
			const room = 10_000
			var s *capture.Store
			var tap *capture.Tap
			req, resp := asked("a", 4)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%(10*room) == 0 { // files are never written here
					b.StopTimer()
					var err error
					s = capture.New(o)
					if tap, err = s.Tap(tabular(1), "d", all()); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
				if on && i%room == 0 {
					s.DropEvents()
				}
				tap.Capture(req, resp, "default", time.Millisecond)
			}
		})
	}
}

// BenchmarkCapture measures what a request of four rows costs outside of and in the sample.
func BenchmarkCapture(b *testing.B) {
	for name, sample := range map[string]int{"outside": 0, "sampled": 10000} {
		b.Run(name, func(b *testing.B) {
			o := options(b, b.TempDir())
			o.MaxBuffer, o.RotateSize = 1<<30, 1<<29
			set := all()
			set.Sample = sample
			tap, err := capture.New(o).Tap(tabular(1), "d", set)
			if err != nil {
				b.Fatal(err)
			}
			req, resp := asked("a", 4)
			b.ReportAllocs()
			for b.Loop() {
				tap.Capture(req, resp, "default", time.Millisecond)
			}
		})
	}
}
