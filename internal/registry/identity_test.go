package registry_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// hashed returns the digest of files as the first releases computed it: over the path and
// the text of each, with their lengths before them.
func hashed(pathsAndTexts ...string) string {
	h := sha256.New()
	for _, text := range pathsAndTexts {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text))))
		h.Write([]byte(text))
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

func former(t *testing.T, r *registry.Repository, v infer.Version) string {
	t.Helper()
	files, err := r.Open(v)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close() //nolint:errcheck // only read
	d, err := files.FormerDigest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDigest: the digest is over the model, its external data, and its labels. It equals the
// digest of earlier releases unless the folder has other files.
func TestDigest(t *testing.T) {
	const model = "abc\nuses data/w.bin\n"
	r, dir := repository(t, map[string]string{"m/1/model.onnx": model, "m/1/data/w.bin": "w"})
	v := infer.Version{Model: "m", Number: 1}
	f := func(name, text string, want, wantFormer string) {
		t.Helper()
		if text != "" {
			write(t, filepath.Join(dir, "m/1", name), text)
		}
		if got := digest(t, r, v); got != want {
			t.Errorf("with %s: the digest is %s, want %s", name, got, want)
		}
		if got := former(t, r, v); got != wantFormer {
			t.Errorf("with %s: the former digest is %s, want %s", name, got, wantFormer)
		}
	}
	bare := hashed("data/w.bin", "w", "model.onnx", model)
	f("", "", bare, bare)
	labelled := hashed("data/w.bin", "w", "labels.txt", "cat\ndog\n", "model.onnx", model)
	f("labels.txt", "cat\ndog\n", labelled, labelled)
	f("profile.json", "{}", labelled, hashed("data/w.bin", "w", "labels.txt", "cat\ndog\n", "model.onnx", model, "profile.json", "{}"))
	f("data/notes", "n", labelled, hashed("data/notes", "n", "data/w.bin", "w", "labels.txt", "cat\ndog\n", "model.onnx", model, "profile.json", "{}"))
	changed := hashed("data/w.bin", "W", "labels.txt", "cat\ndog\n", "model.onnx", model)
	f("data/w.bin", "W", changed, hashed("data/notes", "n", "data/w.bin", "W", "labels.txt", "cat\ndog\n", "model.onnx", model, "profile.json", "{}"))
	if err := os.RemoveAll(filepath.Join(dir, "m/1/data")); err != nil { // the load reports the missing data
		t.Fatal(err)
	}
	f("no data", "", hashed("labels.txt", "cat\ndog\n", "model.onnx", model), hashed("labels.txt", "cat\ndog\n", "model.onnx", model, "profile.json", "{}"))
}

// TestFingerprint: the fingerprint changes with the files of a version and with no others.
// Profile changes with the profile alone.
func TestFingerprint(t *testing.T) {
	r, dir := repository(t, map[string]string{"m/1/model.onnx": "abc\nuses w.bin\n", "m/1/readme.md": "r"})
	look := func() registry.FoundVersion {
		t.Helper()
		listing, err := r.Scan()
		if err != nil || len(listing.Models) != 1 || listing.Models[0].Versions[0].Err != nil {
			t.Fatalf("%+v, %v", listing, err)
		}
		return listing.Models[0].Versions[0]
	}
	last := look()
	f := func(name, text string, version, profile bool) {
		t.Helper()
		if text == "" {
			if err := os.Remove(filepath.Join(dir, "m/1", name)); err != nil {
				t.Fatal(err)
			}
		} else {
			write(t, filepath.Join(dir, "m/1", name), text)
		}
		now := look()
		if (now.Fingerprint != last.Fingerprint) != version || (now.Profile != last.Profile) != profile {
			t.Errorf("%s: version %v, profile %v; want %v and %v", name, now.Fingerprint != last.Fingerprint, now.Profile != last.Profile, version, profile)
		}
		last = now
	}
	f("readme.md", "changed", false, false)
	f("notes/new", "n", false, false)
	f("w.bin", "weights", true, false)
	f("w.bin", "more weights", true, false)
	f("labels.txt", "cat", true, false)
	f("labels.txt", "", true, false)
	f("profile.json", "{}", false, true)
	f("profile.json", "{ }", false, true)
	f("profile.json", "", false, true)
	f("other.bin", "not named", false, false)
	f("model.onnx", "abcd\nuses other.bin\n", true, false)
	f("other.bin", "named now", true, false)
	f("w.bin", "named no more", false, false)
	if want := int64(len("abcd\nuses other.bin\n") + len("named now")); last.Size != want {
		t.Errorf("%d bytes, want %d", last.Size, want)
	}
	if err := os.RemoveAll(filepath.Join(dir, "m/1/model.onnx")); err != nil {
		t.Fatal(err)
	}
	if m, _ := r.ScanModel("m"); m.Versions[0].Err == nil || !strings.Contains(m.Versions[0].Err.Error(), "no model.onnx") {
		t.Errorf("%+v", m)
	}
}
