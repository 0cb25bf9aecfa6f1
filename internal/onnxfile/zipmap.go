package onnxfile

import (
	"cmp"
	"io"
	"os"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice.io/sluice/internal/infer"
)

// ZipMap is an operator of the ai.onnx.ml domain that gives an output of a model: a map
// from class to probability for each row. skl2onnx and others write it after a classifier
// unless told not to.
type ZipMap struct {
	Output string
	Labels []string // of the classes, by column; integers in decimal
}

// Cut is a model whose ZipMaps were cut off.
type Cut struct {
	Model   []byte // the whole file, changed; tensors kept elsewhere stay there
	ZipMaps []ZipMap
}

// maxLabels bounds the classes of a ZipMap.
const maxLabels = 1 << 20

// CutZipMaps makes the probabilities an output that a ZipMap of the model at path in root
// made maps of: the output keeps its name and becomes FP32 [rows, classes]. The ZipMap
// becomes an Identity, which ONNX Runtime optimizes away. ZipMaps whose result goes
// elsewhere stay. The result is nil if there is nothing to cut; the file is then read
// in small parts only, else as a whole into memory. The file is not changed.
//
// Errors are Invalid: the file is not an ONNX model, or has 2 GiB or more and a ZipMap.
func CutZipMaps(root *os.Root, path string) (*Cut, error) {
	var cut *Cut
	err := open(root, path, nil, func(w *walker, size int64) (err error) {
		c := cutter{walker: w, zips: map[string]*zip{}}
		if err = c.find(span{0, size}); err != nil || len(c.cuts) == 0 {
			return err
		}
		cut = &Cut{ZipMaps: c.cuts}
		cut.Model, err = c.apply(size)
		return err
	})
	if err != nil {
		return nil, err
	}
	return cut, nil
}

// Fields of the messages that a cut reads, beside those in relax.go and traits.go.
const (
	modelGraph, modelOpset                       = 7, 8
	opsetDomain, opsetVersion                    = 1, 2
	nodeInput, nodeOutput, nodeAttribute         = 1, 2, 5
	attributeName, attributeInts, attributeTexts = 1, 8, 9
	typeElement, elementFloat                    = 1, 1
)

// cutter collects the edits that a cut takes.
type cutter struct {
	*walker
	graphs   []field         // of the model: one, or a message in parts
	zips     map[string]*zip // by the name of their result
	edits    []edit
	cuts     []ZipMap
	standard bool // the model imports ONNX's own operators
}

// zip is a ZipMap node.
type zip struct {
	at     field
	input  string
	labels []string
}

// edit replaces a field of a graph by another, or by nothing.
type edit struct {
	at   field
	with []byte
}

// find looks for ZipMaps first, since the nodes may come after the outputs.
func (c *cutter) find(model span) error {
	err := c.fields(model, func(f field) error {
		switch {
		case f.typ != protowire.BytesType:
			return nil
		case f.number == modelGraph:
			c.graphs = append(c.graphs, f)
			return c.fields(f.span, c.node)
		case f.number == modelOpset:
			return c.opset(f.span)
		}
		return nil
	})
	if err != nil || len(c.zips) == 0 {
		return err
	}
	for _, g := range c.graphs {
		if err := c.fields(g.span, c.output); err != nil {
			return err
		}
	}
	for _, g := range c.graphs {
		if err := c.fields(g.span, c.info); err != nil {
			return err
		}
	}
	slices.SortFunc(c.edits, func(a, b edit) int { return cmp.Compare(a.at.tag, b.at.tag) })
	return nil
}

func (c *cutter) opset(s span) error {
	domain := ""
	err := c.named(s, opsetDomain, func(name string) { domain = name })
	c.standard = c.standard || domain == "" || domain == "ai.onnx"
	return err
}

// node remembers a node that is a ZipMap.
func (c *cutter) node(f field) error {
	if f.number != graphNode || f.typ != protowire.BytesType {
		return nil
	}
	var operator, domain string
	if err := c.named(f.span, nodeOperator, func(name string) { operator = name }); err != nil || operator != "ZipMap" {
		return err
	}
	if err := c.named(f.span, nodeDomain, func(name string) { domain = name }); err != nil || domain != "ai.onnx.ml" {
		return err
	}
	z := &zip{at: f}
	var output string
	err := c.fields(f.span, func(x field) (err error) {
		switch {
		case x.typ != protowire.BytesType:
		case x.number == nodeInput:
			z.input, err = c.text(x.span)
		case x.number == nodeOutput:
			output, err = c.text(x.span)
		case x.number == nodeAttribute:
			err = c.classes(z, x.span)
		}
		return err
	})
	c.zips[output] = z
	return err
}

