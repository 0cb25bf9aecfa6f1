package rows

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"sluice.io/sluice/internal/infer"
)

// Header selects whether the first line of CSV has the names of the columns.
type Header uint8

// The options, as in the parameter header of text/csv (RFC 4180).
const (
	HeaderUnknown Header = iota // the first line is a header if it has the name of a column, or text in place of a number
	HeaderPresent
	HeaderAbsent
)

// csvReader reads CSV according to RFC 4180, with LF or CR LF. It skips empty lines.
type csvReader struct {
	text []byte
	pos  int
}

// more skips empty lines, and reports whether a line follows.
func (r *csvReader) more() bool {
	for r.pos < len(r.text) && (r.text[r.pos] == '\n' || r.text[r.pos] == '\r') {
		r.pos++
	}
	return r.pos < len(r.text)
}

// field reads one field; last is true if it ends its line. The text of a quoted field is the text
// between the quotes.
func (r *csvReader) field() (v value, last bool, err error) {
	v = value{kind: text, at: r.pos}
	var end int
	if r.pos < len(r.text) && r.text[r.pos] == '"' {
		v.at++
		if end, v.escaped = closingQuote(r.text, v.at); end < 0 {
			return v, false, invalid("byte %d: a quoted field without end", r.pos)
		}
		v.text = r.text[v.at:end]
		end++
	} else {
		if n := bytes.IndexAny(r.text[r.pos:], ",\n\""); n >= 0 {
			end = r.pos + n
		} else {
			end = len(r.text)
		}
		v.text = r.text[v.at:end]
		if end == len(r.text) || r.text[end] == '\n' {
			v.text = bytes.TrimSuffix(v.text, []byte{'\r'})
		}
		if len(v.text) == 0 {
			v.kind = missing
		}
	}
	rest := r.text[end:]
	switch {
	case len(rest) == 0:
		r.pos = end
		return v, true, nil
	case rest[0] == ',':
		r.pos = end + 1
		return v, false, nil
	case rest[0] == '\n':
		r.pos = end + 1
		return v, true, nil
	case rest[0] == '\r' && len(rest) > 1 && rest[1] == '\n':
		r.pos = end + 2
		return v, true, nil
	default:
		return v, false, invalid("byte %d: expected a comma or the end of a line, found %q", end, rest[0])
	}
}

// closingQuote returns the index of the closing quote of a field whose text begins at start, -1 if
// there is none. doubled is true if the field has quotes in its text.
func closingQuote(s []byte, start int) (end int, doubled bool) {
	for end = start; ; end += 2 {
		n := bytes.IndexByte(s[end:], '"')
		if n < 0 {
			return -1, doubled
		}
		if end += n; end+1 == len(s) || s[end+1] != '"' {
			return end, doubled
		}
		doubled = true
	}
}

// csvFrame reads a CSV body.
type csvFrame struct {
	*builder
	csvReader
}

// DecodeCSV decodes a CSV body. Without a header the columns are the elements of the inputs, in the
// model's order. An empty field is a missing value. So is NaN, NA, N/A, null or None in a column of
// numbers. It has the same errors as DecodeJSON.
func DecodeCSV(body []byte, header Header, o *Options) (*Frame, error) {
	b, err := newBuilder(body, o)
	if err != nil {
		return nil, err
	}
	b.unit, b.plain = len(","), undouble
	d := &csvFrame{builder: b, csvReader: csvReader{text: body}}
	t, err := d.decode(header)
	if err != nil {
		b.Release()
	}
	return t, err
}

func (d *csvFrame) decode(header Header) (*Frame, error) {
	if !utf8.Valid(d.text) {
		return nil, invalid("the body is not UTF-8")
	}
	if bytes.HasPrefix(d.text, []byte(byteOrderMark)) {
		d.pos = len(byteOrderMark)
	}
	lines, err := d.lines()
	if err != nil {
		return nil, err
	}
	if lines == 0 {
		return nil, invalid("the body is empty, expected lines of CSV")
	}
	isHeader, err := d.head(header)
	if err != nil {
		return nil, err
	}
	if isHeader {
		lines--
	}
	if err := d.setRows(lines); err != nil {
		return nil, err
	}
	if err := d.makeRoom(); err != nil {
		return nil, err
	}
	for row := range lines {
		if err := d.row(row); err != nil {
			return nil, err
		}
	}
	return d.finish()
}

