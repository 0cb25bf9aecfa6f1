package oip

import (
	"encoding/binary"
	"math/bits"
	"strconv"
)

// decimal is a scanned JSON number: mant × 10^exp. It is small enough to be passed in registers.
type decimal struct {
	mant  uint64 // the digits as an integer, modulo 2^64 if there are many
	exp   int    // bounded; the text has the exact value
	end   int    // the end of the number, or the position where a digit is missing
	flags numberFlags
}

// numberFlags are properties of a number.
type numberFlags uint8

const (
	negative   numberFlags = 1 << iota
	fractional             // written with a fraction or an exponent
	many                   // more than 19 significant digits
	broken                 // a digit is missing at end
)

func (d decimal) has(f numberFlags) bool { return d.flags&f != 0 }

// maxExponent bounds the exponent that scanDecimal keeps, so that it does not overflow. It is
// larger than the number of zeros in any text.
const maxExponent = 1 << 27

// isNumber reports whether b can begin a number.
func isNumber(b byte) bool { return b == '-' || '0' <= b && b <= '9' }

// decimal reads a number and also returns its text.
func (s *scanner) decimal() (d decimal, text []byte, p *problem) {
	if !isNumber(s.space()) {
		return d, nil, s.wrong("a number")
	}
	start := s.pos
	d = scanDecimal(s.text, start)
	s.pos = d.end
	if d.has(broken) {
		return d, nil, s.syntax("a digit")
	}
	return d, s.text[start:d.end], nil
}

// integer reads an integer from -below to above; kind names that range.
func (s *scanner) integer(below, above uint64, kind string) (uint64, *problem) {
	if !isNumber(s.space()) {
		return 0, s.wrong("an integer")
	}
	d, text, p := s.decimal()
	if p != nil {
		return 0, p
	}
	if d.has(fractional) {
		return 0, invalid("%s is not written as an integer", excerpt(text))
	}
	n, ok := d.uint64(text)
	limit := above
	if d.has(negative) {
		limit = below
	}
	if !ok || n > limit {
		return 0, invalid("%s does not fit %s", excerpt(text), kind)
	}
	if d.has(negative) {
		n = -n
	}
	return n, nil
}

// scanDecimal scans the number at text[i]. After a leading zero it reads no more digits, which are
// then a syntax error.
func scanDecimal(text []byte, i int) (d decimal) {
	minus := 0 // no branch: the sign of data cannot be predicted
	if i < len(text) && text[i] == '-' {
		minus = 1
	}
	d.flags = negative * numberFlags(minus)
	i += minus
	start := i
	for i < len(text) && text[i]-'0' <= 9 {
		d.mant = d.mant*10 + uint64(text[i]-'0')
		i++
	}
	digits := i - start
	if digits == 0 {
		d.end, d.flags = i, d.flags|broken
		return d
	}
	if digits > 1 && text[start] == '0' {
		d.end = start + 1
		return d
	}
	if i < len(text) && text[i] == '.' {
		i++
		fraction := i
		d.flags |= fractional
		d.mant, i = scanDigits(text, i, d.mant)
		d.exp = fraction - i
		if d.exp == 0 {
			d.end, d.flags = i, d.flags|broken
			return d
		}
		digits -= d.exp
	}
	if digits > 19 && digits-leadingZeros(text[start:i]) > 19 {
		d.flags |= many
	}
	d.end = i
	if i < len(text) && text[i]|0x20 == 'e' {
		return d.scanExponent(text, i+1)
	}
	return d
}

// shifts are the powers of ten by which up to seven more digits shift a number.
var shifts = [8]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7}

// scanDigits scans the digits at text[i], which follow those of mant, eight bytes at a time. For
// the last eight bytes it does not branch on the number of digits, which cannot be predicted for
// most data.
func scanDigits(text []byte, i int, mant uint64) (uint64, int) {
	for len(text)-i >= 8 {
		v := binary.LittleEndian.Uint64(text[i:]) ^ 0x3030303030303030 // digits are now 0 to 9
		// The highest bit of a byte means that it is not a digit. A carry out of such a byte
		// changes only the bytes after it, which are not used.
		others := (v + 0x7676767676767676 | v) & 0x8080808080808080
		if others == 0 {
			mant = mant*1e8 + eightDigits(v)
			i += 8
			continue
		}
		n := bits.TrailingZeros64(others) / 8
		return mant*shifts[n&7] + eightDigits(v<<(64-8*n)), i + n
	}
	for i < len(text) && text[i]-'0' <= 9 {
		mant = mant*10 + uint64(text[i]-'0')
		i++
	}
	return mant, i
}

// eightDigits returns the number of eight digits, each a byte from 0 to 9, the first one in the
// lowest byte. They are joined to pairs, to fours and then to one number.
func eightDigits(v uint64) uint64 {
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

// scanExponent completes d with the exponent, whose sign or first digit is at i.
func (d decimal) scanExponent(text []byte, i int) decimal {
	d.flags |= fractional
	minus := false
	if i < len(text) && (text[i] == '+' || text[i] == '-') {
		minus = text[i] == '-'
		i++
	}
	start, e := i, 0
	for i < len(text) && text[i]-'0' <= 9 {
		if e < maxExponent {
			e = e*10 + int(text[i]-'0')
		}
		i++
	}
	if minus {
		e = -e
	}
	d.exp += e
	d.end = i
	if i == start {
		d.flags |= broken
	}
	return d
}

// uint64 returns the digits of an integer. ok is false above 2^64-1.
func (d decimal) uint64(text []byte) (n uint64, ok bool) {
	if !d.has(many) {
		return d.mant, true
	}
	if d.has(negative) {
		text = text[1:]
	}
	n, err := strconv.ParseUint(string(text), 10, 64)
	return n, err == nil
}
