package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestModelsDigest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "iris", "1")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "models", "iris", "1"))); err != nil {
		t.Fatal(err)
	}
	bare := command(t, "", []string{"models", "digest", dir})
	if bare.code != exitOK || !strings.HasPrefix(bare.out, "Digest:") || strings.Contains(bare.out, "Former") {
		t.Fatalf("%+v", bare)
	}
	if err := os.WriteFile(filepath.Join(dir, "profile.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	both := command(t, "", []string{"models", "digest", dir})
	digest := strings.Fields(bare.out)[1]
	if both.code != exitOK || !strings.Contains(both.out, digest) || !strings.Contains(both.out, "Former digest:  sha256:") || strings.Count(both.out, digest) != 1 {
		t.Errorf("%+v", both)
	}
	if r := command(t, "", []string{"models", "digest", t.TempDir()}); r.code != exitFailed || !strings.Contains(r.errOut, "has no model.onnx") {
		t.Errorf("%+v", r)
	}
	if r := command(t, "", []string{"models", "digest"}); r.code != exitUsage {
		t.Errorf("%+v", r)
	}
}
