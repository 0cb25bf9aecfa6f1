package oip

import (
	"encoding/binary"
	"math"
	"strconv"
)

// decimal is a JSON number as it was scanned: mant × 10^exp.
type decimal struct {
	mant    uint64 // the digits as an integer, modulo 2^64 where there are many
	exp     int    // bounded; the text has the true value
	end     int    // where the number ends, or where it went wrong
	ok      bool   // false: a digit was expected at end
	neg     bool
	many    bool // more than 19 significant digits
	integer bool // neither fraction nor exponent
}

// maxExponent bounds what scanDecimal keeps of an exponent, so that it does not
// overflow. It is more than the zeros of a text can make up for.
const maxExponent = 1 << 27

// isNumber reports whether a number begins with b.
func isNumber(b byte) bool { return b == '-' || '0' <= b && b <= '9' }

// decimal reads a number and returns its text with it.
func (s *scanner) decimal() (d decimal, text []byte, p *problem) {
	if !isNumber(s.space()) {
		return d, nil, invalid("must be a number, not %s", s.kind())
	}
	start := s.pos
	d = scanDecimal(s.text, start)
	s.pos = d.end
	if !d.ok {
		return d, nil, s.syntax("a digit")
	}
	return d, s.text[start:d.end], nil
}

// integer reads an integer from -below to above; kind names that range.
func (s *scanner) integer(below, above uint64, kind string) (uint64, *problem) {
	if !isNumber(s.space()) {
		return 0, invalid("must be an integer, not %s", s.kind())
	}
	d, text, p := s.decimal()
	if p != nil {
		return 0, p
	}
	if !d.integer {
		return 0, invalid("%s is not written as an integer", excerpt(text))
	}
	n, ok := d.uint64(text)
	limit := above
	if d.neg {
		limit = below
	}
	if !ok || n > limit {
		return 0, invalid("%s does not fit %s", excerpt(text), kind)
	}
	if d.neg {
		n = -n
	}
	return n, nil
}

// scanDecimal scans the number at text[i], which is '-' or a digit. Of digits
// after a leading zero it reads only the zero: what follows is then the error.
func scanDecimal(text []byte, i int) (d decimal) {
	if text[i] == '-' {
		d.neg = true
		i++
	}
	start := i
	for i < len(text) && text[i]-'0' <= 9 {
		d.mant = d.mant*10 + uint64(text[i]-'0')
		i++
	}
	digits := i - start
	if digits == 0 {
		d.end = i
		return d
	}
	if digits > 1 && text[start] == '0' {
		d.end, d.ok, d.integer = start+1, true, true
		return d
	}
	d.integer = true
	if i < len(text) && text[i] == '.' {
		i++
		fraction := i
		d.mant, i = scanFraction(text, i, d.mant)
		d.exp = fraction - i
		d.integer = false
		if i == fraction {
			d.end = i
			return d
		}
		digits += i - fraction
	}
	d.many = digits > 19 && digits-leadingZeros(text[start:i]) > 19
	if i < len(text) && text[i]|0x20 == 'e' {
		return d.scanExponent(text, i+1)
	}
	d.end, d.ok = i, true
	return d
}

// scanFraction scans digits behind mant, eight at a time while there are as many:
// numbers that were once a float64 often have 16 or 17.
func scanFraction(text []byte, i int, mant uint64) (uint64, int) {
	for len(text)-i >= 8 {
		v := binary.LittleEndian.Uint64(text[i:])
		if !eightDigits(v) {
			break
		}
		mant = mant*1e8 + eightDigitsValue(v)
		i += 8
	}
	for i < len(text) && text[i]-'0' <= 9 {
		mant = mant*10 + uint64(text[i]-'0')
		i++
	}
	return mant, i
}

// eightDigits reports whether all bytes of v are ASCII digits: the high half of
// each is 3, and stays 3 when 6 is added to the low half.
func eightDigits(v uint64) bool {
	const high = 0xf0f0f0f0f0f0f0f0
	return v&high|(v+0x0606060606060606)&high>>4 == 0x3333333333333333
}

