package onnxfile

import (
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice.io/sluice/internal/infer"
)

// ZipMap is an operator of the ai.onnx.ml domain that makes an output of a model: a map from
// class to probability for each row. skl2onnx and others add it to a classifier by default.
type ZipMap struct {
	Output string
	Labels []string // of the classes, by column; integers as decimals
}

// maxLabels bounds the classes of a ZipMap.
const maxLabels = 1 << 20

// zip is a ZipMap node.
type zip struct {
	at     field
	input  string
	labels []string
}

// zipMap stores a ZipMap node.
func (a *adapter) zipMap(f field) error {
	z := &zip{at: f}
	var output string
	err := a.fields(f.span, func(x field) (err error) {
		switch {
		case x.typ != protowire.BytesType:
		case x.number == nodeInput:
			z.input, err = a.text(x.span)
		case x.number == nodeOutput:
			output, err = a.text(x.span)
		case x.number == nodeAttribute:
			err = a.classes(z, x.span)
		}
		return err
	})
	a.zips[output] = z
	return err
}

// classes reads the attribute that lists the class labels.
func (a *adapter) classes(z *zip, s span) error {
	var name string
	if err := a.named(s, attributeName, func(n string) { name = n }); err != nil {
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
	return a.fields(s, func(f field) error {
		switch {
		case f.number == attributeTexts && f.typ == protowire.BytesType:
			if f.to-f.from > maxTextBytes {
				return infer.Errorf(infer.Invalid, "a class label of the model is longer than %d bytes", maxTextBytes)
			}
			label, err := a.text(f.span)
			if err != nil {
				return err
			}
			return add(label)
		case f.number == attributeInts && f.typ == protowire.VarintType:
			return addInt(f.value)
		case f.number == attributeInts && f.typ == protowire.BytesType: // packed
			for s := f.span; s.from < s.to; {
				v, next, err := a.varint(s)
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

// output gives an output of a ZipMap the type of the probabilities, and replaces the ZipMap by
// an Identity. The first dimension gets no name: one that has another meaning elsewhere in the
// graph would mislead ONNX Runtime.
func (a *adapter) output(f field) error {
	if f.number != graphOutput || f.typ != protowire.BytesType {
		return nil
	}
	var name string
	if err := a.named(f.span, valueName, func(n string) { name = n }); err != nil {
		return err
	}
	z := a.zips[name]
	if z == nil {
		return nil
	}
	element := uint64(elementFloat)
	if err := a.element(f.span, func(v uint64) { element = v }, valueType, typeSequence, sequenceElement, typeMap, mapValue, typeTensor); err != nil {
		return err
	}
	if element != elementDouble { // the operator itself does not accept it
		element = elementFloat
	}
	var classes []byte
	if n := len(z.labels); n > 0 {
		classes = number(dimensionValue, uint64(n))
	}
	shape := message(nil, tensorShape, message(nil, shapeDimension), message(nil, shapeDimension, classes))
	typ := message(nil, typeTensor, number(typeElement, element), shape)
	a.edits = append(a.edits,
		edit{f, message(nil, graphOutput, text(valueName, name), message(nil, valueType, typ))},
		edit{z.at, message(nil, graphNode, text(nodeInput, z.input), text(nodeOutput, name), text(nodeOperator, "Identity"))},
	)
	a.cuts = append(a.cuts, ZipMap{Output: name, Labels: z.labels})
	delete(a.zips, name) // a duplicate output is left to ONNX Runtime, which refuses it
	return nil
}

// element calls f with the datatype of the tensor at this path in a message.
func (a *adapter) element(s span, f func(uint64), path ...protowire.Number) error {
	return a.fields(s, func(x field) error {
		switch {
		case len(path) == 0 && x.number == typeElement && x.typ == protowire.VarintType:
			f(x.value)
		case len(path) > 0 && x.number == path[0] && x.typ == protowire.BytesType:
			return a.element(x.span, f, path[1:]...)
		}
		return nil
	})
}

// info removes the file's information about the maps among the values inside the graph.
func (a *adapter) info(f field) error {
	if f.number != graphInfo || f.typ != protowire.BytesType {
		return nil
	}
	return a.named(f.span, valueName, func(name string) {
		if slices.ContainsFunc(a.cuts, func(z ZipMap) bool { return z.Output == name }) {
			a.edits = append(a.edits, edit{at: f})
		}
	})
}
