package infer

import (
	"encoding/binary"
	"math"
)

// NumberReader returns the function that reads an element of a tensor as a number; nil if the
// datatype is not numeric. Integers beyond 2^53 are rounded.
func NumberReader(d DType) func([]byte) float64 {
	switch d {
	case Bool, Uint8:
		return func(b []byte) float64 { return float64(b[0]) }
	case Int8:
		return func(b []byte) float64 { return float64(int8(b[0])) } //nolint:gosec // the bits are those of an int8
	case Uint16:
		return func(b []byte) float64 { return float64(binary.LittleEndian.Uint16(b)) }
	case Int16:
		return func(b []byte) float64 { return float64(int16(binary.LittleEndian.Uint16(b))) } //nolint:gosec // as above
	case Uint32:
		return func(b []byte) float64 { return float64(binary.LittleEndian.Uint32(b)) }
	case Int32:
		return func(b []byte) float64 { return float64(int32(binary.LittleEndian.Uint32(b))) } //nolint:gosec // as above
	case Uint64:
		return func(b []byte) float64 { return float64(binary.LittleEndian.Uint64(b)) }
	case Int64:
		return func(b []byte) float64 { return float64(int64(binary.LittleEndian.Uint64(b))) } //nolint:gosec // as above
	case FP16:
		return func(b []byte) float64 { return float64(FP16ToFloat32(binary.LittleEndian.Uint16(b))) }
	case BF16:
		return func(b []byte) float64 { return float64(BF16ToFloat32(binary.LittleEndian.Uint16(b))) }
	case FP32:
		return func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) }
	case FP64:
		return func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }
	default:
		return nil
	}
}
