package onnxgen

import (
	"fmt"

	"sluice.io/sluice/internal/infer"
)

// Type is the type of an input or output.
type Type struct{ encoded []byte }

// Tensor returns a tensor type. A dimension is an int or int64 (fixed), a string
// (symbolic) or nil (unknown); none make a scalar of rank 0.
func Tensor(dtype infer.DType, dims ...any) Type { return RawTensor(elementCode(dtype), dims...) }

// RawTensor returns a tensor type whose element type is a number of TensorProto.DataType, for
// types without an infer.DType.
func RawTensor(code int64, dims ...any) Type {
	var shape []byte
	for _, d := range dims {
		shape = appendBytes(shape, shapeDim, encodeDim(d))
	}
	t := appendInt(nil, elementType, code)
	return Type{appendBytes(nil, typeTensor, appendBytes(t, elementShape, shape))}
}

// Unranked returns a tensor type without a rank.
func Unranked(dtype infer.DType) Type {
	return Type{appendBytes(nil, typeTensor, appendInt(nil, elementType, elementCode(dtype)))}
}

// Sequence returns the type of a list of elem.
func Sequence(elem Type) Type {
	return Type{appendBytes(nil, typeSequence, appendBytes(nil, elementType, elem.encoded))}
}

// Optional returns the type of an elem that may be absent.
func Optional(elem Type) Type {
	return Type{appendBytes(nil, typeOptional, appendBytes(nil, elementType, elem.encoded))}
}

// Map returns the type of a map.
func Map(key infer.DType, value Type) Type {
	m := appendInt(nil, mapKey, elementCode(key))
	return Type{appendBytes(nil, typeMap, appendBytes(m, mapValue, value.encoded))}
}

func encodeDim(d any) []byte {
	switch d := d.(type) {
	case nil:
		return nil
	case int:
		return appendInt(nil, dimValue, int64(d))
	case int64:
		return appendInt(nil, dimValue, d)
	case string:
		return appendString(nil, dimParam, d)
	default:
		panic(fmt.Sprintf("BUG: dimension %v is a %T, neither a number, a string nor nil", d, d))
	}
}

// elementCode returns the number of TensorProto.DataType.
func elementCode(d infer.DType) int64 {
	switch d {
	case infer.FP32:
		return 1
	case infer.Uint8:
		return 2
	case infer.Int8:
		return 3
	case infer.Uint16:
		return 4
	case infer.Int16:
		return 5
	case infer.Int32:
		return 6
	case infer.Int64:
		return 7
	case infer.Bytes:
		return 8
	case infer.Bool:
		return 9
	case infer.FP16:
		return 10
	case infer.FP64:
		return 11
	case infer.Uint32:
		return 12
	case infer.Uint64:
		return 13
	case infer.BF16:
		return 16
	default:
		panic("BUG: no ONNX type for " + d.String())
	}
}
