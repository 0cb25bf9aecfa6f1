package ort

import (
	"fmt"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// onnxType is ONNX Runtime's number for the kind of a value.
type onnxType int

const (
	onnxTensor   onnxType = 1
	onnxSequence onnxType = 2
	onnxMap      onnxType = 3
	onnxSparse   onnxType = 5
	onnxOptional onnxType = 6
)

func (t onnxType) String() string {
	switch t {
	case onnxTensor:
		return "tensor"
	case onnxSequence:
		return "sequence"
	case onnxMap:
		return "map"
	case onnxSparse:
		return "sparse tensor"
	case onnxOptional:
		return "optional"
	default:
		return fmt.Sprintf("value of kind %d", int(t))
	}
}

// onnxDType is ONNX's number of an element type (TensorProto.DataType).
type onnxDType int

// dtype returns the data type, InvalidDType if the protocol has none for it.
func (n onnxDType) dtype() infer.DType {
	switch n {
	case 1:
		return infer.FP32
	case 2:
		return infer.Uint8
	case 3:
		return infer.Int8
	case 4:
		return infer.Uint16
	case 5:
		return infer.Int16
	case 6:
		return infer.Int32
	case 7:
		return infer.Int64
	case 8:
		return infer.Bytes
	case 9:
		return infer.Bool
	case 10:
		return infer.FP16
	case 11:
		return infer.FP64
	case 12:
		return infer.Uint32
	case 13:
		return infer.Uint64
	case 16:
		return infer.BF16
	default:
		return infer.InvalidDType
	}
}

// String names the element types for which dtype is InvalidDType.
func (n onnxDType) String() string {
	names := map[onnxDType]string{
		14: "complex64", 15: "complex128", 17: "float8e4m3fn", 18: "float8e4m3fnuz", 19: "float8e5m2", 20: "float8e5m2fnuz",
		21: "uint4", 22: "int4", 23: "float4e2m1", 24: "uint2", 25: "int2",
	}
	if name, ok := names[n]; ok {
		return name
	}
	return fmt.Sprintf("type %d", int(n))
}

// fromDType is the inverse of dtype.
func fromDType(d infer.DType) onnxDType {
	for n := onnxDType(1); n <= 16; n++ {
		if n.dtype() == d {
			return n
		}
	}
	panic("BUG: no ONNX element type for " + d.String())
}

// signature reads a session's inputs and outputs. Optional inputs come after the required ones.
// Errors are Invalid.
func signature(s cSession, o *LoadOptions) (*infer.Model, error) {
	in, err := specs(s, inputs, o.Producer)
	if err != nil {
		return nil, err
	}
	optional, err := specs(s, optionalInputs, o.Producer)
	if err != nil {
		return nil, err
	}
	for i := range optional {
		optional[i].Optional = true
	}
	out, err := specs(s, outputs, o.Producer)
	if err != nil {
		return nil, err
	}
	return infer.NewModel(o.Name, o.Version, append(in, optional...), out), nil
}

func specs(s cSession, kind argumentKind, producer string) ([]infer.TensorSpec, error) {
	list, err := arguments(s, kind)
	if err != nil {
		return nil, &infer.Error{Code: infer.Invalid, Op: "ort: load", Msg: "the model's signature cannot be read", Err: err}
	}
	what := "input"
	if kind == outputs {
		what = "output"
	}
	result := make([]infer.TensorSpec, len(list))
	for i := range list {
		if result[i], err = list[i].spec(what, producer); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// tensorsAlone says how to make a library export tensors in place of sequences and maps.
func tensorsAlone(producer string) string {
	switch strings.ToLower(producer) {
	case "skl2onnx":
		return "export it with to_onnx(…, options={'zipmap': False})"
	case "onnxmltools":
		return "export it with zipmap=False, convert_lightgbm(…, zipmap=False) for example"
	case "pytorch":
		return "let the module's forward return tensors, not lists or dictionaries"
	case "tf2onnx":
		return "let the function that is exported return tensors, not lists or dictionaries"
	default:
		return "export the model with only tensors as inputs and outputs (skl2onnx: options={'zipmap': False})"
	}
}

// spec converts an argument. The error says why it cannot be served and what to do.
func (a *argument) spec(what, producer string) (infer.TensorSpec, error) {
	d := a.dtype.dtype()
	switch {
	case a.kind == onnxSequence, a.kind == onnxOptional, a.kind == onnxMap:
		typ := a.kind.String()
		if a.kind != onnxMap {
			typ += "(" + a.element.String() + ")"
		}
		return infer.TensorSpec{}, infer.Errorf(infer.Invalid,
			"%s '%s' has the type %s, and only tensors can be served; %s", what, a.name, typ, tensorsAlone(producer))
	case a.kind != onnxTensor:
		return infer.TensorSpec{}, infer.Errorf(infer.Invalid, "%s '%s' is a %v, and only tensors can be served", what, a.name, a.kind)
	case d == infer.InvalidDType:
		return infer.TensorSpec{}, infer.Errorf(infer.Invalid,
			"%s '%s' has the element type %v, which the Open Inference Protocol does not have; cast it in the model", what, a.name, a.dtype)
	case !a.hasShape && what == "input":
		return infer.TensorSpec{}, infer.Errorf(infer.Invalid,
			"input '%s' declares no shape; export the model with one (dimensions may vary, their number may not)", a.name)
	}
	return infer.TensorSpec{Name: a.name, DType: d, Shape: a.shape, Symbols: a.symbols}, nil
}
