package onnxfile

import (
	"cmp"
	"io"
	"os"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice.io/sluice/internal/infer"
)

// Adapted is a model that was changed in memory so that it can be served.
type Adapted struct {
	Model   []byte   // the whole changed file; external tensors stay in their files
	ZipMaps []ZipMap // the ones that were removed
}

// Adapt changes the parts of an export that cannot be served.
//
// A ZipMap of the model at path in root makes maps of class probabilities. The output that it
// makes keeps its name and becomes the probabilities, FP32 [rows, classes], or FP64 if the
// maps' values are. The ZipMap becomes an Identity, which ONNX Runtime optimizes away. ZipMaps
// whose result is not an output stay.
//
// A StringNormalizer with its default locale gets one with the same letters that exists on all
// machines.
//
// The result is nil if there is nothing to change. The file is then read only in small parts,
// and otherwise as a whole into memory. The file is not changed.
//
// Errors are Invalid: the file is not an ONNX model, or has 2 GiB or more and a ZipMap.
func Adapt(root *os.Root, path string) (*Adapted, error) {
	var adapted *Adapted
	err := open(root, path, nil, func(w *walker, size int64) (err error) {
		a := adapter{walker: w, zips: map[string]*zip{}}
		if err = a.find(span{0, size}); err != nil || len(a.edits) == 0 {
			return err
		}
		if size >= maxMessage && len(a.cuts) == 0 {
			return nil // it cannot be changed, and may load unchanged
		}
		adapted = &Adapted{ZipMaps: a.cuts}
		adapted.Model, err = a.apply(size)
		return err
	})
	if err != nil {
		return nil, err
	}
	return adapted, nil
}

// Fields of the messages that an adapter reads, besides those in relax.go and traits.go.
const (
	modelGraph, modelOpset                                                     = 7, 8
	opsetDomain, opsetVersion                                                  = 1, 2
	nodeInput, nodeOutput, nodeAttribute                                       = 1, 2, 5
	attributeName, attributeText, attributeInts, attributeTexts, attributeType = 1, 4, 8, 9, 20
	typeSequence, sequenceElement                                              = 4, 1
	typeMap, mapValue                                                          = 5, 2
	typeElement, elementFloat, elementDouble                                   = 1, 1, 11
)

// adapter collects the edits of a model.
type adapter struct {
	*walker
	graphs   []field         // of the model: one, or a message in parts
	zips     map[string]*zip // by the name of their output
	edits    []edit
	cuts     []ZipMap
	standard bool // the model imports ONNX's own operators
}

// edit replaces a field of a graph by another one, or removes it.
type edit struct {
	at   field
	with []byte
}

// find reads the nodes first, since they may come after the outputs.
func (a *adapter) find(model span) error {
	err := a.fields(model, func(f field) error {
		switch {
		case f.typ != protowire.BytesType:
			return nil
		case f.number == modelGraph:
			a.graphs = append(a.graphs, f)
			return a.fields(f.span, a.node)
		case f.number == modelOpset:
			return a.opset(f.span)
		}
		return nil
	})
	if err != nil || len(a.zips) == 0 {
		return err
	}
	for _, g := range a.graphs {
		if err := a.fields(g.span, a.output); err != nil {
			return err
		}
	}
	for _, g := range a.graphs {
		if err := a.fields(g.span, a.info); err != nil {
			return err
		}
	}
	slices.SortFunc(a.edits, func(a, b edit) int { return cmp.Compare(a.at.tag, b.at.tag) })
	return nil
}

func (a *adapter) opset(s span) error {
	domain := ""
	err := a.named(s, opsetDomain, func(name string) { domain = name })
	a.standard = a.standard || domain == "" || domain == "ai.onnx"
	return err
}

// node finds the operators that are changed.
func (a *adapter) node(f field) error {
	if f.number != graphNode || f.typ != protowire.BytesType {
		return nil
	}
	var operator, domain string
	if err := a.named(f.span, nodeOperator, func(name string) { operator = name }); err != nil {
		return err
	}
	if operator != "ZipMap" && operator != "StringNormalizer" {
		return nil
	}
	if err := a.named(f.span, nodeDomain, func(name string) { domain = name }); err != nil {
		return err
	}
	switch {
	case operator == "ZipMap" && domain == "ai.onnx.ml":
		return a.zipMap(f)
	case operator == "StringNormalizer" && (domain == "" || domain == "ai.onnx"):
		return a.normalizer(f)
	}
	return nil
}

// apply returns the file with the edits.
func (a *adapter) apply(size int64) ([]byte, error) {
	if size >= maxMessage {
		return nil, infer.Errorf(infer.Invalid, "a model file of 2 GiB or more cannot be changed in memory; export the model without ZipMap")
	}
	file := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(a.file, 0, size), file); err != nil {
		return nil, &infer.Error{Code: infer.Internal, Op: "onnxfile: adapt", Msg: "cannot read the model file", Err: err}
	}
	added := 0
	for _, e := range a.edits {
		added += len(e.with)
	}
	const heads = 32 // room for a longer length of a graph, or an opset
	out := make([]byte, 0, len(file)+added+heads*(1+len(a.graphs)))
	done := int64(0)
	for _, g := range a.graphs {
		out = append(out, file[done:g.tag]...)
		out = a.graph(out, file, g.span)
		done = g.to
	}
	out = append(out, file[done:]...)
	if len(a.cuts) > 0 && !a.standard {
		const identity = 13 // any version of it works
		out = message(out, modelOpset, number(opsetVersion, identity))
	}
	return out, nil
}

// graph appends a graph with its edits.
func (a *adapter) graph(out, file []byte, s span) []byte {
	size := s.to - s.from
	var edits []edit
	for _, e := range a.edits {
		if e.at.tag >= s.from && e.at.to <= s.to {
			edits = append(edits, e)
			size += int64(len(e.with)) - (e.at.to - e.at.tag)
		}
	}
	out = protowire.AppendTag(out, modelGraph, protowire.BytesType)
	out = protowire.AppendVarint(out, uint64(size)) //nolint:gosec // the rest cannot be negative
	for _, e := range edits {
		out = append(append(out, file[s.from:e.at.tag]...), e.with...)
		s.from = e.at.to
	}
	return append(out, file[s.from:s.to]...)
}

// message appends a field with a message of these parts.
func message(b []byte, n protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), slices.Concat(parts...))
}

// text returns a field with the text s.
func text(n protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, n, protowire.BytesType), s)
}

// number returns a field with the number v.
func number(n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
}
