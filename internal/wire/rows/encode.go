package rows

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sluice.io/sluice/internal/infer"
)

// NonFinite selects how answers show NaN and the infinities, which JSON numbers cannot express.
type NonFinite uint8

// The options. Browsers and pandas read null.
const (
	NonFiniteNull   NonFinite = iota // null, for all three
	NonFiniteTokens                  // bare NaN, Infinity, -Infinity
	NonFiniteError                   // an error
)

// Answer selects how predictions are written.
type Answer struct {
	Rows      int // of the request
	NonFinite NonFinite
	// Bare omits the output's name if a row has only one value.
	Bare bool
	// V1 writes values like TensorFlow Serving: a row of one value is nested like the shape, and the
	// elements of BYTES outputs with names that end in _bytes are {"b64": ...}.
	V1 bool
	// Model is the signature of the version that answered, for the names of classes; nil if it is
	// not known.
	Model *infer.Model
	// Grow returns the buffer with room for n more bytes. nil means slices.Grow. AppendPredictions
	// returns its errors.
	Grow func(buf []byte, n int) ([]byte, error)
}

// labelSuffix is added to the name of an output for the name of its label.
const labelSuffix = "_label"

// column is an output that is written row by row.
type column struct {
	*infer.Tensor
	key      []byte   // the name in JSON, and a colon
	dims     []int64  // of a row
	elements int      // of a row
	at       int      // the offset of the next element in the data
	base64   bool     // elements are written as base64
	labels   []string // of the classes, if each row gets a label; otherwise nil
	labelKey []byte
}

// AppendPredictions appends {"predictions": [...]} to dst: for each row an object with the outputs
// by name. A row with one value is that value. A row with more is a list, nested like the output's
// shape. If an output has a number for each of its named classes, "<output>_label" is the name of
// the class with the largest number. It is omitted if the model itself has an output of labels.
//
// Errors are Invalid (data that JSON cannot express), Unsupported (an output without a row for each
// row of the request) and those of Answer.Grow.
func AppendPredictions(dst []byte, resp *infer.Response, a *Answer) ([]byte, error) {
	columns := make([]column, len(resp.Outputs))
	members := 0
	for i := range columns {
		c := &columns[i]
		if err := c.begin(&resp.Outputs[i], a); err != nil {
			return dst, err
		}
		if members++; c.labels != nil {
			members++
		}
	}
	bare := a.Bare && members == 1
	start := len(dst)
	dst, err := a.grow(dst, len(`{"predictions":[]}`))
	if err != nil {
		return dst[:start], err
	}
	dst = append(dst, `{"predictions":[`...)
	for row := range a.Rows {
		if dst, err = a.appendRow(dst, row, columns, bare); err != nil {
			return dst[:start], err
		}
	}
	return append(dst, `]}`...), nil
}

func (a *Answer) grow(dst []byte, n int) ([]byte, error) {
	n += len(`}]}`) // the end of a row and of the document
	switch {
	case cap(dst)-len(dst) >= n:
		return dst, nil
	case a.Grow == nil:
		return slices.Grow(dst, n), nil
	default:
		return a.Grow(dst, n)
	}
}

// begin checks an output and sets its column.
func (c *column) begin(t *infer.Tensor, a *Answer) error {
	if len(t.Shape) == 0 || t.Shape[0] != int64(a.Rows) {
		return infer.Errorf(infer.Unsupported, "output '%s' of shape %v does not have a row for each of the %d rows; send tensors to the endpoint infer", t.Name, t.Shape, a.Rows)
	}
	n, ok := t.Shape[1:].Elements()
	if !ok {
		return infer.Errorf(infer.Internal, "output '%s' has shape %v", t.Name, t.Shape)
	}
	c.Tensor, c.dims, c.elements = t, t.Shape[1:], int(n)
	c.key = appendKey(t.Name)
	c.base64 = a.V1 && strings.HasSuffix(t.Name, bytesSuffix)
	if a.Model != nil && t.Index < len(a.Model.Outputs) {
		c.labels = labelsOf(a.Model, t)
		c.labelKey = appendKey(t.Name + labelSuffix)
	}
	return nil
}

func appendKey(name string) []byte { return append(appendString(nil, []byte(name)), ':') }

// labelsOf returns the names of the classes of an output if each row gets a label, otherwise nil.
func labelsOf(m *infer.Model, t *infer.Tensor) []string {
	labels := m.Outputs[t.Index].Labels
	if len(labels) == 0 || !isFloat(t.DType) || len(t.Shape) != 2 || t.Shape[1] != int64(len(labels)) {
		return nil
	}
	for i := range m.Outputs {
		spec := &m.Outputs[i]
		n, free := spec.RowElements()
		if spec.Name == t.Name+labelSuffix || n == 1 && !free && isClass(spec.DType) { // the class itself, as ONNX classifiers have it
			return nil
		}
	}
	return labels
}

func isFloat(d infer.DType) bool {
	return d == infer.FP16 || d == infer.BF16 || d == infer.FP32 || d == infer.FP64
}

// isClass reports whether a datatype is suitable for a class.
func isClass(d infer.DType) bool { return d != infer.Bool && !isFloat(d) }

// The max sizes of parts of a row, in bytes.
const (
	punctuation = 8  // between the members of a row
	widest      = 32 // a number or a word, and the comma before it
	bracket     = 2  // an opening and a closing one
)

