package onnxfile

import (
	"os"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice.io/sluice/internal/infer"
)

// MaxOpset is the newest version of the standard's operators that the pinned ONNX Runtime
// loads.
const MaxOpset = 25

// maxDescribed is the max number of inputs, of outputs, and of initializers whose names are
// known. A graph with more is described as far as that.
const maxDescribed = 100_000

// Description is what a model file says about itself.
type Description struct {
	IRVersion       int64
	Producer        string           // name and version of the program that wrote it
	Opsets          map[string]int64 // by domain; "ai.onnx" is the standard's
	Inputs, Outputs []Value
}

// Value is an input or output of the graph.
type Value struct {
	Name     string
	Datatype string  // as in the protocol, "FP32"; a few words if the value is not a tensor
	Shape    []int64 // -1 for a dimension that varies
	Symbols  []string
	Optional bool // an input with an initializer
}

// Describe returns the description of the model at path in root, or of changed if that is not
// nil. The error is Invalid if the file is not an ONNX model, or needs newer operators than
// ONNX Runtime has.
func Describe(root *os.Root, path string, changed []byte) (d Description, err error) {
	d.Opsets = map[string]int64{}
	err = open(root, path, changed, func(w *walker, size int64) error {
		r := describer{walker: w, Description: &d, initialized: map[string]bool{}}
		return r.model(span{0, size})
	})
	if err != nil {
		return d, err
	}
	switch v := d.Opsets["ai.onnx"]; {
	case len(d.Opsets) == 0:
		return d, malformed("it does not say which operators it uses (opset_import)")
	case v > MaxOpset:
		return d, infer.Errorf(infer.Invalid, "the model needs opset %d of the standard's operators; expected at most %d: export it with an older opset", v, MaxOpset)
	case v < 0:
		return d, malformed("opset %d is not valid", v)
	}
	return d, nil
}

// Fields of ModelProto, TypeProto and TensorShapeProto.Dimension, besides those in adapt.go and
// relax.go.
const (
	modelIR, modelProducerVersion = 1, 3
	typeSparse                    = 8
	dimensionSymbol               = 2
)

// datatypes are the datatypes of the protocol by their number in TensorProto.
var datatypes = [...]string{
	1: "FP32", 2: "UINT8", 3: "INT8", 4: "UINT16", 5: "INT16", 6: "INT32", 7: "INT64", 8: "BYTES", 9: "BOOL", 10: "FP16", 11: "FP64",
	12: "UINT32", 13: "UINT64", 16: "BF16",
}

type describer struct {
	*walker
	*Description

	graphs      int
	initialized map[string]bool
}

func (r *describer) model(s span) error {
	var name, version string
	err := r.fields(s, func(f field) (err error) {
		switch {
		case f.number == modelIR && f.typ == protowire.VarintType:
			r.IRVersion = int64(f.value) //nolint:gosec // a number of a file
		case f.typ != protowire.BytesType:
		case f.number == modelProducer:
			name, err = r.short(f.span)
		case f.number == modelProducerVersion:
			version, err = r.short(f.span)
		case f.number == modelOpset:
			err = r.opset(f.span)
		case f.number == modelGraph:
			r.graphs++
			err = r.graph(f.span)
		}
		return err
	})
	if err == nil && r.graphs == 0 {
		err = malformed("it has no graph")
	}
	r.Producer = strings.TrimSpace(name + " " + version)
	for i := range r.Inputs {
		r.Inputs[i].Optional = r.initialized[r.Inputs[i].Name]
	}
	return err
}

// short returns the beginning of a text.
func (r *describer) short(s span) (string, error) {
	s.to = min(s.to, s.from+maxTextBytes)
	text, err := r.text(s)
	return strings.ToValidUTF8(text, "\uFFFD"), err
}

func (r *describer) opset(s span) error {
	domain, version := "", int64(0)
	err := r.fields(s, func(f field) (err error) {
		switch {
		case f.number == opsetDomain && f.typ == protowire.BytesType:
			domain, err = r.short(f.span)
		case f.number == opsetVersion && f.typ == protowire.VarintType:
			version = int64(f.value) //nolint:gosec // checked by Describe
		}
		return err
	})
	if domain == "" {
		domain = "ai.onnx"
	}
	if len(r.Opsets) < maxDescribed {
		r.Opsets[domain] = version
	}
	return err
}

func (r *describer) graph(s span) error {
	return r.fields(s, func(f field) (err error) {
		if f.typ != protowire.BytesType {
			return nil
		}
		switch f.number {
		case graphInput:
			r.Inputs, err = r.add(r.Inputs, f.span)
		case graphOutput:
			r.Outputs, err = r.add(r.Outputs, f.span)
		default:
			if f.number == graphInitializer && len(r.initialized) < maxDescribed {
				err = r.initializer(f.span)
			}
		}
		return err
	})
}

func (r *describer) initializer(s span) error {
	return r.fields(s, func(f field) error {
		if f.number != tensorName || f.typ != protowire.BytesType {
			return nil
		}
		name, err := r.short(f.span)
		r.initialized[name] = true
		return err
	})
}

func (r *describer) add(list []Value, s span) ([]Value, error) {
	if len(list) >= maxDescribed {
		return list, nil
	}
	var v Value
	err := r.fields(s, func(f field) (err error) {
		switch {
		case f.typ != protowire.BytesType:
		case f.number == valueName:
			v.Name, err = r.short(f.span)
		case f.number == valueType:
			err = r.fields(f.span, func(t field) error { return r.kind(&v, t) })
		}
		return err
	})
	return append(list, v), err
}

// kind reads the type of a value.
func (r *describer) kind(v *Value, f field) error {
	switch f.number {
	case typeTensor:
		if f.typ == protowire.BytesType {
			v.Shape = []int64{}
			return r.fields(f.span, func(t field) error { return r.tensorType(v, t) })
		}
	case typeSequence:
		v.Datatype = "a sequence"
	case typeMap:
		v.Datatype = "a map"
	case typeSparse:
		v.Datatype = "a sparse tensor"
	default:
	}
	return nil
}

func (r *describer) tensorType(v *Value, f field) error {
	switch {
	case f.number == typeElement && f.typ == protowire.VarintType:
		if f.value < uint64(len(datatypes)) {
			v.Datatype = datatypes[f.value]
		}
	case f.number == tensorShape && f.typ == protowire.BytesType:
		return r.fields(f.span, func(d field) error {
			if d.number != shapeDimension || d.typ != protowire.BytesType || len(v.Shape) >= maxDims {
				return nil
			}
			return r.dim(v, d.span)
		})
	}
	return nil
}

// maxDims is the max number of dimensions of a value that is described.
const maxDims = 64

func (r *describer) dim(v *Value, s span) error {
	size, symbol := int64(-1), ""
	err := r.fields(s, func(f field) (err error) {
		switch {
		case f.number == dimensionValue && f.typ == protowire.VarintType && int64(f.value) > 0: //nolint:gosec // 0 and less are not known sizes
			size = int64(f.value) //nolint:gosec // as above
		case f.number == dimensionSymbol && f.typ == protowire.BytesType:
			symbol, err = r.short(f.span)
		}
		return err
	})
	v.Shape, v.Symbols = append(v.Shape, size), append(v.Symbols, symbol)
	return err
}
