//go:build gs || azblob

package capture_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/capture"
)

// leftover are the goroutines that other packages leave: the SDKs of both stores keep idle connections.
func leftover() []goleak.Option {
	return []goleak.Option{goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop")}
}

// TestStores captures to a store of objects, reads it back, deletes a request by its id, and finds all of
// it again after a restart. scripts/stores-check.sh starts the stores and sets the URLs of their buckets.
func TestStores(t *testing.T) {
	for _, name := range []string{"GS", "AZBLOB"} {
		url := os.Getenv("SLUICE_TEST_" + name)
		if url == "" {
			continue
		}
		t.Run(name, func(t *testing.T) { testStore(t, url) })
	}
}

func testStore(t *testing.T, url string) {
	t.Helper()
	if err := capture.CheckURL(url); err != nil {
		t.Fatal(err)
	}
	o := options(t, "")
	o.Open = func(ctx context.Context) (*capture.Bucket, error) {
		return capture.OpenBucket(ctx, url, "traffic/of tests")
	}
	s := capture.New(o)
	for version := range int64(2) {
		tap, err := s.Tap(tabular(version+1), "d", all())
		if err != nil {
			t.Fatal(err)
		}
		send(tap, []string{"old", "new"}[version], 3, 2)
	}
	s.Label("credit", truth("old-1", 1, "good", 1))
	running(t, s)()
	check := func(s *capture.Store, files, rows int, absent string) {
		t.Helper()
		list, err := s.Files(t.Context(), "credit", api.CaptureRange{})
		if err != nil || len(list) != files {
			t.Fatalf("%d files, want %d: %v", len(list), files, err)
		}
		var out bytes.Buffer
		if _, err := s.Export(t.Context(), "credit", api.CaptureRead{Format: "csv"}, &out); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "\n") - 1; n != rows || absent != "" && strings.Contains(out.String(), absent) {
			t.Errorf("%d rows, want %d without %q:\n%s", n, rows, absent, out.String())
		}
	}
	check(s, 3, 12, "")
	done, err := s.Delete(t.Context(), "credit", "old-1")
	if err != nil || done.Rows != 2 || done.Labels != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	check(s, 2, 10, "old-1") // the file of labels had no other
	closed(t, s)

	again := capture.New(o) // as after a restart
	running(t, again)()
	check(again, 2, 10, "old-1")
	for _, id := range []string{"old-0", "old-2", "new-0", "new-1", "new-2"} {
		if _, err := again.Delete(t.Context(), "credit", id); err != nil {
			t.Error(err)
		}
	}
	if list, err := again.Files(t.Context(), "credit", api.CaptureRange{}); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	closed(t, again)
}
