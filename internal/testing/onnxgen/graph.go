package onnxgen

import (
	"fmt"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice.io/sluice/internal/infer"
)

const (
	irVersion    = 8  // the oldest that supports all of this package
	defaultOpset = 17 // the first with LayerNormalization; ReduceMean still has its axes as an attribute
)

// Graph is a model or subgraph that is being built.
type Graph struct {
	name    string
	ids     *int // numbers the values; shared with subgraphs, whose names must differ too
	opsets  []opset
	nodes   []*node
	inits   []initializer
	inputs  []valueInfo
	outputs []valueInfo
	files   map[string][]byte // external data by location
	entries [][2]string       // metadata
}

type opset struct {
	domain  string
	version int64
}

type valueInfo struct {
	value *Value
	typ   Type
}

// Value is an input, an initializer or the result of an operator. The methods that add
// attributes apply to the operator that made it.
type Value struct {
	name string
	node *node // nil for inputs and initializers
}

type node struct {
	domain, op string
	inputs     []*Value
	outputs    []*Value
	attributes []attribute
}

// New returns an empty model. The name is also that of its folder.
func New(name string) *Graph {
	return &Graph{name: name, ids: new(int), opsets: []opset{{version: defaultOpset}}, files: map[string][]byte{}}
}

// Sub returns an empty subgraph for Value.Graph. It may use the values of g.
func (g *Graph) Sub(name string) *Graph { return &Graph{name: name, ids: g.ids, files: g.files} }

// Name returns the name of the model.
func (g *Graph) Name() string { return g.name }

// As gives the model another name and returns it.
func (g *Graph) As(name string) *Graph {
	g.name = name
	return g
}

// Opset sets the version of an operator domain; "" is ONNX's own.
func (g *Graph) Opset(domain string, version int64) {
	for i := range g.opsets {
		if g.opsets[i].domain == domain {
			g.opsets[i].version = version
			return
		}
	}
	g.opsets = append(g.opsets, opset{domain, version})
}

// Metadata adds an entry to the metadata of the file.
func (g *Graph) Metadata(key, value string) { g.entries = append(g.entries, [2]string{key, value}) }

// Input adds a tensor input. See Tensor for the dimensions.
func (g *Graph) Input(name string, dtype infer.DType, dims ...any) *Value {
	return g.InputOf(name, Tensor(dtype, dims...))
}

// InputOf adds an input of any type.
func (g *Graph) InputOf(name string, t Type) *Value {
	v := &Value{name: name}
	g.inputs = append(g.inputs, valueInfo{v, t})
	return v
}

// InputWithDefault adds an input that a request may leave out: its value is then def, which
// must have a name. The dimensions are those of the input.
func (g *Graph) InputWithDefault(def infer.Tensor, dims ...any) *Value {
	v := g.Init(def)
	g.inputs = append(g.inputs, valueInfo{v, Tensor(def.DType, dims...)})
	return v
}

// Output makes v an output called name. See Tensor for the dimensions.
func (g *Graph) Output(name string, dtype infer.DType, v *Value, dims ...any) {
	g.OutputOf(name, v, Tensor(dtype, dims...))
}

// OutputOf makes v an output of any type, called name. A value that is already an input, an
// initializer or an output becomes one through an Identity.
func (g *Graph) OutputOf(name string, v *Value, t Type) {
	if v.node == nil || g.isOutput(v) {
		v = g.Op("Identity", v)
	}
	v.name = name
	g.outputs = append(g.outputs, valueInfo{v, t})
}

func (g *Graph) isOutput(v *Value) bool {
	for _, o := range g.outputs {
		if o.value == v {
			return true
		}
	}
	return false
}

// Op adds an operator with one output. A nil input is an optional one that is left out.
func (g *Graph) Op(op string, inputs ...*Value) *Value { return g.OpIn("", op, inputs...) }

// OpIn adds an operator of another domain, whose Opset must be set.
func (g *Graph) OpIn(domain, op string, inputs ...*Value) *Value {
	n := &node{domain: domain, op: op, inputs: inputs}
	g.nodes = append(g.nodes, n)
	return n.output(g)
}

func (n *node) output(g *Graph) *Value {
	v := &Value{name: g.unique(n.op), node: n}
	n.outputs = append(n.outputs, v)
	return v
}

func (g *Graph) unique(hint string) string {
	*g.ids++
	return hint + "_" + strconv.Itoa(*g.ids)
}

// Bytes returns the model as protobuf.
func (g *Graph) Bytes() []byte {
	b := appendInt(nil, modelIRVersion, irVersion)
	b = appendString(b, modelProducer, "onnxgen")
	b = appendBytes(b, modelGraph, g.encode())
	for _, o := range g.opsets {
		b = appendBytes(b, modelOpset, appendInt(appendString(nil, opsetDomain, o.domain), opsetVersion, o.version))
	}
	for _, e := range g.entries {
		b = appendBytes(b, modelMetadata, appendString(appendString(nil, entryKey, e[0]), entryValue, e[1]))
	}
	return b
}

func (g *Graph) encode() []byte {
	var b []byte
	for i, n := range g.nodes {
		b = appendBytes(b, graphNode, n.encode(fmt.Sprintf("%s_%d", n.op, i)))
	}
	b = appendString(b, graphName, g.name)
	for _, t := range g.inits {
		b = appendBytes(b, graphInitializer, t.encode())
	}
	for _, v := range g.inputs {
		b = appendBytes(b, graphInput, v.encode())
	}
	for _, v := range g.outputs {
		b = appendBytes(b, graphOutput, v.encode())
	}
	return b
}

func (n *node) encode(name string) []byte {
	var b []byte
	for _, v := range n.inputs {
		if v == nil {
			v = &Value{}
		}
		b = appendString(b, nodeInput, v.name)
	}
	for _, v := range n.outputs {
		b = appendString(b, nodeOutput, v.name)
	}
	b = appendString(b, nodeName, name)
	b = appendString(b, nodeOp, n.op)
	for _, a := range n.attributes {
		b = appendBytes(b, nodeAttribute, a.encode())
	}
	return appendString(b, nodeDomain, n.domain)
}

func (v valueInfo) encode() []byte {
	b := appendString(nil, valueName, v.value.name)
	return appendBytes(b, valueType, v.typ.encoded)
}

func appendInt(b []byte, field protowire.Number, v int64) []byte {
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(v))
}

func appendString(b []byte, field protowire.Number, s string) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendString(b, s)
}

func appendBytes(b []byte, field protowire.Number, s []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, s)
}
