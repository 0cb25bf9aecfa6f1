package main

import (
	"os"
	"path/filepath"
	"testing"

	"sluice.io/sluice/internal/config"
)

// What is written is a repository of so many models and a configuration of it.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	text, err := write(dir, 3)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "models", "*", "*", "model.onnx"))
	if err != nil || len(files) != 4 {
		t.Errorf("%v, %v", files, err)
	}
	none := func(string) (string, bool) { return "", false }
	if _, err := config.Parse("test", []byte(text), none); err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
}

func TestBadNumbersOfModels(t *testing.T) {
	for _, models := range []string{"", "0", "-1", "x", "10;20"} {
		if err := run(t.Context(), "/nonexistent", models, 1, os.Stderr); err == nil {
			t.Errorf("%q was taken", models)
		}
	}
}
