package offline

import (
	"encoding/binary"
	"math"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
)

// integerColumns are the columns of a table for integer tensors.
type integerColumns []integerColumn

type integerColumn struct {
	at   int // in a row
	name string
	is   infer.DType
}

func integerColumnsOf(features []drift.Feature) integerColumns {
	var list integerColumns
	for i := range features {
		if d, ok := infer.ParseDType(features[i].Datatype); ok && isInteger(d) {
			list = append(list, integerColumn{i, features[i].Name, d})
		}
	}
	return list
}

// check marks NaN as missing, since tables of floats write it so, and no integer is NaN. Any other
// number must be valid for the datatype, since no request could have it otherwise.
func (c integerColumns) check(values []float64, missing []bool, line int) error {
	var element [8]byte
	for _, column := range c {
		x := values[column.at]
		switch {
		case missing[column.at]:
		case math.IsNaN(x):
			missing[column.at] = true
		case !putNumber(element[:], column.is, x):
			return infer.Errorf(infer.Invalid, "line %d: %v in column '%.60s' is not a valid %v", line, x, column.name, column.is)
		}
	}
	return nil
}

func isInteger(d infer.DType) bool {
	low, limit := integers(d)
	return low < limit
}

// putNumber writes a number as an element of a numeric tensor. It returns false, and writes
// nothing, if the datatype cannot express the number: it does not round to an integer.
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
	if !(x >= low && x < limit) || x != math.Trunc(x) { // false for NaN too
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

// integers returns the smallest integer of a datatype, and the first one above its largest.
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
