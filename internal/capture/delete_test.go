package capture_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/capture"
)

func manifestOf(t testing.TB, dir, gateway string) (m api.CaptureManifest) {
	t.Helper()
	if err := json.Unmarshal(read(t, dir, "model=credit", "_manifest-"+gateway+".json"), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// checkListed checks that the manifest of a gateway has all files as they are.
func checkListed(t testing.TB, dir, gateway string) {
	t.Helper()
	m := manifestOf(t, dir, gateway)
	if paths := files(t, dir); len(paths) != len(m.Files) {
		t.Errorf("%d files, %d are listed", len(paths), len(m.Files))
	}
	for _, f := range m.Files {
		data := read(t, dir, f.Path)
		file, err := capture.OpenFile(data)
		if err != nil {
			t.Fatal(err)
		}
		rows := int64(0)
		err = file.Requests(func(r *capture.Request) error {
			rows += int64(r.Rows)
			if r.Time.Before(f.First.Truncate(time.Microsecond)) || r.Time.After(f.Last) {
				t.Errorf("%s at %v is not in %+v", r.ID, r.Time, f)
			}
			return nil
		})
		if err != nil || rows != f.Rows || int64(len(data)) != f.Bytes || f.SHA256 != sumOf(data) || f.Kind != "requests" || f.Version == 0 || f.Day == "" {
			t.Errorf("%d rows, %v: %+v", rows, err, f)
		}
	}
}

func closed(t testing.TB, s *capture.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func ids(t testing.TB, dir string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, r := range requests(t, dir) {
		found[r.ID] = true
	}
	return found
}

func TestDelete(t *testing.T) {
	s, dir := credit(t)
	before := manifestOf(t, dir, "g1").Files
	other := options(t, dir) // of a gateway that shares the bucket
	other.Gateway = "g2"
	s2 := capture.New(other)
	f := func(id string, rows int64, files int) {
		t.Helper()
		done, err := s2.Delete(t.Context(), "credit", id)
		if diff := cmp.Diff(api.CaptureDeletion{Model: "credit", RequestID: id, Rows: rows, Files: files}, done); err != nil || diff != "" {
			t.Error(err, diff)
		}
		checkListed(t, dir, "g1")
	}
	f("unknown", 0, 0)
	f("v1-0", 2, 1)
	if diff := cmp.Diff(map[string]bool{"v1-1": true, "v2-0": true, "v2-1": true}, ids(t, dir)); diff != "" {
		t.Error(diff)
	}
	if now := manifestOf(t, dir, "g1").Files; now[0].Schema != before[0].Schema {
		t.Errorf("another schema: %+v", now[0])
	}
	f("v1-0", 0, 0)
	f("v1-1", 2, 1) // and the file is empty
	if n := len(files(t, dir)); n != 1 {
		t.Errorf("%d files", n)
	}
	closed(t, s2)

	// In memory.
	tap, err := s.Tap(tabular(1), "d", all())
	if err != nil {
		t.Fatal(err)
	}
	send(tap, "w", 3, 2)
	waiting := s.Waiting()
	if done, err := s.Delete(t.Context(), "credit", "w-1"); err != nil || done.Rows != 2 || done.Files != 0 || s.Waiting() != waiting*2/3 {
		t.Error(done, err, waiting, s.Waiting())
	}
	running(t, s)()
	if got := ids(t, dir); len(got) != 4 || got["w-1"] {
		t.Error(got)
	}
}

// A request with rows in many row groups and files is deleted from all, and files that cannot be read
// are counted.
func TestDeleteFromMany(t *testing.T) {
	dir := t.TempDir()
	o := options(t, dir)
	o.RotateSize = 4 << 10
	s := capture.New(o)
	tap, err := s.Tap(tabular(1), "d", all())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		send(tap, "a", 100, 1)
	}
	running(t, s)()
	paths := files(t, dir)
	if len(paths) < 3 {
		t.Fatal(paths)
	}
	done, err := s.Delete(t.Context(), "credit", "a-7")
	if err != nil || done.Rows != 3 || done.Files != 3 || done.Skipped != 0 {
		t.Error(done, err)
	}
	if got := ids(t, dir); len(got) != 99 || got["a-7"] {
		t.Error(len(got))
	}
	checkListed(t, dir, "g1")
	if err := os.WriteFile(paths[0], []byte("PAR1 cut off"), 0o600); err != nil {
		t.Fatal(err)
	}
	if done, err := s.Delete(t.Context(), "credit", "a-8"); err != nil || done.Skipped != 1 || s.Counts()[0].Damaged != 1 {
		t.Error(done, err)
	}
}

// After a crash between files and manifests, the next start corrects the manifests.
func TestAdopt(t *testing.T) {
	f := func(crash func(dir, manifest string) error) {
		t.Helper()
		s, dir := credit(t)
		if err := crash(dir, filepath.Join(dir, "model=credit", "_manifest-g1.json")); err != nil {
			t.Fatal(err)
		}
		closed(t, s)
		again := capture.New(options(t, dir))
		if _, err := again.Tap(tabular(1), "d", all()); err != nil {
			t.Fatal(err)
		}
		running(t, again)
		for fits := false; !fits; time.Sleep(time.Millisecond) { // until the first look
			got, err := again.Files(t.Context(), "credit", api.CaptureRange{})
			if err != nil {
				t.Fatal(err)
			}
			fits = len(got) == len(files(t, dir))
			for _, x := range got {
				info, err := os.Stat(filepath.Join(dir, x.Path))
				fits = fits && err == nil && info.Size() == x.Bytes
			}
		}
		checkListed(t, dir, "g1")
	}
	f(func(_, manifest string) error { return os.Remove(manifest) })
	f(func(_, manifest string) error { return os.WriteFile(manifest, []byte(`{"files":[`), 0o600) })
	f(func(dir, _ string) error { return os.Remove(files(t, dir)[0]) })
	f(func(dir, manifest string) error { // a deletion has replaced a file
		old := read(t, manifest)
		s := capture.New(options(t, dir))
		defer closed(t, s)
		if done, err := s.Delete(t.Context(), "credit", "v1-0"); err != nil || done.Files != 1 {
			return fmt.Errorf("%+v %w", done, err)
		}
		return os.WriteFile(manifest, old, 0o600)
	})
}
