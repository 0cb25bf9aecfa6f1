package labels_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
)

// TestLateAndExpired: a label is late after the watermark, and unknown once its prediction is
// gone. What was measured stays.
func TestLateAndExpired(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, labels.Options{Dir: dir, MaxAge: 32 * time.Hour})
		defer h.stop(t)
		k := h.keeper(t, classifier())
		predict(k, "a", 0.9, 0.9, 0.9)
		f := func(want string, row int) {
			t.Helper()
			r := text("a", "yes")
			r.Row = row
			if got := h.label(t, "churn", r); got[0] != want {
				t.Errorf("row %d after %v: %s, want %s", row, time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), got[0], want)
			}
		}
		f("joined", 0)
		time.Sleep(59 * time.Minute)
		f("joined", 1)
		time.Sleep(2 * time.Minute)
		f("late", 2)
		f("late", 0)
		time.Sleep(24 * time.Hour)
		h.restart(t)
		f("late", 2)
		time.Sleep(12 * time.Hour)
		f("unknown", 2)
		s := h.report(t, "churn").Streams[0]
		if s.Labels != 2 || s.Predictions != 3 || metric(t, &s, "accuracy").Value != 1 {
			t.Errorf("%+v", s)
		}
		if d := time.Duration(s.Delay.Max); d < 59*time.Minute || d > time.Hour {
			t.Errorf("%+v", s.Delay)
		}
	})
}

// TestMaxBytes: the oldest predictions go when the file has its max size.
func TestMaxBytes(t *testing.T) {
	dir := t.TempDir()
	const most = 16 << 20
	h := start(t, labels.Options{Dir: dir, MaxBytes: most})
	k := h.keeper(t, classifier())
	const requests, rows = 300, 100
	for i := range requests {
		for j := range 100 {
			predict(k, fmt.Sprintf("%d-%d", i, j), make([]float32, rows)...)
		}
		h.label(t, "churn", text(fmt.Sprintf("%d-0", i), "no")) // the writer takes what waits
	}
	info, err := os.Stat(filepath.Join(dir, "labels.db"))
	if err != nil {
		t.Fatal(err)
	}
	if size := info.Size(); size > 2*most || size < most/2 {
		t.Errorf("%d bytes, at most about %d are allowed", size, most)
	}
	if got := h.label(t, "churn", text("0-1", "no"), text("299-1", "no")); fmt.Sprint(got) != "[unknown joined]" {
		t.Error(got)
	}
	s := h.report(t, "churn").Streams[0]
	if s.Predictions+h.report(t, "churn").Kept.Dropped != requests*100*rows || s.Labels != requests+1 {
		t.Errorf("%+v", s)
	}
	t.Logf("%d bytes, %d predictions", info.Size(), s.Predictions)
}

// TestRepeatedIDs: labels join the last request of an id.
func TestRepeatedIDs(t *testing.T) {
	h := start(t, labels.Options{Dir: t.TempDir()})
	k := h.keeper(t, classifier())
	predict(k, "a", 0.9)
	h.label(t, "churn", text("a", "yes"))
	predict(k, "a", 0.1)
	if got := h.label(t, "churn", text("a", "yes")); got[0] != "joined" {
		t.Error(got)
	}
	r := h.report(t, "churn")
	if s := &r.Streams[0]; r.Kept.Repeated != 1 || s.Labels != 2 || metric(t, s, "accuracy").Value != 0.5 {
		t.Errorf("%+v", r)
	}
}

func TestAlias(t *testing.T) {
	h := start(t, labels.Options{Dir: t.TempDir()})
	k := h.keeper(t, regressor())
	k.Keep(&infer.Request{RequestID: "made-1", ID: "order/17", Arrived: time.Now()}, &infer.Response{Outputs: []infer.Tensor{
		{Name: "y", DType: infer.FP32, Shape: infer.Shape{1, 1}, Data: floats(1)},
	}}, "default")
	one := func(id string) labels.Row { return labels.Row{RequestID: id, Label: labels.NumberLabel(1)} }
	if got := h.label(t, "price", one("order/17"), one("made-1"), one("order/18")); fmt.Sprint(got) != "[joined duplicate unknown]" {
		t.Error(got)
	}
}

// TestUnread: an answer without the output is counted, and one without room too.
func TestUnread(t *testing.T) {
	h := prepare(labels.Options{Dir: t.TempDir()})
	k, err := h.Keeper(infer.Version{Model: "churn", Number: 1}, labels.KeepOptions{Model: classifier(), Sample: api.TotalWeight, MaxRows: 2, MaxBytes: 150})
	if err != nil {
		t.Fatal(err)
	}
	k.Keep(&infer.Request{RequestID: "a", Arrived: time.Now()}, &infer.Response{Outputs: []infer.Tensor{
		{Name: "label", DType: infer.Bytes, Shape: infer.Shape{1}, Data: infer.AppendElement(nil, "yes")},
	}}, "default")
	predict(k, "b", 0.1, 0.2, 0.3)
	predict(k, "c", make([]float32, 2)...)
	predict(k, "d", make([]float32, 2)...)
	h.run(t) // now, since a queue that is half full wakes the writer
	defer h.stop(t)
	h.label(t, "churn", text("b", "no"))
	if got, want := h.report(t, "churn").Kept, (api.KeptCounts{Kept: 4, Dropped: 2, Unread: 1, Cut: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestSegments: performance is also measured by segment, up to a max number of them.
func TestSegments(t *testing.T) {
	h := start(t, labels.Options{Dir: t.TempDir()})
	k := h.keeper(t, regressor())
	var rows []labels.Row
	for i := range 60 {
		for j := range 2 {
			id := fmt.Sprintf("%d-%d", i, j)
			k.Keep(&infer.Request{RequestID: id, Segment: fmt.Sprintf("s%02d", i), Arrived: time.Now()}, &infer.Response{Outputs: []infer.Tensor{
				{Name: "y", DType: infer.FP32, Shape: infer.Shape{1, 1}, Data: floats(float32(i))},
			}}, "default")
			rows = append(rows, labels.Row{RequestID: id, Label: labels.NumberLabel(0)})
		}
	}
	h.label(t, "price", rows...)
	list := h.report(t, "price").Streams
	if len(list) != 52 || list[0].Segment != "" || list[0].Labels != 120 || list[1].Segment != "other" || list[1].Labels != 20 {
		t.Fatalf("%d streams: %+v", len(list), list[:2])
	}
	near(t, "bias of s07", metric(t, &list[9], "bias").Value, 7)
}
