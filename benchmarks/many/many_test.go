package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is written is a repository of so many models and a configuration of it.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	config, err := write(dir, 3, "127.0.0.1:1", "127.0.0.1:2")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "models", "*", "*", "model.onnx"))
	if err != nil || len(files) != 4 {
		t.Errorf("%v, %v", files, err)
	}
	if text, err := os.ReadFile(config); err != nil || !strings.Contains(string(text), "127.0.0.1:2") {
		t.Errorf("%s, %v", text, err)
	}
}

func TestBadNumbersOfModels(t *testing.T) {
	for _, models := range []string{"", "0", "-1", "x", "10;20"} {
		if err := run(t.Context(), "/nonexistent", models, 1, os.Stderr); err == nil {
			t.Errorf("%q was taken", models)
		}
	}
}
