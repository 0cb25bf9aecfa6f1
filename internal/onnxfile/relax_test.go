package onnxfile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// holding makes a folder with a model file.
func holding(t testing.TB, model []byte) *os.Root {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "model.onnx"), model, 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

func relax(t testing.TB, model []byte) []byte {
	t.Helper()
	got, err := onnxfile.Relax(holding(t, model), "model.onnx", nil)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// varint encodes a field with a number.
func varint(field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), v)
}

// value encodes a ValueInfoProto of FP32 with dimensions, each a whole message.
func value(name string, dims ...[]byte) []byte {
	var shape []byte
	for _, d := range dims {
		shape = append(shape, message(1, d)...)
	}
	return append(message(1, []byte(name)), message(2, message(1, varint(1, 1), message(2, shape)))...)
}

func TestRelaxFreesFirstDimensions(t *testing.T) {
	one, four, symbol, words := varint(1, 1), varint(1, 4), message(2, []byte("N")), append(varint(1, 1), message(3, []byte("DATA_BATCH"))...)
	model := message(7,
		message(11, value("x", one, four)),
		message(11, value("words", words, one)),
		message(11, value("fixed", four, one)),
		message(11, value("free", symbol, one)),
		message(11, value("scalar")),
		message(11, value("default", one)),
		message(11, value("sparse", one)),
		message(5, message(8, []byte("default"))),
		message(15, message(1, message(8, []byte("sparse")))),
		message(12, value("y", one, one)),
		message(12, value("z", four)),
		message(13, value("inside", one, four)),
		message(1, message(5, message(6,
			message(11, value("state", one)), message(12, value("next", one)), message(13, value("deep", one)),
		))),
	)
	got := relax(t, model)
	nothing, blanks := message(3), message(3, bytes.Repeat([]byte(" "), 12))
	bare := func(name string, dims ...[]byte) []byte { // its shape is a field that readers skip
		b := value(name, dims...)
		i := bytes.LastIndexByte(b, 0x12)
		b[i] = 0x4a
		return b
	}
	want := message(7,
		message(11, value("x", nothing, four)),
		message(11, value("words", blanks, one)),
		message(11, value("fixed", four, one)),
		message(11, value("free", symbol, one)),
		message(11, value("scalar")),
		message(11, value("default", one)),
		message(11, value("sparse", one)),
		message(5, message(8, []byte("default"))),
		message(15, message(1, message(8, []byte("sparse")))),
		message(12, value("y", nothing, one)),
		message(12, value("z", four)),
		message(9, value("inside", one, four)),
		message(1, message(5, message(6,
			message(11, bare("state", one)), message(12, bare("next", one)), message(9, value("deep", one)),
		))),
	)
	if !bytes.Equal(got, want) {
		t.Errorf("model\n%x, want\n%x", got, want)
	}
}

func TestRelaxLeavesTheFileAlone(t *testing.T) {
	g := onnxgen.Identity(infer.FP32, 1, 4)
	root := holding(t, g.Bytes())
	if _, err := onnxfile.Relax(root, "model.onnx", nil); err != nil {
		t.Fatal(err)
	}
	if file, err := root.ReadFile("model.onnx"); err != nil || !bytes.Equal(file, g.Bytes()) {
		t.Errorf("the file has changed, or %v", err)
	}
}

func TestRelaxRefuses(t *testing.T) {
	f := func(model []byte, want string) {
		t.Helper()
		got, err := onnxfile.Relax(holding(t, model), "model.onnx", nil)
		if got != nil || infer.CodeOf(err) != infer.Invalid || infer.Message(err) != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
	const nothing = "no input or output of the model has a first dimension that is fixed at 1"
	f(onnxgen.Lin().Bytes(), nothing)
	f(onnxgen.Scalar().Bytes(), nothing)
	f(message(7, message(11, value("x", append(varint(1, 1), message(3, make([]byte, 200))...)))), nothing) // too long to be replaced
	f(nil, "not an ONNX model: it has no graph")
	f([]byte("\x3a\xff\x01"), "not an ONNX model: cut off at byte 0")
	hidden := append([]byte{0xea, 0x00}, message(13, value("inside", varint(1, 1)))[1:]...) // a tag of two bytes
	f(message(7, message(11, value("x", varint(1, 1))), hidden), "not an ONNX model: a tag has more bytes than it needs at byte 19")
	f(message(7, message(5, message(8, make([]byte, 5000)))), "not an ONNX model: a name has more than 4096 bytes")
}

func TestRelaxRefusesLargeFiles(t *testing.T) {
	root := holding(t, onnxgen.Identity(infer.FP32, 1, 4).Bytes())
	file, err := root.OpenFile("model.onnx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // a test's
	if err := file.Truncate(2 << 30); err != nil {
		t.Skipf("no sparse files here: %v", err)
	}
	if _, err := onnxfile.Relax(root, "model.onnx", nil); infer.Message(err) != "a model file of 2 GiB or more cannot be changed in memory" {
		t.Error(err)
	}
}

func FuzzRelax(f *testing.F) {
	f.Add([]byte{})
	f.Add(onnxgen.Identity(infer.FP32, 1, 4).Bytes())
	f.Add(onnxgen.Steps(3).Bytes())
	f.Add(message(7, message(11, value("x", varint(1, 1))), message(13, value("y", varint(1, 1)))))
	f.Fuzz(func(t *testing.T, model []byte) {
		got, err := onnxfile.Relax(holding(t, model), "model.onnx", nil)
		switch {
		case err != nil && infer.CodeOf(err) != infer.Invalid:
			t.Fatalf("%v, want invalid", err)
		case err != nil:
			return
		case len(got) != len(model) || bytes.Equal(got, model):
			t.Fatalf("%d bytes of %d, or unchanged", len(got), len(model))
		}
		before, err := onnxfile.ExternalData(bytes.NewReader(model), int64(len(model)))
		if err != nil {
			return
		}
		after, err := onnxfile.ExternalData(bytes.NewReader(got), int64(len(got)))
		if err != nil || !cmp.Equal(before, after) {
			t.Fatalf("%v, external data %v, want %v", err, after, before)
		}
	})
}