// classes reads the attribute that lists the class labels.
func (c *cutter) classes(z *zip, s span) error {
	var name string
	if err := c.named(s, attributeName, func(n string) { name = n }); err != nil {
		return err
	}
	if name != "classlabels_strings" && name != "classlabels_int64s" {
		return nil
	}
	add := func(label string) error {
		if len(z.labels) == maxLabels {
			return infer.Errorf(infer.Invalid, "a ZipMap of the model has more than %d classes", maxLabels)
		}
		z.labels = append(z.labels, label)
		return nil
	}
	addInt := func(v uint64) error { return add(strconv.FormatInt(int64(v), 10)) } //nolint:gosec // ONNX's int64
	return c.fields(s, func(f field) error {
		switch {
		case f.number == attributeTexts && f.typ == protowire.BytesType:
			if f.to-f.from > maxTextBytes {
				return infer.Errorf(infer.Invalid, "a class label of the model is longer than %d bytes", maxTextBytes)
			}
			label, err := c.text(f.span)
			if err != nil {
				return err
			}
			return add(label)
		case f.number == attributeInts && f.typ == protowire.VarintType:
			return addInt(f.value)
		case f.number == attributeInts && f.typ == protowire.BytesType: // packed
			for s := f.span; s.from < s.to; {
				v, next, err := c.varint(s)
				if err != nil {
					return err
				}
				if err := addInt(v); err != nil {
					return err
				}
				s.from = next
			}
		}
		return nil
	})
}

// output gives an output that a ZipMap makes the type of the probabilities, and the
// ZipMap's place to an Identity. The first dimension has no name: one that means
// something else elsewhere in the graph would mislead ONNX Runtime.
func (c *cutter) output(f field) error {
	if f.number != graphOutput || f.typ != protowire.BytesType {
		return nil
	}
	var name string
	if err := c.named(f.span, valueName, func(n string) { name = n }); err != nil {
		return err
	}
	z := c.zips[name]
	if z == nil {
		return nil
	}
	var classes []byte
	if n := len(z.labels); n > 0 {
		classes = number(dimensionValue, uint64(n))
	}
	shape := message(nil, tensorShape, message(nil, shapeDimension), message(nil, shapeDimension, classes))
	typ := message(nil, typeTensor, number(typeElement, elementFloat), shape)
	c.edits = append(c.edits,
		edit{f, message(nil, graphOutput, text(valueName, name), message(nil, valueType, typ))},
		edit{z.at, message(nil, graphNode, text(nodeInput, z.input), text(nodeOutput, name), text(nodeOperator, "Identity"))},
	)
	c.cuts = append(c.cuts, ZipMap{Output: name, Labels: z.labels})
	delete(c.zips, name) // an output of the same name again is left to ONNX Runtime
	return nil
}

// info removes what the file says of the maps among the values inside the graph.
func (c *cutter) info(f field) error {
	if f.number != graphInfo || f.typ != protowire.BytesType {
		return nil
	}
	return c.named(f.span, valueName, func(name string) {
		if slices.ContainsFunc(c.cuts, func(z ZipMap) bool { return z.Output == name }) {
			c.edits = append(c.edits, edit{at: f})
		}
	})
}

// apply returns the file with the edits made.
func (c *cutter) apply(size int64) ([]byte, error) {
	if size >= maxMessage {
		return nil, infer.Errorf(infer.Invalid, "a model file of 2 GiB or more cannot be changed in memory; export the model without ZipMap")
	}
	file := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(c.file, 0, size), file); err != nil {
		return nil, &infer.Error{Code: infer.Internal, Op: "onnxfile: cut", Msg: "cannot read the model file", Err: err}
	}
	added := 0
	for _, e := range c.edits {
		added += len(e.with)
	}
	const heads = 32 // a longer length of a graph, or an opset
	out := make([]byte, 0, len(file)+added+heads*(1+len(c.graphs)))
	done := int64(0)
	for _, g := range c.graphs {
		out = append(out, file[done:g.tag]...)
		out = c.graph(out, file, g.span)
		done = g.to
	}
	out = append(out, file[done:]...)
	if !c.standard {
		const identity = 13 // any version of it will do
		out = message(out, modelOpset, number(opsetVersion, identity))
	}
	return out, nil
}

// graph appends a graph with its edits made.
func (c *cutter) graph(out, file []byte, s span) []byte {
	size := s.to - s.from
	var edits []edit
	for _, e := range c.edits {
		if e.at.tag >= s.from && e.at.to <= s.to {
			edits = append(edits, e)
			size += int64(len(e.with)) - (e.at.to - e.at.tag)
		}
	}
	out = protowire.AppendTag(out, modelGraph, protowire.BytesType)
	out = protowire.AppendVarint(out, uint64(size)) //nolint:gosec // not less than nothing is left
	for _, e := range edits {
		out = append(append(out, file[s.from:e.at.tag]...), e.with...)
		s.from = e.at.to
	}
	return append(out, file[s.from:s.to]...)
}

// message appends a field that holds a message of these parts.
func message(b []byte, n protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), slices.Concat(parts...))
}

// text returns a field that holds s.
func text(n protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, n, protowire.BytesType), s)
}

// number returns a field that holds v.
func number(n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
}
