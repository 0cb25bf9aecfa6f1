package onnxfile_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/testing/onnxgen"
)

func cut(t testing.TB, model []byte) *onnxfile.Adapted {
	t.Helper()
	got, err := onnxfile.Adapt(holding(t, model), "model.onnx")
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// zipMap encodes a ZipMap node of a graph with these attributes.
func zipMap(input, output string, attributes ...[]byte) []byte {
	parts := [][]byte{
		message(1, []byte(input)), message(2, []byte(output)), message(3, []byte("zip")),
		message(4, []byte("ZipMap")), message(7, []byte("ai.onnx.ml")),
	}
	for _, a := range attributes {
		parts = append(parts, message(5, a))
	}
	return message(1, parts...)
}

// maps encodes an output or a value of a graph: a sequence of maps.
func maps(name string) []byte { return mapsOf(1, name) }

func mapsOf(element uint64, name string) []byte {
	values := message(2, message(1, varint(1, element)))
	return append(message(1, []byte(name)), message(2, message(4, message(1, message(5, varint(1, 7), values))))...)
}

// probabilities encodes the output that replaces it.
func probabilities(name string, classes ...[]byte) []byte {
	return probabilitiesOf(1, name, classes...)
}

func probabilitiesOf(element uint64, name string, classes ...[]byte) []byte {
	shape := message(2, message(1), message(1, classes...))
	return append(message(1, []byte(name)), message(2, message(1, varint(1, element), shape))...)
}

func identity(input, output string) []byte {
	return message(1, message(1, []byte(input)), message(2, []byte(output)), message(4, []byte("Identity")))
}

func TestAdaptCutsZipMaps(t *testing.T) {
	names := slices.Concat(message(1, []byte("classlabels_strings")), message(9, []byte("cat")), message(9, []byte("dog")))
	numbers := slices.Concat(message(1, []byte("classlabels_int64s")), varint(8, 7), varint(8, 1<<64-1))
	packed := slices.Concat(message(1, []byte("classlabels_int64s")), message(8, []byte{7, 0xac, 0x02}))
	opset := message(8, varint(2, 17))

	f := func(model, want []byte, zips ...onnxfile.ZipMap) {
		t.Helper()
		got := cut(t, model)
		if got == nil {
			t.Fatal("nothing is cut")
		}
		if !bytes.Equal(got.Model, want) {
			t.Errorf("got\n%x, want\n%x", got.Model, want)
		}
		if diff := cmp.Diff(zips, got.ZipMaps); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	other := message(1, message(2, []byte("p")), message(4, []byte("Softmax")))
	f(slices.Concat(varint(1, 8), message(7, other, zipMap("p", "y", names), message(12, maps("y"))), opset),
		slices.Concat(varint(1, 8), message(7, other, identity("p", "y"), message(12, probabilities("y", varint(1, 2)))), opset),
		onnxfile.ZipMap{Output: "y", Labels: []string{"cat", "dog"}})
	// Two of them, after the outputs, with integers, and with information about values inside.
	f(slices.Concat(message(7, message(13, maps("y")), message(13, maps("z")), message(12, maps("y")), message(12, maps("z")),
		zipMap("p", "z", numbers), message(13, value("p")), zipMap("q", "y", packed)), opset),
		slices.Concat(message(7, message(12, probabilities("y", varint(1, 2))), message(12, probabilities("z", varint(1, 2))),
			identity("p", "z"), message(13, value("p")), identity("q", "y")), opset),
		onnxfile.ZipMap{Output: "y", Labels: []string{"7", "300"}}, onnxfile.ZipMap{Output: "z", Labels: []string{"7", "-1"}})
	// A graph in two parts, without ONNX's own operators.
	f(slices.Concat(message(7, zipMap("p", "y")), message(8, message(1, []byte("ai.onnx.ml")), varint(2, 1)), message(7, message(12, maps("y")))),
		slices.Concat(message(7, identity("p", "y")), message(8, message(1, []byte("ai.onnx.ml")), varint(2, 1)),
			message(7, message(12, probabilities("y"))), message(8, varint(2, 13))),
		onnxfile.ZipMap{Output: "y"})
	// FP64, and numbers that a ZipMap does not make.
	for element, becomes := range map[uint64]uint64{11: 11, 7: 1} {
		f(slices.Concat(message(7, zipMap("p", "y"), message(12, mapsOf(element, "y"))), opset),
			slices.Concat(message(7, identity("p", "y"), message(12, probabilitiesOf(becomes, "y"))), opset),
			onnxfile.ZipMap{Output: "y"})
	}
	// A duplicate output, which ONNX Runtime refuses.
	f(slices.Concat(message(7, zipMap("p", "y"), message(12, maps("y")), message(12, maps("y"))), opset),
		slices.Concat(message(7, identity("p", "y"), message(12, probabilities("y")), message(12, maps("y"))), opset),
		onnxfile.ZipMap{Output: "y"})
}

func TestNoZipMapToCut(t *testing.T) {
	inner := message(1, message(4, []byte("If")), message(5, message(6, zipMap("p", "y"))))
	foreign := message(1, message(2, []byte("y")), message(4, []byte("ZipMap")), message(7, []byte("example.com")))
	for _, model := range [][]byte{
		nil,
		onnxgen.Lin().Bytes(),
		onnxgen.SequenceOutput().Bytes(),
		message(7, zipMap("p", "maps"), message(12, value("y"))), // not an output
		message(7, inner, message(12, maps("y"))),
		message(7, foreign, message(12, maps("y"))),
	} {
		if got := cut(t, model); got != nil {
			t.Errorf("%x: %+v", model, got)
		}
	}
}

func TestAdaptRefuses(t *testing.T) {
	f := func(model []byte, want string) {
		t.Helper()
		got, err := onnxfile.Adapt(holding(t, model), "model.onnx")
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("%v, %v; want invalid with %q", got, err, want)
		}
	}
	long := slices.Concat(message(1, []byte("classlabels_strings")), message(9, bytes.Repeat([]byte("a"), 5000)))
	f(message(7, zipMap("p", "y", long)), "a class label of the model is longer than 4096 bytes")
	many := slices.Concat(message(1, []byte("classlabels_int64s")), message(8, make([]byte, 1<<20+1)))
	f(message(7, zipMap("p", "y", many)), "a ZipMap of the model has more than 1048576 classes")
	f(message(7, zipMap("p", "y"))[:30], "not an ONNX model: cut off")
}

func FuzzAdapt(f *testing.F) {
	f.Add([]byte{})
	f.Add(onnxgen.ZipMap().Bytes())
	f.Add(message(7, zipMap("p", "y"), message(12, maps("y")), message(13, maps("y"))))
	f.Add(message(7, normalizer(locale("en_US.UTF-8")), message(12, maps("y")), zipMap("p", "y")))
	f.Fuzz(func(t *testing.T, model []byte) {
		got, err := onnxfile.Adapt(holding(t, model), "model.onnx")
		switch {
		case err != nil && infer.CodeOf(err) != infer.Invalid:
			t.Fatalf("%v, want invalid", err)
		case err != nil || got == nil:
			return
		}
		cut(t, got.Model) // can be walked
		before, err := onnxfile.ExternalData(bytes.NewReader(model), int64(len(model)))
		if err != nil {
			return
		}
		after, err := onnxfile.ExternalData(bytes.NewReader(got.Model), int64(len(got.Model)))
		if err != nil || len(after) > len(before) {
			t.Fatalf("%v, external data %v, want %v", err, after, before)
		}
	})
}
