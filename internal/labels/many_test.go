package labels_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"sluice.io/sluice/internal/labels"
)

// thousands is how many thousand labels TestManyLabels sends: -labels 1000 is the long form.
var thousands = flag.Int("labels", 20, "thousands of labels that TestManyLabels sends")

// TestManyLabels sends labels in one call. Memory must not grow with them.
func TestManyLabels(t *testing.T) {
	dir := t.TempDir()
	h := start(t, labels.Options{Dir: dir, MaxBytes: 1 << 30})
	k := h.keeper(t, classifier())
	j := h.Join("churn", labels.JoinOptions{Sample: 10_000, Watermark: time.Hour})
	var most uint64
	joined := 0
	count := func(list []labels.Result, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			if list[i].Status != "joined" {
				t.Fatalf("%+v", list[i])
			}
			joined++
		}
	}
	began := time.Now()
	for i := range *thousands {
		for n := range 1000 {
			predict(k, fmt.Sprintf("%d-%d", i, n), float32(n)/1000)
		}
		for n := range 1000 {
			count(j.Add(t.Context(), text(fmt.Sprintf("%d-%d", i, n), "yes")))
		}
		if i%100 == 10 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
		}
	}
	count(j.Flush(t.Context()))
	if joined != *thousands*1000 {
		t.Errorf("%d joined", joined)
	}
	const allowed = 64 << 20
	if most > allowed {
		t.Errorf("%d bytes of memory, at most %d are allowed", most, allowed)
	}
	info, err := os.Stat(filepath.Join(dir, "labels.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d labels in %v, %d bytes on disk for each prediction with its label, %d MiB of memory", joined, time.Since(began), info.Size()/int64(joined), most>>20)
}
