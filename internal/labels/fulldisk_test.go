//go:build unix

package labels_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
	"sluice.io/sluice/internal/testing/fulldisk"
)

// TestFullDisk: labels are refused while the file cannot grow, predictions are dropped and counted,
// and nothing that was answered is lost.
func TestFullDisk(t *testing.T) {
	if !fulldisk.Alone(t) {
		return
	}
	dir := t.TempDir()
	h := start(t, labels.Options{Dir: dir})
	k := h.keeper(t, classifier())
	predict(k, "before", 0.9)
	h.label(t, "churn", text("before", "yes"))
	info, err := os.Stat(filepath.Join(dir, "labels.db"))
	if err != nil {
		t.Fatal(err)
	}
	j := h.Join("churn", labels.JoinOptions{Sample: api.TotalWeight, Watermark: time.Hour})
	refused := false
	var taken []labels.Row
	fulldisk.Limited(t, info.Size(), func() {
		for i := 0; i < 1000 && !refused; i++ {
			id := fmt.Sprintf("%0100d", i)
			predict(k, id, make([]float32, 100)...)
			r := text(id, "no")
			if _, err := j.Add(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			_, err := j.Flush(t.Context())
			switch {
			case err == nil:
				taken = append(taken, r)
			case infer.CodeOf(err) != infer.Unavailable || infer.Message(err) != "labels cannot be written; the disk may be full":
				t.Fatal(err)
			default:
				refused = true
			}
		}
	})
	if !refused {
		t.Fatal("the file was never full")
	}
	if kept := h.report(t, "churn").Kept; kept.Dropped == 0 {
		t.Errorf("%+v", kept)
	}
	check := func() {
		t.Helper()
		for i, got := range h.label(t, "churn", append(taken, text("before", "yes"))...) {
			if got != "duplicate" {
				t.Errorf("label %d of %d: %s", i, len(taken)+1, got)
			}
		}
		if s := h.report(t, "churn").Streams[0]; int(s.Labels) != len(taken)+1 {
			t.Errorf("%d labels: %+v", len(taken)+1, s)
		}
	}
	check()
	predict(k, "after", 0.9)
	if got := h.label(t, "churn", text("after", "yes")); got[0] != "joined" {
		t.Error(got)
	}
	taken = append(taken, text("after", "yes"))
	h.restart(t)
	check()
}
