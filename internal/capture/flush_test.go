package capture_test

import (
	"context"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/capture"
)

// What waits in memory is in the manifest after a flush, long before it is old enough.
func TestFlush(t *testing.T) {
	dir := t.TempDir()
	o := options(t, dir)
	o.RotateAge, o.RotateSize = time.Hour, 4<<10 // several files
	s := capture.New(o)
	tap, err := s.Tap(tabular(1), "d", all())
	if err != nil {
		t.Fatal(err)
	}
	running(t, s)
	send(tap, "a", 100, 2)
	if left := s.Flush(t.Context(), "another"); left != (api.CaptureWaiting{}) {
		t.Errorf("%+v", left)
	}
	if left := s.Flush(t.Context(), tabular(1).Name); left != (api.CaptureWaiting{}) || s.Waiting() != 0 {
		t.Errorf("%+v, %d bytes wait", left, s.Waiting())
	}
	list, err := s.Files(t.Context(), tabular(1).Name, api.CaptureRange{})
	rows := int64(0)
	for i := range list {
		rows += list[i].Rows
	}
	if err != nil || rows != 200 || len(list) < 2 {
		t.Errorf("%v, %d rows in %d files", err, rows, len(list))
	}
	if left := s.Flush(t.Context(), tabular(1).Name); left.Why != "" {
		t.Errorf("%+v", left)
	}
}

// A flush of a bucket that does not answer ends in time, and says what is missing. Capturing goes on.
func TestFlushOfASlowBucket(t *testing.T) {
	o := options(t, t.TempDir())
	o.RotateAge, o.FlushTimeout = time.Hour, time.Minute
	answer := make(chan struct{})
	open := o.Open
	o.Open = func(ctx context.Context) (*capture.Bucket, error) {
		select {
		case <-answer:
			return open(ctx)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s := capture.New(o)
	tap, err := s.Tap(tabular(1), "d", all())
	if err != nil {
		t.Fatal(err)
	}
	send(tap, "a", 10, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if left := s.Flush(ctx, tabular(1).Name); left.Rows != 20 || left.Labels != 0 || left.Why != "the files could not be written in time" {
		t.Errorf("%+v", left)
	}
	send(tap, "b", 10, 2)
	close(answer)
	if left := s.Flush(t.Context(), tabular(1).Name); left.Why != "" || s.Waiting() != 0 {
		t.Errorf("%+v, %d bytes wait", left, s.Waiting())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
