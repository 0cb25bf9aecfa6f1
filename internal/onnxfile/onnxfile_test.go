package onnxfile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// outside returns a model with one external tensor "w" with these entries.
func outside(entries ...string) []byte {
	g := onnxgen.New("m")
	w := infer.Tensor{Name: "w", DType: infer.FP32, Shape: infer.Shape{4}}
	x := g.Input("input", infer.FP32, "N", 4)
	g.Output("output", infer.FP32, g.Op("Add", x, g.ExternalRef(w, entries...)), "N", 4)
	return g.Bytes()
}

// message encodes a field with a message or text.
func message(field protowire.Number, parts ...[]byte) []byte {
	b := protowire.AppendTag(nil, field, protowire.BytesType)
	return protowire.AppendBytes(b, bytes.Join(parts, nil))
}

// tensor encodes a TensorProto with an external location.
func tensor(name, location string) []byte {
	entry := message(13, message(1, []byte("location")), message(2, []byte(location)))
	external := protowire.AppendVarint(protowire.AppendTag(nil, 14, protowire.VarintType), 1)
	return bytes.Join([][]byte{message(8, []byte(name)), entry, external}, nil)
}

func TestExternalDataFindsEveryPlace(t *testing.T) {
	constant := func(location string) []byte { // a NodeProto with a tensor attribute
		return message(5, message(1, []byte("value")), message(5, tensor("", location)))
	}
	subgraph := message(5, message(6, message(1, constant("subgraph"))))
	model := message(7,
		message(1, constant("attribute")),
		message(1, subgraph),
		message(1, message(5, message(11, message(5, tensor("b", "graphs"))))),
		message(1, message(5, message(10, tensor("", "tensors")))),
		message(1, message(5, message(22, message(1, tensor("", "sparse attribute"))))),
		message(5, tensor("a", "initializer")),
		message(15, message(1, tensor("v", "sparse values")), message(2, tensor("i", "sparse indices"))),
	)
	model = append(model, message(25, message(7, constant("function")), message(11, message(5, tensor("", "default"))))...)
	model = append(model, message(20, message(1, message(5, tensor("t", "training"))))...)

	locations, err := onnxfile.ExternalData(bytes.NewReader(model), int64(len(model)))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, len(locations))
	for i, l := range locations {
		got[i] = l.Tensor + ":" + l.Path
	}
	want := []string{
		":attribute", ":subgraph", "b:graphs", ":tensors", ":sparse attribute", "a:initializer",
		"v:sparse values", "i:sparse indices", ":function", ":default", "t:training",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("locations (-want +got)\n%s", diff)
	}
}

func TestExternalDataReadsEntries(t *testing.T) {
	f := func(want onnxfile.Location, entries ...string) {
		t.Helper()
		model := outside(entries...)
		got, err := onnxfile.ExternalData(bytes.NewReader(model), int64(len(model)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]onnxfile.Location{want}, got); diff != "" {
			t.Errorf("%q (-want +got)\n%s", entries, diff)
		}
	}
	f(onnxfile.Location{Tensor: "w", Path: "x.bin", Length: -1}, "location", "x.bin")
	f(onnxfile.Location{Tensor: "w", Path: "x.bin", Offset: 4096, Length: 16}, "length", "16", "offset", "4096", "location", "x.bin")
	f(onnxfile.Location{Tensor: "w", Path: "x", Length: 0}, "location", "x", "length", "0", "checksum", "abc")
}

func TestModelsWithoutExternalData(t *testing.T) {
	for _, g := range []*onnxgen.Graph{onnxgen.Lin(), onnxgen.CNN(), onnxgen.TreeEnsemble(), onnxgen.Slow(1)} {
		model := g.Bytes()
		got, err := onnxfile.ExternalData(bytes.NewReader(model), int64(len(model)))
		if err != nil || len(got) > 0 {
			t.Errorf("%s: %v, %v; want none", g.Name(), got, err)
		}
	}
}

// counting counts the bytes that are read.
type counting struct {
	*bytes.Reader
	n int
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Reader.ReadAt(p, off)
	c.n += n
	return n, err
}

func TestWeightsAreNotRead(t *testing.T) {
	g := onnxgen.New("m")
	g.Output("output", infer.FP32, g.Init(onnxgen.Float32s(make([]float32, 8<<20), 8<<20)), 8<<20)
	model := g.Bytes()
	r := &counting{Reader: bytes.NewReader(model)}
	if _, err := onnxfile.ExternalData(r, int64(len(model))); err != nil {
		t.Fatal(err)
	}
	if r.n > 64<<10 {
		t.Errorf("read %d bytes of a model of %d, want at most 64 KiB", r.n, len(model))
	}
}

