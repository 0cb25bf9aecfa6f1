//go:build !race

package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"sluice.io/sluice/api"
)

// TestMemoryReturns loads and unloads a model a hundred times and compares the
// process's resident memory without garbage. The race detector keeps memory of its own.
func TestMemoryReturns(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	g := start(t, filepath.Join("..", "..", "models"), "repository.control: explicit")
	cycle := func() {
		g.must(t, http.MethodPost, g.url+"/v2/repository/models/breast_cancer/load", "")
		g.must(t, http.MethodPost, g.url+"/v2/repository/models/breast_cancer/unload", "")
		eventually(t, func() bool { return g.models(t)["breast_cancer/1"].State == api.StateUnavailable })
	}
	for range 20 {
		cycle()
	}
	before := resident(t)
	for range 100 {
		cycle()
	}
	after := resident(t)
	t.Logf("resident memory: %d MiB before, %d MiB after 100 cycles", before>>20, after>>20)
	if after > before+24<<20 {
		t.Errorf("resident memory grew from %d MiB to %d MiB", before>>20, after>>20)
	}
}

func resident(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc here")
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
