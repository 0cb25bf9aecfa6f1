package onnxgen

import (
	"os"
	"path/filepath"
	"strconv"
)

// Write writes the model to <repository>/<name>/<version>/model.onnx and its external data
// beside it, and makes the folders that are missing.
func (g *Graph) Write(repository string, version int64) error {
	dir := filepath.Join(repository, g.name, strconv.FormatInt(version, 10))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for location, data := range g.files {
		if err := os.WriteFile(filepath.Join(dir, location), data, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "model.onnx"), g.Bytes(), 0o644)
}
