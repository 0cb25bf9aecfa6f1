package oip

import (
	"bytes"
	"cmp"
	"math"
	"strconv"
)

// middleBits are the last bits of a float32. They are 0 if it is the middle between two 16-bit
// floats: that has at most 12 significant bits of the 24.
const middleBits = 1<<12 - 1

// half returns the 16-bit float nearest to d, ties to even. round rounds a float32 to it. An
// infinity means that d is out of range.
//
// Rounding in steps would round twice: a decimal just above the middle of two halves may become
// that middle as a float64. So the step to float32 records the cut-off part in the last bit (then
// it is not a middle), and if the float64 is a middle the text decides.
func (d decimal) half(text []byte, round func(float32) uint16) uint16 {
	v, ok := d.float64(text)
	f := float32(v)
	switch {
	case !ok || v == 0:
		return round(f) // an infinity, or a zero with its sign
	case float64(f) != v:
		return round(oddFloat32(f, v))
	case math.Float32bits(f)&middleBits != 0:
		return round(f)
	}
	below, above := round(math.Nextafter32(f, 0)), round(math.Nextafter32(f, 2*f))
	if below == above {
		return below
	}
	var buf [192]byte // a middle of the smallest bfloat16 values has 95 digits
	switch side := compareMagnitude(text, strconv.AppendFloat(buf[:0], v, 'e', 160, 64)); {
	case side < 0:
		return below
	case side > 0:
		return above
	default:
		return round(f)
	}
}

// oddFloat32 returns v truncated to a float32 with the last bit set. f is the float32 nearest to v
// and differs from v.
func oddFloat32(f float32, v float64) float32 {
	bits := math.Float32bits(f)
	if math.Abs(float64(f)) > math.Abs(v) {
		bits--
	}
	return math.Float32frombits(bits | 1)
}

// compareMagnitude compares the absolute values of two JSON numbers other than 0 exactly.
func compareMagnitude(a, b []byte) int {
	a, aExp := significant(a)
	b, bExp := significant(b)
	if c := cmp.Compare(aExp, bExp); c != 0 {
		return c
	}
	for len(a) > 0 || len(b) > 0 {
		var x, y byte
		x, a = nextDigit(a)
		y, b = nextDigit(b)
		if c := cmp.Compare(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// significant returns the digits of a number from the first one that is not 0, and the power of ten
// of that digit.
func significant(text []byte) (digits []byte, exp int) {
	digits = bytes.TrimPrefix(text, []byte("-"))
	if i := bytes.IndexAny(digits, "eE"); i >= 0 {
		exp = decimal{}.scanExponent(digits, i+1).exp
		digits = digits[:i]
	}
	point := bytes.IndexByte(digits, '.')
	if point < 0 {
		point = len(digits)
	}
	first := bytes.IndexAny(digits, "123456789")
	if first < 0 {
		return nil, math.MinInt
	}
	exp += point - first
	if first < point {
		exp--
	}
	return digits[first:], exp
}

// nextDigit returns the first digit, '0' at the end, and the rest. It skips the point.
func nextDigit(digits []byte) (digit byte, rest []byte) {
	if len(digits) > 0 && digits[0] == '.' {
		digits = digits[1:]
	}
	if len(digits) == 0 {
		return '0', nil
	}
	return digits[0], digits[1:]
}
