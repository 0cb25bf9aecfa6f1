package batch

import (
	"bytes"
	"encoding/binary"
	"math"

	"sluice.io/sluice/internal/infer"
)

// equal reports whether two tensors have the same type, shape and elements. Floats may differ
// within the tolerance of ProbeOptions. NaN equals NaN.
func equal(a, b *infer.Tensor, tolerance float64) bool {
	if a.DType != b.DType || !a.Shape.Equal(b.Shape) || len(a.Data) != len(b.Data) {
		return false
	}
	var at func(data []byte) float64
	le := binary.LittleEndian
	switch a.DType {
	case infer.FP16:
		tolerance *= 64
		at = func(data []byte) float64 { return float64(infer.FP16ToFloat32(le.Uint16(data))) }
	case infer.BF16:
		tolerance *= 512
		at = func(data []byte) float64 { return float64(infer.BF16ToFloat32(le.Uint16(data))) }
	case infer.FP32:
		at = func(data []byte) float64 { return float64(math.Float32frombits(le.Uint32(data))) }
	case infer.FP64:
		at = func(data []byte) float64 { return math.Float64frombits(le.Uint64(data)) }
	default:
		return bytes.Equal(a.Data, b.Data)
	}
	size := a.DType.Size()
	for i := 0; i+size <= len(a.Data); i += size {
		if !near(at(a.Data[i:]), at(b.Data[i:]), tolerance) {
			return false
		}
	}
	return true
}

// near compares the difference with the tolerance times the value plus one. So the bound is
// absolute near zero and relative far from it.
func near(x, y, tolerance float64) bool {
	if x == y || x != x && y != y {
		return true
	}
	if math.IsInf(x, 0) || math.IsInf(y, 0) {
		return false
	}
	return math.Abs(x-y) <= tolerance*(1+min(math.Abs(x), math.Abs(y)))
}
