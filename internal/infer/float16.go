package infer

import "math"

// Float32ToFP16 rounds to IEEE 754 binary16, nearest even. Values beyond its
// range become infinities, NaN stays a quiet NaN.
func Float32ToFP16(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	exp := int32(b>>23&0xff) - 127
	mant := b & 0x7fffff
	switch {
	case exp == 128 && mant != 0:
		return sign | 0x7e00
	case exp > 15:
		return sign | 0x7c00
	case exp >= -14: // normal; a carry out of the mantissa correctly raises the exponent
		half := uint32(exp+15)<<10 | mant>>13
		return sign | uint16(roundEven(half, mant&0x1fff, 0x1000))
	case exp >= -25: // subnormal
		mant |= 0x800000
		shift := uint32(-exp - 1) // 13 at exp -14 counts the implicit bit down
		half := mant >> shift
		return sign | uint16(roundEven(half, mant&(1<<shift-1), 1<<(shift-1)))
	default:
		return sign
	}
}

// FP16ToFloat32 widens exactly.
func FP16ToFloat32(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h >> 10 & 0x1f)
	mant := uint32(h & 0x3ff)
	switch exp {
	case 0: // zero or subnormal: mant * 2^-24
		f := float32(mant) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(f))
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | mant<<13)
	default:
		return math.Float32frombits(sign | (exp+112)<<23 | mant<<13)
	}
}

// Float32ToBF16 rounds to bfloat16, nearest even. NaN stays a quiet NaN.
func Float32ToBF16(f float32) uint16 {
	b := math.Float32bits(f)
	if f != f {
		return uint16(b>>16) | 0x40
	}
	return uint16(roundEven(b>>16, b&0xffff, 0x8000))
}

// BF16ToFloat32 widens exactly.
func BF16ToFloat32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// roundEven adds one to v if the bits that are cut off are more than half, or half and v is
// odd.
func roundEven(v, cut, half uint32) uint32 {
	if cut > half || cut == half && v&1 == 1 {
		return v + 1
	}
	return v
}
