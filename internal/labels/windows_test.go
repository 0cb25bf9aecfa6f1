package labels_test

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/labels"
)

// TestWindows: each slice of the store is a window, and together they are the stream while nothing is dropped.
func TestWindows(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, labels.Options{Dir: dir, MaxAge: 16 * time.Hour}) // an hour for each slice
		defer h.stop(t)
		k := h.keeper(t, regressor())
		for _, id := range []string{"a", "b", "c"} {
			predictValues(k, id, 1, 2)
			h.label(t, "price", labels.Row{RequestID: id, Label: labels.NumberLabel(2)})
			time.Sleep(90 * time.Minute)
		}
		predictValues(k, "d", 1)
		h.label(t, "price", labels.Row{RequestID: "unknown", Label: labels.NumberLabel(2)}) // writes what waits
		r := h.report(t, "price")
		calls := 0
		if err := h.AddWindows(&r, func(s *api.LabelStream, _ *labels.Scores) {
			calls++
			s.Estimates = []api.LabelEstimate{{Name: "mae", Rows: s.Predictions}}
		}); err != nil {
			t.Fatal(err)
		}
		windows := r.Streams[0].Windows
		if len(windows) != 4 || calls != 4 {
			t.Fatalf("%d calls, %+v", calls, windows)
		}
		predictions, known := uint64(0), uint64(0)
		for i, w := range windows {
			predictions, known = predictions+w.Predictions, known+w.Labels
			last := i == len(windows)-1
			if w.End.IsZero() != last || !last && (w.End.After(windows[i+1].Start) || !w.End.After(w.Start)) || len(w.Estimates) != 1 || w.Estimates[0].Rows != w.Predictions {
				t.Errorf("window %d: %+v", i, w)
			}
		}
		if predictions != r.Streams[0].Predictions || predictions != 7 || known != 3 || windows[3].Labels != 0 {
			t.Errorf("%+v", windows)
		}
		time.Sleep(20 * time.Hour)
		predictValues(k, "e", 1)
		h.label(t, "price", labels.Row{RequestID: "unknown", Label: labels.NumberLabel(2)})
		r = h.report(t, "price")
		if err := h.AddWindows(&r, nil); err != nil || len(r.Streams[0].Windows) >= 4 || r.Streams[0].Predictions != 8 {
			t.Errorf("%v, %+v", err, r.Streams[0])
		}
	})
	s := labels.New(labels.Options{MaxBytes: 1, MaxAge: 1, Logger: zap.NewNop()})
	if err := s.AddWindows(&api.LabelReport{}, nil); err != nil {
		t.Error(err)
	}
}

// A window without labels belongs to the same stream as those with labels, also if the model has two classes.
func TestWindowsWithoutLabels(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, labels.Options{Dir: dir, MaxAge: 16 * time.Hour})
		defer h.stop(t)
		k := h.keeper(t, classifier())
		predict(k, "a", 0.9)
		h.label(t, "churn", text("a", "yes"))
		time.Sleep(90 * time.Minute)
		predict(k, "b", 0.8)
		h.label(t, "churn", text("unknown", "yes")) // writes what waits
		r := h.report(t, "churn")
		if err := h.AddWindows(&r, nil); err != nil {
			t.Fatal(err)
		}
		if w := r.Streams[0].Windows; len(r.Streams) != 1 || len(w) != 2 || w[0].Labels != 1 || w[1].Labels != 0 || w[1].Predictions != 1 {
			t.Errorf("%+v", r.Streams)
		}
	})
}
