package offline_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/offline"
	"sluice.io/sluice/internal/testing/onnxgen"
)

func identity() []byte {
	g := onnxgen.New("identity")
	g.Output("y", infer.FP32, g.Op("Identity", g.Input("x", infer.FP32, "N", 2)), "N", 2)
	return g.Bytes()
}

func place(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestStageModel(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"flowers.onnx", "flat/model.onnx", "iris/1/model.onnx", "iris/10/model.onnx", "iris/9/model.onnx"} {
		place(t, filepath.Join(dir, name), identity())
	}
	place(t, filepath.Join(dir, "iris/11/notes.txt"), nil)
	f := func(path, model string, version int64) {
		t.Helper()
		s, err := offline.StageModel(filepath.Join(dir, path))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		if s.Version != (infer.Version{Model: model, Number: version}) {
			t.Errorf("%s is %v, want %s/%d", path, s.Version, model, version)
		}
		if found, err := filepath.Glob(filepath.Join(s.Repository, "*", "*", "*")); err != nil || len(found) != 1 {
			t.Errorf("%s: the repository holds %v", path, found)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.Repository); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the repository is left behind: %v", err)
		}
	}
	f("flowers.onnx", "flowers", 1)
	f("flat", "flat", 1)
	f("flat/model.onnx", "flat", 1)
	f("iris", "iris", 10)
	f("iris/9", "iris", 9)
	f("iris/9/model.onnx", "iris", 9)
}

// TestStageModelTakesSideFiles: labels are copied, and the profile beside a model.onnx. Beside a
// file with another name it may belong to another model.
func TestStageModelTakesSideFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"iris/2/model.onnx", "flowers.onnx"} {
		place(t, filepath.Join(dir, name), identity())
	}
	for _, name := range []string{"labels.txt", "profile.json", "notes.md"} {
		place(t, filepath.Join(dir, "iris/2", name), []byte(name))
		place(t, filepath.Join(dir, name), []byte(name))
	}
	f := func(path string, want ...string) {
		t.Helper()
		s, err := offline.StageModel(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		found, err := filepath.Glob(filepath.Join(s.Repository, "*", "*", "*"))
		for i := range found {
			found[i] = filepath.Base(found[i])
		}
		if err != nil || strings.Join(found, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %v, want %v", path, found, want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	f("iris/2/model.onnx", "labels.txt", "model.onnx", "profile.json")
	f("iris", "labels.txt", "model.onnx", "profile.json")
	f("flowers.onnx", "labels.txt", "model.onnx")
}

func TestStageModelRefuses(t *testing.T) {
	dir := t.TempDir()
	place(t, filepath.Join(dir, "models/iris/1/model.onnx"), identity())
	place(t, filepath.Join(dir, "notes.txt"), []byte("notes"))
	place(t, filepath.Join(dir, " m.onnx"), identity())
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	for path, part := range map[string]string{
		"none": "no such file", "models": "--model-repository", "notes.txt": "not an ONNX model", " m.onnx": "not a valid model name",
	} {
		if _, err := offline.StageModel(filepath.Join(dir, path)); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v, want %q", path, err, part)
		}
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// External data is copied, unless it is a link to another place.
func TestStageModelTakesExternalData(t *testing.T) {
	dir := t.TempDir()
	g := onnxgen.New("scale")
	weight := g.External(onnxgen.Float32s([]float32{2}, 1), "data/w.bin")
	g.Output("y", infer.FP32, g.Op("Mul", g.Input("x", infer.FP32, "N"), weight), "N")
	place(t, filepath.Join(dir, "m.onnx"), g.Bytes())
	place(t, filepath.Join(dir, "data/w.bin"), []byte{0, 0, 0, 64})
	s, err := offline.StageModel(filepath.Join(dir, "m.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a folder of the test
	if b, err := os.ReadFile(filepath.Join(s.Repository, "m/1/data/w.bin")); err != nil || len(b) != 4 {
		t.Errorf("%v, %v", b, err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	place(t, secret, []byte("secret"))
	if err := errors.Join(os.Remove(filepath.Join(dir, "data/w.bin")), os.Symlink(secret, filepath.Join(dir, "data/w.bin"))); err != nil {
		t.Fatal(err)
	}
	if _, err := offline.StageModel(filepath.Join(dir, "m.onnx")); err == nil {
		t.Error("a link that leads out was followed")
	}
}

func TestStageModelTakesLabels(t *testing.T) {
	dir := t.TempDir()
	place(t, filepath.Join(dir, "flowers.onnx"), identity())
	place(t, filepath.Join(dir, "labels.txt"), []byte("rose\ntulip\n"))
	s, err := offline.StageModel(filepath.Join(dir, "flowers.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(s.Repository, "flowers", "1", "labels.txt"))
	if err := errors.Join(err, s.Close()); err != nil || string(text) != "rose\ntulip\n" {
		t.Errorf("%q, %v", text, err)
	}
}