// eightDigitsValue returns the number that eight digits write, the first one in
// the lowest byte: pairs, then fours, then all are joined in parallel.
func eightDigitsValue(v uint64) uint64 {
	v -= 0x3030303030303030
	v = v*10 + v>>8
	const pairs = 0x000000ff000000ff
	return (v&pairs*(100+1_000_000<<32) + v>>16&pairs*(1+10_000<<32)) >> 32
}

func leadingZeros(digits []byte) int {
	n := 0
	for _, b := range digits {
		switch b {
		case '0':
			n++
		case '.':
		default:
			return n
		}
	}
	return n
}

// scanExponent finishes d with the exponent whose sign or first digit is at i.
func (d decimal) scanExponent(text []byte, i int) decimal {
	d.integer = false
	neg := false
	if i < len(text) && (text[i] == '+' || text[i] == '-') {
		neg = text[i] == '-'
		i++
	}
	start, e := i, 0
	for i < len(text) && text[i]-'0' <= 9 {
		if e < maxExponent {
			e = e*10 + int(text[i]-'0')
		}
		i++
	}
	if neg {
		e = -e
	}
	d.exp += e
	d.end, d.ok = i, i > start
	return d
}

// pow10 holds the powers of ten as float64. Up to 1e22 they are exact.
var pow10 = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
	1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31,
	1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39, 1e40, 1e41, 1e42, 1e43, 1e44, 1e45, 1e46, 1e47,
	1e48, 1e49, 1e50, 1e51, 1e52, 1e53, 1e54, 1e55, 1e56, 1e57, 1e58, 1e59, 1e60,
}

// approximate returns mant × 10^exp rounded at most three times: the mantissa,
// the power and their product or quotient, each by half a unit in the last place.
// It is ok where the table holds the power.
func (d *decimal) approximate() (f float64, ok bool) {
	switch {
	case d.many:
		return 0, false
	case 0 <= d.exp && d.exp < len(pow10):
		return float64(d.mant) * pow10[d.exp], true
	case -len(pow10) < d.exp && d.exp < 0:
		return float64(d.mant) / pow10[-d.exp], true
	default:
		return 0, false
	}
}

// float32 returns the float32 nearest to d, whose text is text, as bits. It is
// not ok where d is beyond the range.
//
// The fast path rounds twice, to float64 and then to float32. That gives the
// nearest float32 unless the float64 lies so close to the middle between two of
// them that its own error could have moved it across: then, and for results that
// are subnormal or near the limit, strconv decides. The error is below four
// units of the float64, whose middle is 2^28 of the 2^29 units that the float32
// cuts off.
func (d *decimal) float32(text []byte) (bits uint32, ok bool) {
	const (
		cut    = 1 << 29
		middle = cut / 2
		margin = 4
		least  = 1023 - 126 // biased exponent of the smallest normal float32
		most   = 1023 + 126 // one below the largest, so that no rounding overflows
	)
	if d.mant == 0 && !d.many {
		if d.neg {
			bits = 1 << 31
		}
		return bits, true
	}
	if f, ok := d.approximate(); ok {
		b := math.Float64bits(f)
		e, low := b>>52, b%cut
		if e-least <= most-least && low-(middle-margin) > 2*margin {
			bits = math.Float32bits(float32(f))
			if d.neg {
				bits |= 1 << 31
			}
			return bits, true
		}
	}
	return float32Slow(text)
}

func float32Slow(text []byte) (bits uint32, ok bool) {
	f, err := strconv.ParseFloat(string(text), 32)
	return math.Float32bits(float32(f)), err == nil
}

// float64 returns the float64 nearest to d, whose text is text. It is not ok
// where d is beyond the range. The fast path is one operation on two exact
// numbers, so it rounds once.
func (d *decimal) float64(text []byte) (f float64, ok bool) {
	if d.many || d.mant >= 1<<53 || d.exp < -22 || d.exp > 22 {
		f, err := strconv.ParseFloat(string(text), 64)
		return f, err == nil
	}
	f, _ = d.approximate()
	if d.neg {
		f = -f
	}
	return f, true
}

// uint64 returns the digits of an integer. It is not ok above 2^64-1.
func (d *decimal) uint64(text []byte) (n uint64, ok bool) {
	if !d.many {
		return d.mant, true
	}
	if d.neg {
		text = text[1:]
	}
	n, err := strconv.ParseUint(string(text), 10, 64)
	return n, err == nil
}
