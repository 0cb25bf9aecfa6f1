package rows

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"

	"sluice.io/sluice/internal/infer"
)

// kind is the form of a value.
type kind uint8

const (
	missing kind = iota // null, NaN, or an empty field of CSV
	truth               // true or false; the text is 1 or 0
	number
	text
)

// value is one scalar of a frame, a view of the body.
type value struct {
	kind    kind
	escaped bool   // text with escape sequences, or with doubled quotes in CSV
	base64  bool   // base64 text for bytes
	text    []byte // for a string, the text between its quotes
	at      int    // the offset of a string's text in the body
}

// String returns the beginning of a value for a message.
func (v value) String() string {
	const longest = 40
	switch {
	case v.kind == missing:
		return "a missing value"
	case v.kind == truth && v.text[0] == '1':
		return "true"
	case v.kind == truth:
		return "false"
	}
	s := v.text
	if len(s) > longest {
		s = s[:longest]
	}
	shown := string(s)
	if len(v.text) > longest {
		shown += "…"
	}
	if v.kind == text {
		return strconv.Quote(shown)
	}
	return shown
}

// mismatch returns an error about a value that does not have its column's datatype.
func mismatch(v value, d infer.DType) error {
	expected := "an integer"
	switch d {
	case infer.FP16, infer.BF16, infer.FP32, infer.FP64:
		expected = "a number"
	case infer.Bool:
		expected = "true or false"
	case infer.Bytes:
		expected = "a string"
	default:
	}
	if v.kind == missing {
		return invalid("a value is missing, and %v cannot express a missing value", d)
	}
	return invalid("expected %s for %v, got %s", expected, d, v)
}

func misfit(v value, d infer.DType) error { return invalid("%s does not fit %v", v, d) }

// view returns bytes as a string without a copy, for a parser that does not keep it.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// put writes a value that is not a string as one element of a tensor.
func put(dst []byte, d infer.DType, v value) error {
	switch d {
	case infer.FP16, infer.BF16, infer.FP32, infer.FP64:
		return putFloat(dst, d, v)
	case infer.Bool:
		if (v.kind != truth && v.kind != number) || len(v.text) != 1 || v.text[0] > '1' {
			return mismatch(v, d)
		}
		dst[0] = v.text[0] - '0'
		return nil
	default:
		return putInteger(dst, d, v)
	}
}

// putFloat writes a number as a float. A missing value is NaN.
func putFloat(dst []byte, d infer.DType, v value) error {
	f, bits := math.NaN(), 32
	if d == infer.FP64 {
		bits = 64
	}
	if v.kind == text {
		return mismatch(v, d)
	}
	if v.kind != missing {
		var err error
		if f, err = strconv.ParseFloat(view(v.text), bits); errors.Is(err, strconv.ErrSyntax) {
			return mismatch(v, d)
		} else if err != nil {
			return misfit(v, d)
		}
	}
	le := binary.LittleEndian
	switch d {
	case infer.FP64:
		le.PutUint64(dst, math.Float64bits(f))
	case infer.FP32:
		le.PutUint32(dst, math.Float32bits(float32(f)))
	case infer.FP16:
		h := infer.Float32ToFP16(float32(f))
		if h&0x7fff == 0x7c00 && !math.IsInf(f, 0) {
			return misfit(v, d)
		}
		le.PutUint16(dst, h)
	default:
		h := infer.Float32ToBF16(float32(f))
		if h&0x7fff == 0x7f80 && !math.IsInf(f, 0) {
			return misfit(v, d)
		}
		le.PutUint16(dst, h)
	}
	return nil
}

// putInteger writes a number as an integer. A fraction of 0 is allowed, since pandas writes it for
// integers in a column of floats.
func putInteger(dst []byte, d infer.DType, v value) error {
	if v.kind != number && v.kind != truth {
		return mismatch(v, d)
	}
	size := d.Size()
	var n uint64
	if signed := infer.Int8 <= d && d <= infer.Int64; signed {
		i, err := strconv.ParseInt(view(v.text), 10, 8*size)
		if err != nil {
			f, ok := wholeNumber(v)
			if limit := math.Ldexp(1, 8*size-1); !ok || f < -limit || f >= limit {
				return notInteger(v, d)
			}
			i = int64(f)
		}
		n = uint64(i)
	} else {
		var err error
		if n, err = strconv.ParseUint(view(v.text), 10, 8*size); err != nil {
			f, ok := wholeNumber(v)
			if !ok || f < 0 || f >= math.Ldexp(1, 8*size) {
				return notInteger(v, d)
			}
			n = uint64(f)
		}
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	copy(dst, b[:size])
	return nil
}

func notInteger(v value, d infer.DType) error {
	if f, err := strconv.ParseFloat(view(v.text), 64); err == nil && f == math.Trunc(f) {
		return misfit(v, d)
	}
	return mismatch(v, d)
}

// wholeNumber returns a number that could not be parsed as an integer of its width. ok is false if
// it has a fraction, or is too large to be exact in a float.
func wholeNumber(v value) (f float64, ok bool) {
	f, err := strconv.ParseFloat(view(v.text), 64)
	return f, err == nil && f == math.Trunc(f) && math.Abs(f) <= 1<<53
}

// escapeLength returns the length of the escape sequence at the beginning of s, 0 if it is not
// valid. A surrogate is valid only with its other half.
func escapeLength(s []byte) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
	default:
		return 0
	}
	const unit = len(`\u0000`)
	r, ok := hex4(s[2:])
	if !ok {
		return 0
	}
	if !utf16.IsSurrogate(r) {
		return unit
	}
	if len(s) < 2*unit || s[unit] != '\\' || s[unit+1] != 'u' {
		return 0
	}
	if low, ok := hex4(s[unit+2:]); !ok || utf16.DecodeRune(r, low) == utf8.RuneError {
		return 0
	}
	return 2 * unit
}

func hex4(s []byte) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(view(s[:4]), 16, 16)
	return rune(n), err == nil
}

// unescape appends the content of a checked JSON string.
func unescape(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			dst = append(dst, s[i])
			continue
		}
		switch i++; s[i] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(s[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				low, _ := hex4(s[i+3:])
				r = utf16.DecodeRune(r, low)
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, s[i])
		}
	}
	return dst
}

// undouble appends the content of a quoted CSV field.
func undouble(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		dst = append(dst, s[i])
		if s[i] == '"' {
			i++
		}
	}
	return dst
}