func TestNotAModel(t *testing.T) {
	f := func(what string, data []byte, want string) {
		t.Helper()
		_, err := onnxfile.ExternalData(bytes.NewReader(data), int64(len(data)))
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("%s: %v, want invalid with %q", what, err, want)
		}
	}
	lin := onnxgen.Lin().Bytes()
	const not = "not an ONNX model: "
	f("empty", nil, not+"it has no graph")
	f("text", []byte("this is not a model"), not)
	f("HTML", []byte("<!DOCTYPE html><html></html>"), not)
	f("a pointer of git lfs", []byte("version https://git-lfs.github.com/spec/v1\n"), not)
	f("only a version", []byte{8, 8}, not+"it has no graph")
	f("cut in half", lin[:len(lin)/2], not+"cut off")
	f("cut at the last byte", lin[:len(lin)-1], not+"cut off")
	f("a group", []byte{7<<3 | 3, 7<<3 | 4}, not+"bad field type")
	f("field 0", []byte{0, 0}, not+"bad field number")
	f("a length of 2^64-1", []byte{7<<3 | 2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}, not+"cut off")
	f("a long number", append([]byte{8}, bytes.Repeat([]byte{255}, 20)...), not+"bad number")

	deep := message(5, nil)
	for range 200 { // graph in attribute in node in graph …
		deep = message(1, message(5, message(6, deep)))
	}
	f("deep", message(7, deep), not+"messages nest more than 100 deep")
}

func TestBadEntries(t *testing.T) {
	f := func(want string, entries ...string) {
		t.Helper()
		model := outside(entries...)
		_, err := onnxfile.ExternalData(bytes.NewReader(model), int64(len(model)))
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("%.60q: %v, want invalid with %q", entries, err, want)
		}
	}
	f("'w', location '': it has no location", "offset", "0")
	f("it has no location", "location", "")
	f("has a duplicate \"location\"", "location", "a", "location", "b")
	f("offset \"-1\" is not a number", "location", "a", "offset", "-1")
	f("offset \"9223372036854775808\" is not a number", "location", "a", "offset", "9223372036854775808")
	f("length \"1e3\" is not a number", "location", "a", "length", "1e3")
	f("longer than 4096 bytes", "location", strings.Repeat("a", 5000))
}

// folder returns a version's folder with a model, 100 bytes in weights.bin, and a file outside.
func folder(t *testing.T, model []byte) (root *os.Root, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "1")
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("model.onnx", model)
	write("weights.bin", make([]byte, 100))
	write("sub/weights.bin", make([]byte, 100))
	write("../secret", make([]byte, 100))
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root, dir
}

