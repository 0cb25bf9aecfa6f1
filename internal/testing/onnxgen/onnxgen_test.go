package onnxgen_test

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

func all() []*onnxgen.Graph {
	list := []*onnxgen.Graph{
		onnxgen.Lin(), onnxgen.Two(), onnxgen.ThreeOutputs(), onnxgen.Scaled(), onnxgen.Scalar(), onnxgen.NonZero(),
		onnxgen.RowSum(), onnxgen.Centered(), onnxgen.Reducer(), onnxgen.Slow(20), onnxgen.MLP(), onnxgen.ThreeHeads().As("three_heads"), onnxgen.CNN(),
		onnxgen.Encoder(1, 32).As("enc_static"), onnxgen.Encoder(1, "S").As("enc_dynamic"), onnxgen.TreeEnsemble(),
		onnxgen.ZipMap(), onnxgen.SequenceOutput(), onnxgen.SequenceInput(), onnxgen.OptionalInput(), external(), constants(),
	}
	for d := infer.Bool; d <= infer.Bytes; d++ {
		list = append(list, onnxgen.Identity(d, "N", 3))
	}
	return list
}

// external has two tensors in one file.
func external() *onnxgen.Graph {
	g := onnxgen.New("external")
	x := g.Input("input", infer.FP32, "N", 4)
	x = g.Op("Add", x, g.External(onnxgen.Float32s([]float32{1, 2, 3, 4}, 4), "weights.bin"))
	x = g.Op("Mul", x, g.External(onnxgen.Float32s([]float32{1, 10, 100, 1000}, 4), "weights.bin"))
	g.Output("output", infer.FP32, x, "N", 4)
	return g
}

// constants uses features that no ready-made model has: a tensor attribute, strings, an
// initializer as an output, one value as two outputs.
func constants() *onnxgen.Graph {
	g := onnxgen.New("constants")
	x := g.Op("Constant").Tensor("value", onnxgen.Float32s([]float32{1, 2}, 2))
	g.Output("x", infer.FP32, x, 2)
	g.Output("again", infer.FP32, x, 2)
	g.Output("text", infer.Bytes, g.Init(onnxgen.Strings([]string{"a", "", "b\x00c"}, 3)), 3)
	return g
}

// To inspect the models with other tools: go test -run Write -args DIR.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	if args := flag.Args(); len(args) > 0 {
		dir = args[0]
	}
	for _, g := range all() {
		if err := g.Write(dir, 1); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, g.Name(), "1", "model.onnx"))
		if err != nil || !bytes.Equal(got, g.Bytes()) {
			t.Errorf("%s: the file differs from Bytes (%v)", g.Name(), err)
		}
	}
	if fi, err := os.Stat(filepath.Join(dir, "external", "1", "weights.bin")); err != nil || fi.Size() != 4096+16 {
		t.Errorf("external data: %v, %v; want 4112 bytes, the second tensor on its own page", fi, err)
	}
}

func TestSameBytesEachTime(t *testing.T) {
	first, second := all(), all()
	for i, g := range first {
		if sha256.Sum256(g.Bytes()) != sha256.Sum256(second[i].Bytes()) {
			t.Errorf("%s differs between two builds", g.Name())
		}
	}
}

func TestStructure(t *testing.T) {
	model := fields(t, onnxgen.Two().Bytes())
	if got := len(model[8]); got != 1 {
		t.Errorf("opset imports = %d, want 1", got)
	}
	graph := fields(t, model[7][0])
	f := func(field protowire.Number, want ...string) {
		t.Helper()
		got := make([]string, len(graph[field]))
		for i, b := range graph[field] {
			got[i] = string(fields(t, b)[1][0])
		}
		if !slices.Equal(got, want) {
			t.Errorf("field %d names %q, want %q", field, got, want)
		}
	}
	f(11, "a", "b")
	f(12, "sum", "diff")
	if name := string(graph[2][0]); name != "two" {
		t.Errorf("graph name %q, want two", name)
	}
	if got := fields(t, fields(t, onnxgen.TreeEnsemble().Bytes())[8][1]); string(got[1][0]) != "ai.onnx.ml" {
		t.Errorf("second opset import %q, want ai.onnx.ml", got)
	}
}

// fields returns the length-delimited fields of a message.
func fields(t *testing.T, b []byte) map[protowire.Number][][]byte {
	t.Helper()
	m := map[protowire.Number][][]byte{}
	for len(b) > 0 {
		field, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(field, typ, b)
		if size < 0 {
			t.Fatal(protowire.ParseError(size))
		}
		if typ == protowire.BytesType {
			v, _ := protowire.ConsumeBytes(b)
			m[field] = append(m[field], v)
		}
		b = b[size:]
	}
	return m
}

func TestMisusePanics(t *testing.T) {
	f := func(what string, build func(g *onnxgen.Graph)) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s: no panic", what)
			}
		}()
		g := onnxgen.New("m")
		build(g)
		g.Bytes()
	}
	f("a float as a dimension", func(g *onnxgen.Graph) { g.Input("x", infer.FP32, 1.5) })
	f("no datatype", func(g *onnxgen.Graph) { g.Input("x", infer.InvalidDType) })
	f("an attribute on an input", func(g *onnxgen.Graph) { g.Input("x", infer.FP32).Int("axis", 0) })
	f("cut strings", func(g *onnxgen.Graph) { g.Init(infer.Tensor{DType: infer.Bytes, Data: []byte{1}}) })
}
