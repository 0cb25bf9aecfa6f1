package app_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// demo makes a repository with the models that most tests use: "double" is twice
// its input "x", FP32 [N, 3], and "strings" is its input "x", BYTES [N].
func demo(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, "double", 1, scale(t, 2))
	g := onnxgen.New("strings")
	g.Output("y", infer.Bytes, g.Op("Identity", g.Input("x", infer.Bytes, "N")), "N")
	put(t, dir, "strings", 1, g.Bytes())
	return dir
}

// scale is a model whose output "y" is factor times its input "x", FP32 [N, 3].
func scale(t testing.TB, factor float32) []byte {
	t.Helper()
	g := onnxgen.New("scale")
	g.Output("y", infer.FP32, g.Op("Mul", g.Input("x", infer.FP32, "N", 3), g.Init(onnxgen.Float32s([]float32{factor}, 1))), "N", 3)
	return g.Bytes()
}

// put writes a version's model.onnx atomically.
func put(t testing.TB, dir, model string, version int64, file []byte) {
	t.Helper()
	folder := filepath.Join(dir, model, strconv.FormatInt(version, 10))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	temporary := filepath.Join(dir, ".new")
	if err := os.WriteFile(temporary, file, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temporary, filepath.Join(folder, "model.onnx")); err != nil {
		t.Fatal(err)
	}
}