func TestVerifyAccepts(t *testing.T) {
	f := func(entries ...string) {
		t.Helper()
		root, dir := folder(t, outside(entries...))
		if err := os.Symlink("sub/weights.bin", filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		if err := onnxfile.VerifyExternalData(root, "model.onnx"); err != nil {
			t.Errorf("%q: %v", entries, err)
		}
	}
	f("location", "weights.bin")
	f("location", "./weights.bin", "offset", "84", "length", "16")
	f("location", "sub/weights.bin", "offset", "100", "length", "0")
	f("location", "link") // leads to a file of the folder
}

// DataFiles returns each file once, as a path in the folder. Those outside are left out;
// VerifyExternalData refuses them.
func TestDataFiles(t *testing.T) {
	f := func(model []byte, want ...string) {
		t.Helper()
		root, _ := folder(t, model)
		got, err := onnxfile.DataFiles(root, "model.onnx")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
	}
	f(outside("location", "./sub//weights.bin"), "sub/weights.bin")
	f(outside("location", "not there"), "not there")
	f(outside("location", "../secret"))
	f(outside("location", "/etc/passwd"))
	g := onnxgen.New("m")
	x := g.Input("input", infer.FP32, "N", 4)
	for _, file := range []string{"b", "a", "b"} {
		x = g.Op("Add", x, g.External(onnxgen.Float32s([]float32{1, 2, 3, 4}, 4), file))
	}
	g.Output("output", infer.FP32, x, "N", 4)
	f(g.Bytes(), "a", "b")
	root, _ := folder(t, []byte("text"))
	if _, err := onnxfile.DataFiles(root, "model.onnx"); infer.CodeOf(err) != infer.Invalid {
		t.Errorf("a file that is not a model: %v", err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	f := func(want string, entries ...string) {
		t.Helper()
		root, dir := folder(t, outside(entries...))
		for link, target := range map[string]string{"out": "../secret", "abs": filepath.Join(dir, "weights.bin"), "up": "..", "self": "self"} {
			if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Link(filepath.Join(dir, "../secret"), filepath.Join(dir, "hard")); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := onnxfile.VerifyExternalData(root, "model.onnx")
		msg := infer.Message(err)
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(msg, want) || !strings.Contains(msg, "'w'") {
			t.Errorf("%q: %v, want invalid with %q and the tensor's name", entries, err, want)
		}
		if strings.Contains(msg, dir) {
			t.Errorf("%q: message shows a path of the host: %s", entries, msg)
		}
	}
	const path, opened = "it must be a relative path", "cannot be opened inside the version's folder"
	f(path, "location", "../secret")
	f(path, "location", "sub/../weights.bin")
	f(path, "location", "sub/../../secret")
	f(path, "location", "/etc/passwd")
	f(path, "location", `..\secret`)
	f(path, "location", `sub\weights.bin`)
	f(path, "location", "weights.bin\x00.txt")
	f("it is an address in memory", "location", "*/_ORT_MEM_ADDR_/*", "offset", "4096", "length", "16")
	f("is missing", "location", "nothing.bin")
	f("is missing", "location", "weights.bin ")
	f("not a regular file", "location", "sub")
	f("not a regular file", "location", ".")
	f("not a regular file", "location", "pipe")
	f(opened, "location", "out")
	f(opened, "location", "abs")
	f(opened, "location", "up/secret")
	f(opened, "location", "self")
	f("has 2 hard links", "location", "hard")
	f("beyond the file's end at 100", "location", "weights.bin", "offset", "101")
	f("16 bytes from 85 on are beyond", "location", "weights.bin", "offset", "85", "length", "16")
	f("beyond the file's end", "location", "weights.bin", "offset", "9223372036854775807", "length", "9223372036854775807")
}

func TestVerifyModelFile(t *testing.T) {
	f := func(path, want string) {
		t.Helper()
		root, dir := folder(t, []byte("no model"))
		if err := os.Symlink("../secret", filepath.Join(dir, "out")); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := onnxfile.VerifyExternalData(root, path)
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("%s: %v, want invalid with %q", path, err, want)
		}
	}
	f("model.onnx", "not an ONNX model: ")
	f("missing.onnx", "the model file missing.onnx is missing")
	f("sub", "is not a regular file")
	f("pipe", "is not a regular file")
	f("out", "cannot be opened inside the version's folder")
}

// VerifyExternalData accepts the external data that onnxgen writes.
func TestVerifyWrittenModel(t *testing.T) {
	g := onnxgen.New("m")
	x := g.Input("input", infer.FP32, "N", 4)
	for range 3 {
		x = g.Op("Add", x, g.External(onnxgen.Float32s([]float32{1, 2, 3, 4}, 4), "weights.bin"))
	}
	g.Output("output", infer.FP32, x, "N", 4)
	repository := t.TempDir()
	if err := g.Write(repository, 1); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(filepath.Join(repository, "m", "1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	if err := onnxfile.VerifyExternalData(root, "model.onnx"); err != nil {
		t.Error(err)
	}
}

func FuzzExternalData(f *testing.F) {
	f.Add([]byte{})
	f.Add(onnxgen.Two().Bytes())
	f.Add(message(7, message(1, message(5, message(6, message(5, tensor("w", "subgraph")))))))
	f.Add(outside("location", "weights.bin", "offset", "0", "length", "16"))
	f.Add(message(25, message(7, message(5, message(5, tensor("", "function"))))))
	f.Fuzz(func(t *testing.T, model []byte) {
		locations, err := onnxfile.ExternalData(bytes.NewReader(model), int64(len(model)))
		if err != nil && infer.CodeOf(err) != infer.Invalid {
			t.Fatalf("%v, want invalid", err)
		}
		for _, l := range locations {
			if l.Path == "" || l.Offset < 0 || l.Length < -1 {
				t.Fatalf("bad location %+v", l)
			}
		}
	})
}
