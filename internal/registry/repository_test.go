package registry_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// repository makes a folder with files. A name that ends in "/" is a folder.
func repository(t *testing.T, files map[string]string) (*registry.Repository, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	r, err := registry.OpenRepository(dir, uses)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r, dir
}

// uses reads a text as a model that names a file in each line "uses FILE".
func uses(root *os.Root, model string) ([]string, error) {
	text, err := root.ReadFile(model)
	if err != nil {
		return nil, err
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "uses "); ok {
			list = append(list, name)
		}
	}
	return list, nil
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func scan(t *testing.T, r *registry.Repository) map[string][]int64 {
	t.Helper()
	found, err := r.Scan()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]int64{}
	for _, m := range found.Models {
		for _, v := range m.Versions {
			got[m.Name] = append(got[m.Name], v.Number)
		}
	}
	return got
}

func TestScanFindsIntegerVersionsOnly(t *testing.T) {
	r, _ := repository(t, map[string]string{
		"iris/1/model.onnx": "a", "iris/10/model.onnx": "b", "iris/2/model.onnx": "c",
		"iris/01/model.onnx": "x", "iris/0/model.onnx": "x", "iris/-1/model.onnx": "x", "iris/v3/model.onnx": "x",
		"iris/99999999999999999999/model.onnx": "x",
		"notes/readme.txt":                     "x", "top.txt": "x", " blank/1/model.onnx": "x", ".../1/model.onnx": "x",
	})
	want := map[string][]int64{"iris": {1, 2, 10}, "...": {1}}
	if diff := cmp.Diff(want, scan(t, r)); diff != "" {
		t.Error(diff)
	}
}

func TestScanSaysWhatIsWrong(t *testing.T) {
	r, dir := repository(t, map[string]string{"empty/1/readme": "x", "leads/1/other": "x", "m/1/model.onnx": "x", "m/config.pbtxt": ""})
	outside := filepath.Join(t.TempDir(), "secret.onnx")
	write(t, outside, "secret")
	if err := os.Symlink(outside, filepath.Join(dir, "leads/1/model.onnx")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "m/2")); err != nil {
		t.Fatal(err)
	}
	found, err := r.Scan()
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{}
	for _, m := range found.Models {
		for _, v := range m.Versions {
			if v.Err != nil {
				reasons[m.Name] += infer.Message(v.Err)
			}
		}
		if m.Name == "m" && !cmp.Equal(m.Ignored, []string{"config.pbtxt"}) {
			t.Errorf("ignored %v", m.Ignored)
		}
	}
	for name, want := range map[string]string{"empty": "no model.onnx", "leads": "cannot read 'model.onnx'", "m": "not a folder inside"} {
		if !strings.Contains(reasons[name], want) {
			t.Errorf("%s: got %q, want %q", name, reasons[name], want)
		}
		if strings.Contains(reasons[name], dir) || strings.Contains(reasons[name], "secret.onnx") {
			t.Errorf("%s: the reason leaks a path: %q", name, reasons[name])
		}
	}
}

func digest(t *testing.T, r *registry.Repository, v infer.Version) string {
	t.Helper()
	files, err := r.Open(v)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close() //nolint:errcheck // only read
	d, err := files.Digest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestLinksInsideTheRepositoryWork(t *testing.T) {
	r, dir := repository(t, map[string]string{"store/blob": "weights"})
	if err := os.MkdirAll(filepath.Join(dir, "m/1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../store/blob", filepath.Join(dir, "m/1/model.onnx")); err != nil {
		t.Fatal(err)
	}
	digest(t, r, infer.Version{Model: "m", Number: 1})
}

// A scan uses the folder that is now at the configured path. Files are loaded from the folder
// that was scanned.
func TestTheRepositoryIsReplaced(t *testing.T) {
	top := t.TempDir()
	write(t, filepath.Join(top, "a", "old", "1", "model.onnx"), "a")
	write(t, filepath.Join(top, "b", "new", "1", "model.onnx"), "b")
	link := filepath.Join(top, "current")
	turn := func(to string) {
		t.Helper()
		_ = os.Remove(link)
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	turn("a")
	r, err := registry.OpenRepository(link, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	v := infer.Version{Model: "old", Number: 1}
	turn("b")
	files, err := r.Open(v)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close() //nolint:errcheck // only read
	if b, err := os.ReadFile(files.Path("model.onnx")); err != nil || string(b) != "a" {
		t.Errorf("before the next scan: %q, %v, want the folder that was scanned", b, err)
	}
	if diff := cmp.Diff(map[string][]int64{"new": {1}}, scan(t, r)); diff != "" {
		t.Errorf("after the link was turned (-want +got):\n%s", diff)
	}
	_ = os.Remove(link)
	if _, err := r.Scan(); err == nil {
		t.Error("no error if the folder is gone")
	}
	turn("a")
	if _, ok := r.ScanModel("old"); !ok {
		t.Error("not found after the folder came back")
	}
}
