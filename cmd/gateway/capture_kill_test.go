//go:build unix

package main

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/capture"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// TestKillDuringCapture kills the gateway while it writes captured requests and labels. Each file must
// be whole, each manifest list only what is there, and the next start list the rest.
func TestKillDuringCapture(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	if err := onnxgen.Scale(1).As("model").Write(dir, 1); err != nil {
		t.Fatal(err)
	}
	bucket := filepath.Join(data, "capture")
	k := killable(t, dir, data, "capture: {rotate_age: 100ms, rotate_size: 4KiB}\ndefaults: {instances: 1, warmup: false, labels: {sample: 100%}, capture: {sample: 100%}}\n")
	senders := []*labeller{{name: "a"}, {name: "b"}, {name: "c"}}
	rounds, before := max(*kills/3, 3), map[string]int64{}
	for i := range rounds + 1 {
		k.start(t)
		k.awaitListed(t, before)
		if i == rounds || t.Failed() {
			break
		}
		var wg sync.WaitGroup
		for _, s := range senders {
			wg.Go(func() { k.label(t, s) })
		}
		time.Sleep(time.Duration(150+i*37%200) * time.Millisecond) // the test varies this time
		k.stop(t)
		wg.Wait()
		now := capturedFiles(t, bucket)
		for path, size := range before {
			if now[path] != size {
				t.Errorf("%s had %d bytes, and has %d", path, size, now[path])
			}
		}
		checkManifest(t, bucket, now)
		before = now
	}
	k.stop(t)
	if len(before) == 0 {
		t.Error("nothing was captured")
	}
	t.Logf("%d files", len(before))
}

// capturedFiles returns the sizes of the Parquet files of a bucket by their paths in it. Each must be
// whole: those of requests are read.
func capturedFiles(t *testing.T, bucket string) map[string]int64 {
	t.Helper()
	sizes := map[string]int64{}
	err := filepath.WalkDir(bucket, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".parquet") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(bucket, path)
		if err != nil {
			return err
		}
		sizes[filepath.ToSlash(name)] = int64(len(data))
		if strings.HasPrefix(name, "labels") { // an export reads them
			return nil
		}
		f, err := capture.OpenFile(data)
		if err != nil {
			return err
		}
		return f.Requests(func(*capture.Request) error { return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	return sizes
}

// checkManifest checks that a manifest lists files as they are. The last one may be missing.
func checkManifest(t *testing.T, bucket string, sizes map[string]int64) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(bucket, "model=model", "_manifest-*.json"))
	if err != nil || len(paths) > 1 {
		t.Fatal(err, paths)
	}
	for _, path := range paths {
		var doc api.CaptureManifest
		data, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(data, &doc)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range doc.Files {
			if size, found := sizes[f.Path]; !found || size != f.Bytes {
				t.Errorf("%+v is listed, %d bytes are there", f, size)
			}
		}
		if missing := len(sizes) - len(doc.Files); missing > 1 {
			t.Errorf("%d files are not listed", missing)
		}
	}
}

// awaitListed waits until the gateway lists files, and reads all of them.
func (k *killed) awaitListed(t *testing.T, sizes map[string]int64) {
	t.Helper()
	if len(sizes) == 0 {
		return
	}
	listed := map[string]int64{}
	for range 3000 {
		var files []api.CaptureFile
		if err := k.call(http.MethodGet, k.admin+"/api/v1/capture/model", nil, &files); err != nil {
			t.Fatal(err)
		}
		clear(listed)
		for _, f := range files {
			listed[f.Path] = f.Bytes
		}
		if len(listed) == len(sizes) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for path, size := range sizes {
		if listed[path] != size {
			t.Errorf("%s has %d bytes, listed are %d", path, size, listed[path])
		}
	}
	got := command(t, "", []string{"capture", "export", "model", "--labels", "--admin", k.admin})
	if got.code != exitOK { // it would name a file that is not whole
		t.Errorf("%d %s", got.code, got.errOut)
	}
}
