package serving_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/serving"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// stub is a runtime whose models have these outputs.
type stub struct {
	serving.Runtime
	serving.Session
	model *infer.Model
}

// Load implements serving.Runtime.
func (s *stub) Load(*serving.File, infer.Version, config.Model) (serving.Session, error) {
	return s, nil
}

// Model implements serving.Session.
func (s *stub) Model() *infer.Model { return s.model }

// Close implements serving.Session.
func (s *stub) Close() error { return nil }

// output returns an output without labels.
func output(name string, dtype infer.DType, shape ...int64) infer.TensorSpec {
	return infer.TensorSpec{Name: name, DType: dtype, Shape: shape}
}

// named loads a model and returns the labels of its outputs, "name: a b", and the log. With an
// empty text there is no labels.txt.
func named(t *testing.T, g *onnxgen.Graph, text string, outputs ...infer.TensorSpec) (labels, warnings []string) {
	t.Helper()
	repository := t.TempDir()
	if err := g.Write(repository, 1); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(repository, g.Name(), "1")
	if text != "" {
		if err := os.WriteFile(filepath.Join(dir, "labels.txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return namedIn(t, dir, outputs...)
}

func namedIn(t *testing.T, dir string, outputs ...infer.TensorSpec) (labels, warnings []string) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close() //nolint:errcheck // only read
	core, logs := observer.New(zap.WarnLevel)
	settings := config.Model{ClassLabels: config.ClassLabels{MaxCount: 4, MaxBytes: 64}}
	s, err := serving.Load(&stub{model: infer.NewModel("m", 1, nil, outputs)}, root, filepath.Join(dir, "model.onnx"), infer.Version{Model: "m", Number: 1}, settings, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range s.Model().Outputs {
		if o.Labels != nil {
			labels = append(labels, o.Name+": "+strings.Join(o.Labels, "|"))
		}
	}
	for _, e := range logs.All() {
		fields := e.ContextMap()
		if dirs := fields["reason"].(string); strings.Contains(dirs, dir) {
			t.Errorf("%q shows a path", dirs)
		}
		warnings = append(warnings, fields["source"].(string)+": "+fields["reason"].(string))
	}
	return labels, warnings
}

func TestSourcesOfLabels(t *testing.T) {
	f := func(g *onnxgen.Graph, text string, want []string, warnings ...string) {
		t.Helper()
		got, logged := named(t, g, text, output("label", infer.Int64, -1), output("output", infer.FP32, -1, 3))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("labels (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff(warnings, logged); diff != "" {
			t.Errorf("warnings (-want +got)\n%s", diff)
		}
	}
	with := func(g *onnxgen.Graph, entries ...string) *onnxgen.Graph {
		for i := 0; i < len(entries); i += 2 {
			g.Metadata(entries[i], entries[i+1])
		}
		return g
	}
	lin, zip := onnxgen.Lin, onnxgen.ZipMap
	const shapes = "no output has that many classes: 'label' is INT64[-1], 'output' is FP32[-1,3]"

	f(lin(), "", nil)
	f(lin(), "a\nb b\nc", []string{"output: a|b b|c"})
	f(lin(), "\uFEFFa\r\n\r\nc\r\n\r\n", []string{"output: a||c"})
	f(zip(), "", []string{"output: 0|1|2"})
	f(with(zip(), "names", "x,y,z"), "a\nb\nc\n", []string{"output: a|b|c"})
	f(with(zip(), "names", "x,y,z"), "", []string{"output: 0|1|2"})
	f(with(lin(), "names", "{0: 'x', 1: 'y', 2: 'z'}"), "", []string{"output: x|y|z"})
	f(with(lin(), "names", "x,y,z", "classes", `["p","q","r"]`), "", []string{"output: p|q|r"})

	// Labels that do not match are logged, and the next source is used.
	f(zip(), "a\nb", []string{"output: 0|1|2"}, "labels.txt: there are 2 labels, and "+shapes)
	f(zip(), "a\n\xff\nb", []string{"output: 0|1|2"}, "labels.txt: it is not valid UTF-8")
	f(zip(), "1\n2\n3\n4\n5\n", []string{"output: 0|1|2"}, "labels.txt: it has 5 lines, more than the limit of 4 labels")
	f(zip(), strings.Repeat("a", 65), []string{"output: 0|1|2"}, "labels.txt: it is longer than the limit of 64 bytes")
	f(with(lin(), "classes", "[", "labels", "a,b", "names", "x,y,z", "id2label", "["), "", []string{"output: x|y|z"},
		"metadata 'labels': there are 2 labels, and "+shapes, "metadata 'classes': expected a label in quotes or an integer at byte 1")
	f(with(lin(), "names", strings.Repeat("a", 65)), "", nil)
}

func TestWhichOutputIsLabelled(t *testing.T) {
	f := func(want string, outputs ...infer.TensorSpec) {
		t.Helper()
		got, logged := named(t, onnxgen.Lin(), "a\nb\nc\n", outputs...)
		if strings.Join(got, ", ") != want || (len(logged) == 1) != (want == "") {
			t.Errorf("%q, %q; want %q", got, logged, want)
		}
	}
	f("p: a|b|c", output("label", infer.Int64, -1), output("p", infer.FP32, -1, 3))
	f("p: a|b|c", output("p", infer.FP16, 3))
	f("p: a|b|c", output("votes", infer.Int64, -1, 3), output("p", infer.FP64, -1, 3))
	f("votes: a|b|c", output("votes", infer.Int64, -1, 3), output("p", infer.FP64, -1, 4))
	f("logits: a|b|c, p: a|b|c", output("logits", infer.FP32, -1, 3), output("p", infer.FP32, -1, 3))
	f("p: a|b|c", output("label", infer.Int64, -1), output("p", infer.FP32, -1, -1))
	f("", output("p", infer.FP32, -1, -1), output("q", infer.FP32, -1, -1))
	f("", output("p", infer.FP32, -1, 4))
	f("", output("p", infer.FP32))
	f("", output("p", infer.Bytes, -1, 3), output("q", infer.Bool, -1, 3))
}

func TestLabelsFileIsInTheFolder(t *testing.T) {
	repository := t.TempDir()
	if err := onnxgen.Lin().Write(repository, 1); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(repository, "lin", "1")
	f := func(want string, place func(path string) error) {
		t.Helper()
		path := filepath.Join(dir, "labels.txt")
		if err := place(path); err != nil {
			t.Fatal(err)
		}
		labels, logged := namedIn(t, dir, output("p", infer.FP32, -1, 1))
		if len(labels) > 0 || len(logged) != 1 || logged[0] != want {
			t.Errorf("%q, %q; want %q", labels, logged, want)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(repository, "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	f("labels.txt: the file cannot be opened inside the version's folder", func(path string) error { return os.Symlink(outside, path) })
	f("labels.txt: the file has 2 hard links and may belong elsewhere; copy it", func(path string) error { return os.Link(outside, path) })
	f("labels.txt: it is not a regular file", func(path string) error { return os.Mkdir(path, 0o700) })
}
