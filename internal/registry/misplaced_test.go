package registry_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

func TestScanWarnsOfWhatIsNotServed(t *testing.T) {
	f := func(name string, files []string, models map[string][]int64, want ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			content := map[string]string{}
			for _, file := range files {
				content[file] = "x"
			}
			r, dir := repository(t, content)
			listing, err := r.Scan()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(models, scan(t, r)); diff != "" {
				t.Errorf("models (-want +got):\n%s", diff)
			}
			var got []string
			for _, w := range listing.Warnings {
				got = append(got, w.Path+": "+w.Problem)
				if w.Advice == "" || strings.Contains(w.String(), dir) {
					t.Errorf("a warning without advice, or with a path of the host: %s", w)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
	none := map[string][]int64{}
	f("empty", nil, none, ".: the repository is empty")
	f("only notes", []string{"README.md", ".gitkeep", "lost+found/x"}, none, ".: the repository is empty")
	f("a model's folder", []string{"1/model.onnx", "2/model.onnx", "MODEL_CARD.md"}, none,
		".: the folder looks like that of one model: it has the version folder 1/")
	f("a version's folder", []string{"model.onnx", "weights.bin"}, none,
		"model.onnx: the folder looks like that of one version of a model", "weights.bin: a file is not a model")
	f("files on the wrong level", []string{"iris.onnx", "notes.txt"}, none,
		"iris.onnx: a model file is not used in this folder", "notes.txt: a file is not a model")
	f("a flat model", []string{"m/model.onnx", "m/weights.bin", "m/config.pbtxt"}, map[string][]int64{"m": {1}})
	f("a flat model beside versions", []string{"m/model.onnx", "m/2/model.onnx"}, map[string][]int64{"m": {2}},
		"m/model.onnx: the file is not used, since the model has version folders")
	f("v1", []string{"m/v1/model.onnx"}, none, "m/v1/: the name of a version's folder must be a number of 1 or more")
	f("v2 beside 1", []string{"m/1/model.onnx", "m/v2/model.onnx", "m/assets/labels.txt"}, map[string][]int64{"m": {1}},
		"m/v2/: the name of a version's folder must be a number of 1 or more")
	f("another name", []string{"m/iris.onnx", "m/README.md"}, none, "m/iris.onnx: the name of a model file must be model.onnx")
	f("no version", []string{"m/notes.txt"}, none, "m/: the folder has no version")
	f("a model that is called 1", []string{"1/1/model.onnx"}, map[string][]int64{"1": {1}})
	f("a bad name", []string{" m/1/model.onnx"}, none, `" m": the name of the folder is not valid for a model`)
}

func TestAdviceNamesTheNumberOfAVersion(t *testing.T) {
	r, _ := repository(t, map[string]string{"m/v12/model.onnx": "x", "m/03/model.onnx": "x", "m/latest/model.onnx": "x"})
	listing, err := r.Scan()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range listing.Warnings {
		got = append(got, w.Path+" "+w.Advice[strings.LastIndex(w.Advice, " ")+1:])
	}
	if diff := cmp.Diff([]string{"m/03/ m/3", "m/latest/ m/1", "m/v12/ m/12"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestWarningsAreBounded(t *testing.T) {
	files := map[string]string{}
	for i := range 50 {
		files[fmt.Sprintf("folder%02d/notes.txt", i)] = "x"
	}
	r, _ := repository(t, files)
	listing, err := r.Scan()
	if err != nil {
		t.Fatal(err)
	}
	last := listing.Warnings[len(listing.Warnings)-1]
	if len(listing.Warnings) != 21 || last.Problem != "30 more entries are not used" {
		t.Errorf("%d warnings, the last %v", len(listing.Warnings), last)
	}
}

func TestFolderThatLeadsOutIsNamed(t *testing.T) {
	r, dir := repository(t, map[string]string{"m/1/model.onnx": "x"})
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	listing, err := r.Scan()
	if err != nil || len(listing.Warnings) != 1 || listing.Warnings[0].Path != "out" {
		t.Errorf("%v, %v", listing.Warnings, err)
	}
}

func TestFlatModelIsVersionOne(t *testing.T) {
	r, dir := repository(t, map[string]string{"m/model.onnx": "uses w.bin", "m/w.bin": "w", "n/1/model.onnx": "uses w.bin", "n/1/w.bin": "w"})
	v := infer.Version{Model: "m", Number: 1}
	if digest(t, r, v) != digest(t, r, infer.Version{Model: "n", Number: 1}) {
		t.Error("the same files have another digest without a version's folder")
	}
	files, err := r.Open(v)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close() //nolint:errcheck // only read
	if files.Path(registry.ModelFile) != filepath.Join(dir, "m", "model.onnx") {
		t.Error(files.Path(registry.ModelFile))
	}
	if _, err := r.Open(infer.Version{Model: "m", Number: 2}); err == nil {
		t.Error("version 2 opens too")
	}
	before, _ := r.ScanModel("m")
	write(t, filepath.Join(dir, "m", "w.bin"), "other")
	if after, ok := r.ScanModel("m"); !ok || after.Versions[0].Fingerprint == before.Versions[0].Fingerprint {
		t.Error("a changed file left the fingerprint alone")
	}
}
