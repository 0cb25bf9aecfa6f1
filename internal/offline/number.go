package offline

import (
	"encoding/binary"
	"math"

	"sluice.io/sluice/internal/infer"
)

// putNumber writes a number as an element of a tensor of numbers. It reports
// false, and writes nothing, where the datatype has no such number: none that is near
// it is taken for an integer.
func putNumber(b []byte, d infer.DType, x float64) bool {
	le := binary.LittleEndian
	switch d {
	case infer.FP64:
		le.PutUint64(b, math.Float64bits(x))
		return true
	case infer.FP32:
		le.PutUint32(b, math.Float32bits(float32(x)))
		return true
	case infer.FP16:
		le.PutUint16(b, infer.Float32ToFP16(float32(x)))
		return true
	case infer.BF16:
		le.PutUint16(b, infer.Float32ToBF16(float32(x)))
		return true
	default:
	}
	low, limit := integers(d)
	if !(x >= low && x < limit) || x != math.Trunc(x) { // NaN is neither
		return false
	}
	bits := uint64(int64(x))
	if d == infer.Uint64 {
		bits = uint64(x)
	}
	switch d.Size() {
	case 1:
		b[0] = byte(bits)
	case 2:
		le.PutUint16(b, uint16(bits))
	case 4:
		le.PutUint32(b, uint32(bits))
	default:
		le.PutUint64(b, bits)
	}
	return true
}

// integers returns the least integer of a datatype, and the first beyond it.
func integers(d infer.DType) (low, limit float64) {
	switch d {
	case infer.Bool:
		return 0, 2
	case infer.Uint8, infer.Uint16, infer.Uint32, infer.Uint64:
		return 0, math.Ldexp(1, 8*d.Size())
	case infer.Int8, infer.Int16, infer.Int32, infer.Int64:
		return -math.Ldexp(1, 8*d.Size()-1), math.Ldexp(1, 8*d.Size()-1)
	default:
		return 0, 0
	}
}
