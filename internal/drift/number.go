package drift

import (
	"encoding/binary"
	"math"

	"sluice.io/sluice/internal/infer"
)

// NumberReader returns the function that reads an element of a tensor as a number; nil if the
// datatype is not numeric. Integers beyond 2^53 are rounded.
func NumberReader(d infer.DType) func([]byte) float64 { return reader(d) }

// reader is NumberReader.
func reader(d infer.DType) func([]byte) float64 {
	le := binary.LittleEndian
	switch d {
	case infer.Bool, infer.Uint8:
		return func(b []byte) float64 { return float64(b[0]) }
	case infer.Int8:
		return func(b []byte) float64 { return float64(int8(b[0])) } //nolint:gosec // the bits are those of an int8
	case infer.Uint16:
		return func(b []byte) float64 { return float64(le.Uint16(b)) }
	case infer.Int16:
		return func(b []byte) float64 { return float64(int16(le.Uint16(b))) } //nolint:gosec // as above
	case infer.Uint32:
		return func(b []byte) float64 { return float64(le.Uint32(b)) }
	case infer.Int32:
		return func(b []byte) float64 { return float64(int32(le.Uint32(b))) } //nolint:gosec // as above
	case infer.Uint64:
		return func(b []byte) float64 { return float64(le.Uint64(b)) }
	case infer.Int64:
		return func(b []byte) float64 { return float64(int64(le.Uint64(b))) } //nolint:gosec // as above
	case infer.FP16:
		return func(b []byte) float64 { return float64(infer.FP16ToFloat32(le.Uint16(b))) }
	case infer.BF16:
		return func(b []byte) float64 { return float64(infer.BF16ToFloat32(le.Uint16(b))) }
	case infer.FP32:
		return func(b []byte) float64 { return float64(math.Float32frombits(le.Uint32(b))) }
	case infer.FP64:
		return func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) }
	default:
		return nil
	}
}
