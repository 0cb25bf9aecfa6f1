package oip

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"sluice.io/sluice/internal/infer"
)

// NonFinite selects how JSON answers show NaN and the infinities, which JSON numbers cannot
// express.
type NonFinite uint8

// The options. Triton and TensorFlow Serving write tokens, and Python reads them.
const (
	NonFiniteTokens NonFinite = iota // bare NaN, Infinity, -Infinity
	NonFiniteNull                    // null, for all three
	NonFiniteError                   // an error
)

// EncodeOptions select how an answer is written.
type EncodeOptions struct {
	NonFinite NonFinite
}

// askBinary ends every message about data that JSON cannot express.
const askBinary = "; ask for it as binary (parameters.binary_data of the output, or parameters.binary_data_output of the request)"

// AppendResponse appends the answer to dst: the JSON document, and then the data of the binary
// outputs. jsonLen is the length of the document in bytes, for the header
// Inference-Header-Content-Length, or -1 if no output is binary. Errors are Invalid (data that JSON
// cannot express) and those of Call.Grow. It does not allocate if dst has room.
func AppendResponse(dst []byte, c *Call, model string, version int64, resp *infer.Response, opt EncodeOptions) (out []byte, jsonLen int, err error) {
	start, blobs := len(dst), 0
	for i := range resp.Outputs {
		if c.BinaryOutput(i) {
			blobs += len(resp.Outputs[i].Data)
		}
	}
	// Binary data gets its room in one step.
	if dst, err = c.grow(dst, frame+escaped*(len(c.ID)+len(model))+blobs); err != nil {
		return dst[:start], -1, err
	}
	dst = append(dst, '{')
	if c.ID != "" {
		dst = append(dst, `"id":`...)
		dst = appendString(dst, c.ID)
		dst = append(dst, ',')
	}
	dst = append(dst, `"model_name":`...)
	dst = appendString(dst, model)
	dst = append(dst, `,"model_version":"`...)
	dst = strconv.AppendInt(dst, version, 10)
	dst = append(dst, `","outputs":[`...)
	binaries := false
	for i := range resp.Outputs {
		t := &resp.Outputs[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = c.grow(dst, frame+escaped*len(t.Name)+widest*len(t.Shape)); err != nil {
			return dst[:start], -1, err
		}
		dst = appendTensorHead(dst, t)
		if c.BinaryOutput(i) {
			binaries = true
			dst = append(dst, `,"parameters":{"binary_data_size":`...)
			dst = strconv.AppendInt(dst, int64(len(t.Data)), 10)
			dst = append(dst, `}}`...)
			continue
		}
		if dst, err = c.appendData(dst, t, opt); err != nil {
			return dst[:start], -1, err
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `]}`...)
	if !binaries {
		return dst, -1, nil
	}
	jsonLen = len(dst) - start
	if dst, err = c.grow(dst, blobs); err != nil {
		return dst[:start], -1, err
	}
	for i := range resp.Outputs {
		if c.BinaryOutput(i) {
			dst = append(dst, resp.Outputs[i].Data...)
		}
	}
	return dst, jsonLen, nil
}

// AppendRequest appends a request to dst as JSON. parameters is a JSON object, or empty for none. Errors
// are Invalid: data that JSON cannot express.
func AppendRequest(dst []byte, id string, parameters []byte, inputs []infer.Tensor, opt EncodeOptions) (_ []byte, err error) {
	c := &Call{}
	dst = appendString(append(dst, `{"id":`...), id)
	if len(parameters) > 0 {
		dst = append(append(dst, `,"parameters":`...), parameters...)
	}
	dst = append(dst, `,"inputs":[`...)
	for i := range inputs {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = c.appendData(appendTensorHead(dst, &inputs[i]), &inputs[i], opt); err != nil {
			return nil, err
		}
		dst = append(dst, '}')
	}
	return append(dst, ']', '}'), nil
}

// The max sizes of the parts of an answer, in bytes.
const (
	frame   = 256 // the punctuation and the fixed names of a document or of an output
	escaped = 6   // a byte of a string
	widest  = 32  // a number or a boolean, and the comma before it
)

// grow returns dst with room for n more bytes.
func (c *Call) grow(dst []byte, n int) ([]byte, error) {
	switch {
	case cap(dst)-len(dst) >= n:
		return dst, nil
	case c.Grow == nil:
		return slices.Grow(dst, n), nil
	default:
		return c.Grow(dst, n)
	}
}

func appendTensorHead(dst []byte, t *infer.Tensor) []byte {
	dst = append(dst, `{"name":`...)
	dst = appendString(dst, t.Name)
	dst = append(dst, `,"datatype":"`...)
	dst = append(dst, t.DType.String()...)
	dst = append(dst, `","shape":`...)
	return t.Shape.Append(dst)
}

// appendData appends the member "data", flat and row-major.
func (c *Call) appendData(dst []byte, t *infer.Tensor, opt EncodeOptions) ([]byte, error) {
	dst = append(dst, `,"data":[`...)
	var err error
	if t.DType == infer.Bytes {
		dst, err = c.appendStrings(dst, t)
		return append(dst, ']'), err
	}
	const block = 128 // elements between two checks of the room
	step := block * t.DType.Size()
	for from := 0; from < len(t.Data) && err == nil; from += step {
		to := min(from+step, len(t.Data))
		if dst, err = c.grow(dst, widest*(to-from)/t.DType.Size()+frame); err != nil {
			return dst, err
		}
		switch t.DType {
		case infer.FP16, infer.BF16, infer.FP32, infer.FP64:
			dst, err = appendFloats(dst, t, from, to, opt)
		default:
			dst = appendIntegers(dst, t, from, to)
		}
	}
	return append(dst, ']'), err
}

// appendFloats appends the elements between two offsets in the data.
func appendFloats(dst []byte, t *infer.Tensor, from, to int, opt EncodeOptions) ([]byte, error) {
	le := binary.LittleEndian
	size := t.DType.Size()
	for i := from; i+size <= to; i += size {
		if i > 0 {
			dst = append(dst, ',')
		}
		b := t.Data[i:]
		var f float64
		bits := 32
		switch t.DType {
		case infer.FP16:
			f = float64(infer.FP16ToFloat32(le.Uint16(b)))
		case infer.BF16:
			f = float64(infer.BF16ToFloat32(le.Uint16(b)))
		case infer.FP32:
			f = float64(math.Float32frombits(le.Uint32(b)))
		default:
			f, bits = math.Float64frombits(le.Uint64(b)), 64
		}
		if f-f != 0 { // NaN or infinite
			switch opt.NonFinite {
			case NonFiniteError:
				return dst, infer.Errorf(infer.Invalid, "output '%s': element %d is %v, which JSON cannot carry%s", t.Name, i/size, f, askBinary)
			case NonFiniteNull:
				dst = append(dst, "null"...)
			default:
				dst = appendNonFinite(dst, f)
			}
			continue
		}
		dst = appendFloat(dst, f, bits)
	}
	return dst, nil
}

func appendNonFinite(dst []byte, f float64) []byte {
	switch {
	case f > 0:
		return append(dst, "Infinity"...)
	case f < 0:
		return append(dst, "-Infinity"...)
	default:
		return append(dst, "NaN"...)
	}
}

// maxPlain bounds the integers that are written without the general algorithm. Smaller integers are
// exact in a float32.
const maxPlain = 1 << 24

// appendFloat appends the shortest text that reads back as f with the given width. It uses an
// exponent where encoding/json does. Negative zero keeps a fraction, since readers that distinguish
// integers from floats would lose its sign.
func appendFloat(dst []byte, f float64, bits int) []byte {
	if n := int64(f); float64(n) == f && -maxPlain < n && n < maxPlain {
		if n == 0 && math.Signbit(f) {
			return append(dst, "-0.0"...)
		}
		return strconv.AppendInt(dst, n, 10)
	}
	abs, small := math.Abs(f), 1e-6
	if bits == 32 {
		small = float64(float32(small))
	}
	if abs >= small && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, bits)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, bits)
	if n := len(dst); dst[n-2] == '0' && dst[n-3] == '-' { // e-07: AppendFloat writes at least two digits
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// appendIntegers is appendFloats for integers and booleans.
func appendIntegers(dst []byte, t *infer.Tensor, from, to int) []byte {
	le := binary.LittleEndian
	size := t.DType.Size()
	for i := from; i+size <= to; i += size {
		if i > 0 {
			dst = append(dst, ',')
		}
		b := t.Data[i:]
		switch t.DType {
		case infer.Bool:
			dst = strconv.AppendBool(dst, b[0] != 0)
		case infer.Uint8:
			dst = strconv.AppendUint(dst, uint64(b[0]), 10)
		case infer.Uint16:
			dst = strconv.AppendUint(dst, uint64(le.Uint16(b)), 10)
		case infer.Uint32:
			dst = strconv.AppendUint(dst, uint64(le.Uint32(b)), 10)
		case infer.Uint64:
			dst = strconv.AppendUint(dst, le.Uint64(b), 10)
		case infer.Int8:
			dst = strconv.AppendInt(dst, int64(int8(b[0])), 10)
		case infer.Int16:
			dst = strconv.AppendInt(dst, int64(int16(le.Uint16(b))), 10)
		case infer.Int32:
			dst = strconv.AppendInt(dst, int64(int32(le.Uint32(b))), 10)
		case infer.Int64:
			dst = strconv.AppendInt(dst, int64(le.Uint64(b)), 10)
		default:
			panic("BUG: an output of datatype " + t.DType.String())
		}
	}
	return dst
}

func (c *Call) appendStrings(dst []byte, t *infer.Tensor) ([]byte, error) {
	for i, rest := 0, t.Data; len(rest) > 0; i++ {
		element, next, ok := infer.NextElement(rest)
		if !ok {
			return dst, infer.Errorf(infer.Internal, "output '%s': element %d is cut off", t.Name, i)
		}
		if !utf8.Valid(element) {
			return dst, infer.Errorf(infer.Invalid, "output '%s': element %d is not valid UTF-8, which JSON cannot carry%s", t.Name, i, askBinary)
		}
		var err error
		if dst, err = c.appendElement(dst, i > 0, element); err != nil {
			return dst, err
		}
		rest = next
	}
	return dst, nil
}

// appendElement appends one string in pieces, so that it reserves room for the actual text and not
// for the longest possible one.
func (c *Call) appendElement(dst []byte, comma bool, s []byte) (_ []byte, err error) {
	const piece = 4 << 10
	for first := true; first || len(s) > 0; first = false {
		end := min(piece, len(s))
		for end < len(s) && !utf8.RuneStart(s[end]) {
			end--
		}
		if dst, err = c.grow(dst, escaped*end+len(`,""`)); err != nil {
			return dst, err
		}
		if first {
			if comma {
				dst = append(dst, ',')
			}
			dst = append(dst, '"')
		}
		dst = appendEscaped(dst, s[:end])
		s = s[end:]
	}
	return append(dst, '"'), nil
}

// appendString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func appendString[S string | []byte](dst []byte, s S) []byte {
	return append(appendEscaped(append(dst, '"'), s), '"')
}

// appendEscaped appends the text between the quotes of a string.
func appendEscaped[S string | []byte](dst []byte, s S) []byte {
	const hex = "0123456789abcdef"
	start := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b >= ' ' && b != '"' && b != '\\' && b < utf8.RuneSelf {
			i++
			continue
		}
		if b >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
			if r != utf8.RuneError || n != 1 {
				i += n
				continue
			}
		}
		dst = append(dst, s[start:i]...)
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			if b >= utf8.RuneSelf {
				dst = utf8.AppendRune(dst, utf8.RuneError)
				break
			}
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		}
		i++
		start = i
	}
	return append(dst, s[start:]...)
}
