package oip

import (
	"math"
	"strconv"
)

// maxPower is the largest power of ten in the table. With it and 19 digits every normal float32 can
// be written.
const maxPower = 60

// pow10 has the powers of ten from -maxPower to maxPower, rounded to float64. From 1e0 to 1e22 they
// are exact.
var pow10 = [2*maxPower + 1]float64{
	1e-60, 1e-59, 1e-58, 1e-57, 1e-56, 1e-55, 1e-54, 1e-53, 1e-52, 1e-51, 1e-50, 1e-49,
	1e-48, 1e-47, 1e-46, 1e-45, 1e-44, 1e-43, 1e-42, 1e-41, 1e-40, 1e-39, 1e-38, 1e-37,
	1e-36, 1e-35, 1e-34, 1e-33, 1e-32, 1e-31, 1e-30, 1e-29, 1e-28, 1e-27, 1e-26, 1e-25,
	1e-24, 1e-23, 1e-22, 1e-21, 1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13,
	1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1,
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23,
	1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34, 1e35,
	1e36, 1e37, 1e38, 1e39, 1e40, 1e41, 1e42, 1e43, 1e44, 1e45, 1e46, 1e47,
	1e48, 1e49, 1e50, 1e51, 1e52, 1e53, 1e54, 1e55, 1e56, 1e57, 1e58, 1e59,
	1e60,
}

// float32 returns the bits of the float32 nearest to d, whose text is text. ok is false if d is out
// of range.
//
// The fast path computes the product of digits and power as a float64 and rounds it to a float32.
// The digits, the power and the product are each rounded by half a unit in the last place, so the
// float64 is off by less than four units. The float32 is the nearest one unless the middle between
// two of them is within these four units. For those, for subnormal results and for results near the
// limit, strconv decides.
func (d decimal) float32(text []byte) (bits uint32, ok bool) {
	const (
		cut    = 1 << 29 // units of the float64 to one of the float32
		middle = cut / 2
		margin = 4
		least  = 1023 - 126 // biased exponent of the smallest normal float32
		most   = 1023 + 126 // one below the largest, so that rounding cannot overflow
	)
	sign := uint32(d.flags&negative) << 31
	if i := uint(d.exp + maxPower); i < uint(len(pow10)) && !d.has(many) {
		f := float64(d.mant) * pow10[i]
		b := math.Float64bits(f)
		if b>>52-least <= most-least && b%cut-(middle-margin) > 2*margin {
			return math.Float32bits(float32(f)) | sign, true
		}
		if d.mant == 0 {
			return sign, true
		}
	}
	f, err := strconv.ParseFloat(string(text), 32)
	return math.Float32bits(float32(f)), err == nil
}

// float64 returns the float64 nearest to d, whose text is text. ok is false if d is out of range.
// The fast path is one operation on two exact numbers, so it rounds only once.
func (d decimal) float64(text []byte) (f float64, ok bool) {
	switch {
	case d.mant >= 1<<53 || d.has(many) || d.exp < -22 || d.exp > 22:
		f, err := strconv.ParseFloat(string(text), 64)
		return f, err == nil
	case d.exp < 0:
		f = float64(d.mant) / pow10[maxPower-d.exp]
	default:
		f = float64(d.mant) * pow10[maxPower+d.exp]
	}
	if d.has(negative) {
		f = -f
	}
	return f, true
}