func (a *Answer) appendRow(dst []byte, row int, columns []column, bare bool) ([]byte, error) {
	dst, err := a.grow(dst, punctuation)
	if err != nil {
		return dst, err
	}
	if row > 0 {
		dst = append(dst, ',')
	}
	if bare {
		return a.appendValues(dst, &columns[0], row)
	}
	dst = append(dst, '{')
	for i := range columns {
		c := &columns[i]
		if dst, err = a.grow(dst, len(c.key)+punctuation); err != nil {
			return dst, err
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, c.key...)
		var label []byte
		if c.labels != nil {
			label = c.label()
		}
		if dst, err = a.appendValues(dst, c, row); err != nil {
			return dst, err
		}
		if c.labels == nil {
			continue
		}
		if dst, err = a.grow(dst, len(c.labelKey)+len(label)+punctuation); err != nil {
			return dst, err
		}
		dst = append(append(append(dst, ','), c.labelKey...), label...)
	}
	return append(dst, '}'), nil
}

// label returns the name of the class with the largest number in the next row, as JSON. It is null
// if that class has no name, or if all numbers are NaN.
func (c *column) label() []byte {
	best, at := math.Inf(-1), -1
	for i := range c.elements {
		if f, _ := c.float(c.at + i*c.DType.Size()); f > best || at < 0 && f == best {
			best, at = f, i
		}
	}
	if at < 0 || c.labels[at] == "" {
		return []byte("null")
	}
	return appendString(nil, []byte(c.labels[at]))
}

// appendValues appends the values of the next row.
func (a *Answer) appendValues(dst []byte, c *column, row int) ([]byte, error) {
	if len(c.dims) == 0 || c.elements == 1 && !a.V1 {
		return a.appendValue(dst, c, row, false)
	}
	return a.appendNested(dst, c, row, c.dims)
}

func (a *Answer) appendNested(dst []byte, c *column, row int, dims []int64) (_ []byte, err error) {
	if dst, err = a.grow(dst, bracket+1); err != nil {
		return dst, err
	}
	dst = append(dst, '[')
	for i := range dims[0] {
		if len(dims) == 1 {
			dst, err = a.appendValue(dst, c, row, i > 0)
		} else {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst, err = a.appendNested(dst, c, row, dims[1:])
		}
		if err != nil {
			return dst, err
		}
		if dst, err = a.grow(dst, bracket); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

// appendValue appends the next element.
func (a *Answer) appendValue(dst []byte, c *column, row int, comma bool) (_ []byte, err error) {
	if dst, err = a.grow(dst, widest); err != nil {
		return dst, err
	}
	if comma {
		dst = append(dst, ',')
	}
	if c.DType == infer.Bytes {
		return a.appendText(dst, c, row)
	}
	at := c.at
	c.at += c.DType.Size()
	if !isFloat(c.DType) {
		return appendInteger(dst, c.DType, c.Data[at:]), nil
	}
	f, bits := c.float(at)
	if f-f == 0 {
		return appendFloat(dst, f, bits), nil
	}
	switch {
	case a.NonFinite == NonFiniteError:
		return dst, invalid("output '%s'%s: JSON cannot express %v; ask for it as binary from the endpoint infer", c.Name, rowText(row), f)
	case a.NonFinite == NonFiniteNull:
		return append(dst, "null"...), nil
	case f > 0:
		return append(dst, "Infinity"...), nil
	case f < 0:
		return append(dst, "-Infinity"...), nil
	default:
		return append(dst, "NaN"...), nil
	}
}

func (a *Answer) appendText(dst []byte, c *column, row int) ([]byte, error) {
	element, rest, ok := infer.NextElement(c.Data[c.at:])
	switch {
	case !ok:
		return dst, infer.Errorf(infer.Internal, "output '%s'%s: an element is cut off", c.Name, rowText(row))
	case !c.base64 && !utf8.Valid(element):
		return dst, invalid("output '%s'%s: a string that is not UTF-8; ask for it as binary from the endpoint infer", c.Name, rowText(row))
	}
	c.at = len(c.Data) - len(rest)
	if c.base64 {
		return a.appendBase64(dst, element)
	}
	const escaped = 6 // max bytes of a character
	dst, err := a.grow(dst, escaped*len(element)+bracket)
	if err != nil {
		return dst, err
	}
	return appendString(dst, element), nil
}

// wholeOutput replaces the number of a row if an output is not written row by row.
const wholeOutput = -1

func rowText(row int) string {
	if row == wholeOutput {
		return ""
	}
	return ", row " + strconv.Itoa(row)
}

// float returns the element at an offset in the data, and its width in text in bits.
func (c *column) float(at int) (f float64, bits int) {
	le, b := binary.LittleEndian, c.Data[at:]
	switch c.DType {
	case infer.FP16:
		return float64(infer.FP16ToFloat32(le.Uint16(b))), 32
	case infer.BF16:
		return float64(infer.BF16ToFloat32(le.Uint16(b))), 32
	case infer.FP32:
		return float64(math.Float32frombits(le.Uint32(b))), 32
	default:
		return math.Float64frombits(le.Uint64(b)), 64
	}
}

// appendFloat appends the shortest text that reads back as f, with an exponent only if f is very
// large or small.
func appendFloat(dst []byte, f float64, bits int) []byte {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, bits)
}

func appendInteger(dst []byte, d infer.DType, b []byte) []byte {
	var wide [8]byte
	size := d.Size()
	copy(wide[:], b[:size])
	n := binary.LittleEndian.Uint64(wide[:])
	switch {
	case d == infer.Bool:
		return strconv.AppendBool(dst, n != 0)
	case infer.Int8 <= d && d <= infer.Int64:
		shift := 64 - 8*size
		return strconv.AppendInt(dst, int64(n)<<shift>>shift, 10) //nolint:gosec // the same bits
	default:
		return strconv.AppendUint(dst, n, 10)
	}
}

// appendString appends valid UTF-8 as a JSON string.
func appendString(dst, s []byte) []byte {
	for _, c := range s {
		if c < ' ' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(string(s))
			if err != nil {
				panic("BUG: a string that does not marshal: " + err.Error())
			}
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