// lines counts the remaining lines without moving pos.
func (d *csvFrame) lines() (n int, err error) {
	for ahead := d.csvReader; ahead.more(); n++ {
		for last := false; !last; {
			if _, last, err = ahead.field(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// head sets the columns from the first line, and reports whether it was a header. If not, the line
// is not consumed.
func (d *csvFrame) head(header Header) (isHeader bool, err error) {
	start := d.csvReader
	var first []value
	numbered := true // as pandas names columns without names
	d.more()
	for last := false; !last; {
		if len(first) == d.limits.MaxColumns {
			return false, d.tooWide(len(first) + 1)
		}
		if err := d.reserve(columnBytes); err != nil {
			return false, err
		}
		var v value
		if v, last, err = d.field(); err != nil {
			return false, err
		}
		numbered = numbered && string(v.text) == strconv.Itoa(len(first))
		first = append(first, v)
	}
	switch {
	case header == HeaderPresent && numbered:
		return true, d.ordered(len(first))
	case header == HeaderPresent || header == HeaderUnknown && d.isHeader(first):
		return true, d.titled(first)
	default:
		d.csvReader = start
		return false, d.ordered(len(first))
	}
}

// titled sets columns by the names in a header.
func (d *csvFrame) titled(header []value) error {
	names := make([]string, 0, len(header))
	for _, v := range header {
		name, err := d.name(v)
		if err != nil {
			return err
		}
		names = append(names, name)
	}
	if err := d.named(names); err != nil {
		return err
	}
	return d.single()
}

// isHeader reports whether the first line has names: one is the name of a column, or none is a
// number and one is in place of a number.
func (d *csvFrame) isHeader(first []value) bool {
	numbers := false
	for _, v := range first {
		name := v.text
		if v.escaped {
			name = undouble(nil, name)
		}
		if _, ok := d.columns.Find(name); ok {
			return true
		}
		numbers = numbers || fieldOf(v, infer.FP64).kind == number
	}
	if numbers {
		return false
	}
	column := 0
	for _, i := range d.required() {
		spec := &d.model.Inputs[i]
		n, free := spec.RowElements()
		if free {
			n = int64(len(first))
		}
		for range n {
			if column == len(first) {
				return true // a header of other columns; the error lists them
			}
			if fieldOf(first[column], spec.DType).kind == text && spec.DType != infer.Bytes {
				return true
			}
			column++
		}
	}
	return column != len(first)
}

// single checks that no column has rows of several values, since a field has one.
func (d *csvFrame) single() error {
	for i := range d.places {
		p := &d.places[i]
		if p.Element != infer.WholeRow {
			continue
		}
		if p.in.elements != 1 {
			return invalid("column '%s' is input '%s' of shape %v, but a CSV field has only one value", p.name, p.in.spec.Name, p.in.spec.Shape)
		}
		p.Element = 0
	}
	return nil
}

func (d *csvFrame) row(row int) error {
	d.more()
	n := 0
	for last := false; !last; n++ {
		var v value
		var err error
		if v, last, err = d.field(); err != nil {
			return err
		}
		if n == len(d.places) {
			return invalid("row %d has more values than the %d columns", row, n)
		}
		p := &d.places[n]
		if err := d.store(p.in, row, p.Element, fieldOf(v, p.in.spec.DType)); err != nil {
			return placed(err, row, p)
		}
	}
	if n < len(d.places) {
		return invalid("row %d has %d values, expected %d", row, n, len(d.places))
	}
	return nil
}

// absent lists the texts for a missing number.
var absent = [...]string{"nan", "na", "n/a", "null", "none", "-nan"}

// fieldOf returns a field as a value for a datatype. Text that is not a number stays text.
func fieldOf(v value, d infer.DType) value {
	if d == infer.Bytes {
		return v
	}
	s := bytes.TrimSpace(v.text)
	if len(s) == 0 {
		return value{kind: missing}
	}
	if c := s[len(s)-1]; isDigit(c) || c == '.' { // usually a number
		if isDecimal(s) {
			return value{kind: number, text: s}
		}
		return v
	}
	switch {
	case bytes.EqualFold(s, []byte("true")):
		return value{kind: truth, text: []byte{'1'}}
	case bytes.EqualFold(s, []byte("false")):
		return value{kind: truth, text: []byte{'0'}}
	}
	for _, word := range absent {
		if bytes.EqualFold(s, []byte(word)) {
			return value{kind: missing}
		}
	}
	if word := bytes.TrimLeft(s, "+-"); len(s)-len(word) <= 1 && (bytes.EqualFold(word, []byte("inf")) || bytes.EqualFold(word, []byte("infinity"))) {
		return value{kind: number, text: s}
	}
	return v
}

// isDecimal reports whether s has only characters of decimal numbers, since the parser accepts more
// forms.
func isDecimal(s []byte) bool {
	for _, c := range s {
		switch c {
		case '+', '-', '.', 'e', 'E':
		default:
			if !isDigit(c) {
				return false
			}
		}
	}
	return true
}
