package labels_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
)

// TestUnusableFiles: labels are refused with a reason, and nothing else is affected.
func TestUnusableFiles(t *testing.T) {
	f := func(want string, prepare func(path string) error) {
		t.Helper()
		dir := t.TempDir()
		if err := prepare(filepath.Join(dir, "labels.db")); err != nil {
			t.Fatal(err)
		}
		h := start(t, labels.Options{Dir: dir})
		k := h.keeper(t, classifier())
		predict(k, "a", 0.9)
		j := h.Join("churn", labels.JoinOptions{Sample: api.TotalWeight, Watermark: time.Hour})
		_, _ = j.Add(t.Context(), text("a", "yes"))
		if _, err := j.Flush(t.Context()); infer.CodeOf(err) != infer.Unavailable || infer.Message(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if _, err := h.Report("churn", nil); infer.Message(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	const foreign = "labels.db in the data directory is damaged, or not a store of labels of this version; move it away and restart the gateway"
	f(foreign, func(path string) error {
		return os.WriteFile(path, []byte("something else, longer than a page header of bbolt is. something else"), 0o600)
	})
	f(foreign, func(path string) error {
		b := make([]byte, 1<<16)
		return os.WriteFile(path, b, 0o600)
	})
	f("labels.db cannot be opened; the gateway's user must be able to read and write the data directory, and the disk must have room", func(path string) error { return os.Mkdir(path, 0o700) })
}

func TestNoDirectory(t *testing.T) {
	h := start(t, labels.Options{})
	j := h.Join("churn", labels.JoinOptions{Watermark: time.Hour})
	_, _ = j.Add(t.Context(), text("a", "yes"))
	if _, err := j.Flush(t.Context()); infer.CodeOf(err) != infer.Unavailable {
		t.Error(err)
	}
	if r, err := h.Report("churn", nil); err != nil || len(r.Streams) != 0 {
		t.Errorf("%+v %v", r, err)
	}
	if list, err := h.Models(); err != nil || len(list) != 0 {
		t.Errorf("%v %v", list, err)
	}
}
