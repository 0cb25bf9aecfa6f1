package registry_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// writable returns a repository with its writer.
func writable(t testing.TB, dir string) (*registry.Repository, *registry.Writer) {
	t.Helper()
	repo, err := registry.OpenRepository(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := registry.NewWriter(repo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(w.Close(), repo.Close()); err != nil {
			t.Error(err)
		}
	})
	return repo, w
}

// stage makes a staging that takes at most a MiB.
func stage(t testing.TB, w *registry.Writer) *registry.Staging {
	t.Helper()
	left := int64(1 << 20)
	s, err := w.Stage(func(n int64) error {
		if left -= n; left < 0 {
			return infer.Errorf(infer.TooLarge, "too large")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func packed(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := strings.Repeat("x", int(h.Size))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestUnpackRefuses(t *testing.T) {
	repo := t.TempDir()
	_, w := writable(t, repo)
	model := tar.Header{Name: "model.onnx", Size: 5}
	bomb := zipped(t, make([]byte, 2<<20))
	whole := packed(t, model)
	for name, c := range map[string]struct {
		body []byte
		code infer.Code
		text string
	}{
		"nothing":           {nil, infer.Invalid, "empty"},
		"a symbolic link":   {packed(t, tar.Header{Name: "model.onnx", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}), infer.Invalid, "a link"},
		"a hard link":       {packed(t, model, tar.Header{Name: "b", Typeflag: tar.TypeLink, Linkname: "model.onnx"}), infer.Invalid, "a link"},
		"a device":          {packed(t, tar.Header{Name: "model.onnx", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 5}), infer.Invalid, "a device"},
		"a pipe":            {packed(t, tar.Header{Name: "model.onnx", Typeflag: tar.TypeFifo}), infer.Invalid, "a pipe"},
		"a path upwards":    {packed(t, tar.Header{Name: "../model.onnx", Size: 1}), infer.Invalid, "'..'"},
		"a path up and in":  {packed(t, tar.Header{Name: "a/../../model.onnx", Size: 1}), infer.Invalid, "'..'"},
		"an absolute path":  {packed(t, tar.Header{Name: "/model.onnx", Size: 1}), infer.Invalid, "absolute"},
		"a backslash":       {packed(t, tar.Header{Name: `a\b`, Size: 1}), infer.Invalid, "not a valid name"},
		"a duplicate":       {packed(t, model, model), infer.Invalid, "twice"},
		"the same, hidden":  {packed(t, model, tar.Header{Name: "./a/.//../model.onnx"}), infer.Invalid, "'..'"},
		"a file and folder": {packed(t, tar.Header{Name: "a", Size: 1}, tar.Header{Name: "a/b", Size: 1}), infer.Invalid, "twice"},
		"two records":       {packed(t, tar.Header{Name: "sluice.json", Size: 1}, tar.Header{Name: "./sluice.json", Size: 1}), infer.Invalid, "twice"},
		"a long name":       {packed(t, tar.Header{Name: strings.Repeat("n", 600), Size: 1}), infer.Invalid, "longer"},
		"a long part":       {packed(t, tar.Header{Name: strings.Repeat("n", 300), Size: 1}), infer.Invalid, "too long"},
		"too much":          {packed(t, tar.Header{Name: "model.onnx", Size: 2 << 20}), infer.TooLarge, "too large"},
		"a bomb":            {bomb, infer.TooLarge, "too large"},
		"cut off":           {whole[:700], infer.Invalid, "cut off"},
		"cut off in a file": {whole[:514], infer.Invalid, "cut off"},
		"gzip, cut off":     {zipped(t, whole)[:20], infer.Invalid, "gzip"},
		"gzip, damaged":     {append(zipped(t, whole)[:30], 1, 2, 3), infer.Invalid, "gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			s := stage(t, w)
			_, err := s.Unpack(bytes.NewReader(c.body))
			if infer.CodeOf(err) != c.code || !strings.Contains(infer.Message(err), c.text) || strings.Contains(infer.Message(err), repo) {
				t.Errorf("got %v", err)
			}
			if err := s.Discard(); err != nil {
				t.Error(err)
			}
			if left, _ := filepath.Glob(filepath.Join(repo, ".sluice/staging/*")); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		})
	}
}

// A body in any of its forms becomes a version with the same files.
func TestPublish(t *testing.T) {
	repo := t.TempDir()
	r, w := writable(t, repo)
	plain := packed(t, tar.Header{Name: "./", Typeflag: tar.TypeDir}, tar.Header{Name: "./model.onnx", Size: 9}, tar.Header{Name: "data/w.bin", Size: 3})
	for number, body := range [][]byte{1: []byte("xxxxxxxxx"), 2: plain, 3: zipped(t, plain)} {
		if number == 0 {
			continue
		}
		s := stage(t, w)
		if _, err := s.Unpack(bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		digest, err := s.Files().Digest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		rec := api.VersionRecord{Model: "m", Version: int64(number), Digest: digest}
		if err := errors.Join(s.Record(rec), s.Publish("m", int64(number)), s.Discard()); err != nil {
			t.Fatal(err)
		}
	}
	found, ok := r.ScanModel("m")
	if !ok || len(found.Versions) != 3 || !found.Versions[2].Registered {
		t.Fatalf("found %+v", found)
	}
	stored, err := r.Stored("")
	if err != nil || len(stored) != 3 || stored[0].Record.Digest != stored[2].Record.Digest {
		t.Errorf("stored %+v, %v", stored, err)
	}
	if text, err := os.ReadFile(filepath.Join(repo, "m/3/data/w.bin")); err != nil || string(text) != "xxx" {
		t.Errorf("%q %v", text, err)
	}
	s := stage(t, w)
	if err := s.Write("model.onnx", strings.NewReader("y"), 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish("m", 2); infer.CodeOf(err) != infer.Conflict {
		t.Errorf("an existing version: %v", err)
	}
	if err := s.Discard(); err != nil {
		t.Error(err)
	}
	moves(t, r, w)
}

func moves(t *testing.T, r *registry.Repository, w *registry.Writer) {
	t.Helper()
	v := infer.Version{Model: "m", Number: 2}
	if err := w.Archive(v); err != nil {
		t.Fatal(err)
	}
	if found, _ := r.ScanModel("m"); len(found.Versions) != 2 {
		t.Errorf("with an archived version: %+v", found)
	}
	s := stage(t, w)
	if err := s.Write("model.onnx", strings.NewReader("y"), 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish("m", 2); infer.CodeOf(err) != infer.Conflict {
		t.Errorf("the number of an archived version: %v", err)
	}
	if err := errors.Join(s.Discard(), w.Restore(v), w.Delete(v, false), w.Archive(infer.Version{Model: "m", Number: 1}), w.Archive(infer.Version{Model: "m", Number: 3})); err != nil {
		t.Fatal(err)
	}
	if listing, err := r.Scan(); err != nil || len(listing.Models) > 0 {
		t.Errorf("a model without versions is left: %+v %v", listing, err)
	}
	if err := errors.Join(w.Restore(infer.Version{Model: "m", Number: 3}), w.Delete(infer.Version{Model: "m", Number: 1}, true)); err != nil {
		t.Fatal(err)
	}
	stored, err := r.Stored("m")
	if err != nil || len(stored) != 1 || stored[0].Number != 3 || stored[0].Archived {
		t.Errorf("stored %+v, %v", stored, err)
	}
}

// A second process cannot write, and one that ended leaves nothing behind.
func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	_, first := writable(t, dir)
	stage(t, first) // as after a crash: neither published nor discarded
	repo, err := registry.OpenRepository(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close() //nolint:errcheck // only read
	second, err := registry.NewWriter(repo)
	if infer.CodeOf(err) != infer.Conflict {
		t.Fatalf("a second writer: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := second.Stage(func(int64) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".sluice/staging/*")); len(left) != 1 {
		t.Errorf("%v is left", left)
	}
	if err := errors.Join(s.Discard(), second.Close()); err != nil {
		t.Error(err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte("model"))
	whole := packed(f, tar.Header{Name: "model.onnx", Size: 5}, tar.Header{Name: "sluice.json", Size: 3})
	f.Add(whole)
	f.Add(zipped(f, whole))
	f.Add(packed(f, tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "/"}))
	dir := f.TempDir()
	_, w := writable(f, dir)
	f.Fuzz(func(t *testing.T, body []byte) {
		s := stage(t, w)
		if _, err := s.Unpack(bytes.NewReader(body)); err != nil && infer.CodeOf(err) != infer.Invalid && infer.CodeOf(err) != infer.TooLarge {
			t.Errorf("%v", err)
		}
		if err := s.Discard(); err != nil {
			t.Error(err)
		}
	})
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add([]byte(`{"format":1,"model":"m","version":3}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if rec, err := registry.DecodeRecord(text); (err == nil) != (rec != nil) {
			t.Errorf("%v %v", rec, err)
		}
	})
}
