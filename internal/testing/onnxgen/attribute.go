package onnxgen

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice.io/sluice/internal/infer"
)

// attribute encodes its value late: a value that a subgraph uses may be renamed later, when it
// becomes an output.
type attribute struct {
	name  string
	kind  int64
	value func(b []byte) []byte
}

func (a attribute) encode() []byte {
	b := appendString(nil, attributeName, a.name)
	b = a.value(b)
	return appendInt(b, attributeType, a.kind)
}

func (v *Value) attribute(name string, kind int64, value func(b []byte) []byte) *Value {
	if v.node == nil {
		panic("BUG: attribute " + name + " on " + v.name + ", which no operator made")
	}
	v.node.attributes = append(v.node.attributes, attribute{name, kind, value})
	return v
}

// Int adds an attribute and returns v, like the other methods here.
func (v *Value) Int(name string, i int64) *Value {
	return v.attribute(name, kindInt, func(b []byte) []byte { return appendInt(b, attributeInt, i) })
}

// Ints adds an attribute that is a list of integers.
func (v *Value) Ints(name string, list ...int64) *Value {
	return v.attribute(name, kindInts, func(b []byte) []byte {
		for _, i := range list {
			b = appendInt(b, attributeInts, i)
		}
		return b
	})
}

// Float adds an attribute that is a number.
func (v *Value) Float(name string, f float32) *Value {
	return v.attribute(name, kindFloat, func(b []byte) []byte { return appendFloat(b, attributeFloat, f) })
}

// Floats adds an attribute that is a list of numbers.
func (v *Value) Floats(name string, list ...float32) *Value {
	return v.attribute(name, kindFloats, func(b []byte) []byte {
		for _, f := range list {
			b = appendFloat(b, attributeFloats, f)
		}
		return b
	})
}

// String adds an attribute that is a text.
func (v *Value) String(name, s string) *Value {
	return v.attribute(name, kindString, func(b []byte) []byte { return appendString(b, attributeString, s) })
}

// Strings adds an attribute that is a list of texts.
func (v *Value) Strings(name string, list ...string) *Value {
	return v.attribute(name, kindStrings, func(b []byte) []byte {
		for _, s := range list {
			b = appendString(b, attributeStrings, s)
		}
		return b
	})
}

// Tensor adds an attribute that is a tensor.
func (v *Value) Tensor(name string, t infer.Tensor) *Value {
	return v.attribute(name, kindTensor, func(b []byte) []byte {
		return appendBytes(b, attributeTensor, initializer{Tensor: t, value: &Value{name: t.Name}}.encode())
	})
}

// Graph adds an attribute that is a subgraph, the body of a Loop for example.
func (v *Value) Graph(name string, sub *Graph) *Value {
	return v.attribute(name, kindGraph, func(b []byte) []byte { return appendBytes(b, attributeGraph, sub.encode()) })
}

func appendFloat(b []byte, field protowire.Number, f float32) []byte {
	b = protowire.AppendTag(b, field, protowire.Fixed32Type)
	return protowire.AppendFixed32(b, math.Float32bits(f))
}
