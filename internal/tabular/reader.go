package tabular

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"sluice.io/sluice/internal/infer"
)

// Header selects whether the first row has the names of the columns.
type Header uint8

// The headers.
const (
	HeaderAuto Header = iota // guessed from the first two rows
	HeaderYes
	HeaderNo
)

const (
	minBuffer = 64 << 10
	bom       = "\xef\xbb\xbf" // the byte order mark of UTF-8
)

// Options configure how a file is read. The limits have no default.
type Options struct {
	Header        Header
	Comma         rune // 0: comma, semicolon or tab, whichever fits the first rows
	MaxRowBytes   int  // at least 1; about four times as much is kept in memory
	MaxFieldBytes int  // at least 1
	MaxColumns    int  // at least 1
	// Missing are the texts for a missing value, in any case. Most files need UsualMissing.
	Missing []string
	// TextIsMissing treats text in a column of numbers as missing; otherwise it is an error.
	TextIsMissing bool
	// MissingTexts are the texts for a missing value in a column that is read as texts, besides the empty
	// one: NA and None may be names there.
	MissingTexts []string

	numbersMissing bool // one of Missing is otherwise a number, for example -999
}

// Column is a column of the file.
type Column struct {
	Name    string // col1 for the first one, if the file has no name
	Text    bool   // its first rows have more texts than numbers
	Example string // one of the texts
	// DecimalComma means that the texts would be numbers with a point in place of the comma. They
	// are not read as numbers: in other files a comma separates thousands, or fields.
	DecimalComma bool
}

// Reader reads rows of numbers and texts. It belongs to one goroutine.
type Reader struct {
	opts    Options
	parquet *parquetTable // nil: a CSV file, whose fields are the next ones
	guard   *guard
	csv     *csv.Reader
	columns []Column
	header  bool
	first   []string // the first row, if it is not a header and was not returned yet
	skipped int64    // bytes before the first row
	line    int      // the line in which the last row began
	width   int      // fields of each row
	place   []int    // by column: its index in the values, -1 if it is not used
	asText  []bool   // by column: it is read as texts
	kept    []*Kept
	values  []float64
	texts   []string // of columns of texts
	missing []bool
}

// New reads the beginning of a file: names and kinds of its columns. At first every column of
// numbers is used. The file is Parquet if it begins like one and can be read at any place (io.ReaderAt and
// io.Seeker), else CSV. Errors in the file are *infer.Error with code Invalid. It panics if a limit is
// missing.
func New(r io.Reader, o Options) (*Reader, error) {
	o.check()
	o.numbersMissing = slices.ContainsFunc(o.Missing, func(m string) bool {
		_, ok := number(m)
		return ok
	})
	if at, size, ok := parquetFile(r); ok {
		return newParquet(at, size, o)
	}
	ahead := max(2*o.MaxRowBytes, minBuffer)
	g := &guard{r: r, most: int64(ahead)}
	buffer := bufio.NewReaderSize(g, ahead)
	prefix, err := buffer.Peek(ahead)
	whole := errors.Is(err, io.EOF)
	if err != nil && !whole && !errors.Is(err, errRowTooLong) {
		return nil, err
	}
	t := &Reader{opts: o, guard: g}
	if bytes.HasPrefix(prefix, []byte(bom)) {
		n, _ := buffer.Discard(len(bom))
		t.skipped, prefix = int64(n), prefix[n:]
	}
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	comma := o.Comma
	if comma == 0 {
		comma = sniffComma(prefix, whole)
	}
	t.csv = csv.NewReader(buffer)
	t.csv.Comma, t.csv.FieldsPerRecord, t.csv.ReuseRecord = comma, -1, true
	if err := t.begin(parsePrefix(prefix, comma, whole)); err != nil {
		return nil, err
	}
	return t, nil
}

// UsualMissing returns the texts for a missing value in most files.
func UsualMissing() []string { return []string{"", "NA", "N/A", "#N/A", "null", "None", "?"} }

// check panics if a limit is missing.
func (o *Options) check() {
	switch {
	case o.MaxRowBytes < 1:
		panic(fmt.Sprintf("BUG: tabular: MaxRowBytes is %d; expected at least 1", o.MaxRowBytes))
	case o.MaxFieldBytes < 1:
		panic(fmt.Sprintf("BUG: tabular: MaxFieldBytes is %d; expected at least 1", o.MaxFieldBytes))
	case o.MaxColumns < 1:
		panic(fmt.Sprintf("BUG: tabular: MaxColumns is %d; expected at least 1", o.MaxColumns))
	}
}

// begin reads the first row, and makes the columns from it and from the rows read ahead.
func (r *Reader) begin(rows [][]string) error {
	first, err := r.record()
	if errors.Is(err, io.EOF) {
		return infer.Errorf(infer.Invalid, "the file has only blank lines; expected rows of numbers")
	}
	if err != nil {
		return err
	}
	if len(first) > r.opts.MaxColumns {
		return infer.Errorf(infer.Invalid, "line %d: %d columns; expected at most %d", r.line, len(first), r.opts.MaxColumns)
	}
	r.header = r.opts.Header == HeaderYes || r.opts.Header == HeaderAuto && r.opts.sniffHeader(rows)
	if r.columns, err = nameColumns(first, r.header); err != nil {
		return err
	}
	r.width = len(first)
	if r.header {
		rows = rows[min(1, len(rows)):]
		for i, name := range first {
			if err := r.checkText(i, name); err != nil {
				return err
			}
		}
	} else {
		r.first = slices.Clone(first)
	}
	r.opts.sniffColumns(r.columns, rows)
	r.place, r.asText = make([]int, r.width), make([]bool, r.width)
	for i := range r.place {
		r.place[i] = -1
		if !r.columns[i].Text {
			r.use(i, false)
		}
	}
	return nil
}

func (r *Reader) use(column int, asText bool) {
	r.place[column], r.asText[column] = len(r.values), asText
	r.values, r.texts, r.missing = append(r.values, 0), append(r.texts, ""), append(r.missing, false)
}

// Columns returns the columns of the file, in its order.
func (r *Reader) Columns() []Column { return r.columns }

// Named reports whether the file names its columns.
func (r *Reader) Named() bool { return r.header }

// Bytes returns the number of bytes read from the file.
func (r *Reader) Bytes() int64 {
	if r.parquet != nil {
		return r.parquet.bytes()
	}
	return r.skipped + r.csv.InputOffset()
}

// Line returns the line in which the last row began, counted from 1. In a Parquet file it is the number of
// the row.
func (r *Reader) Line() int {
	if r.parquet != nil {
		return int(r.parquet.row)
	}
	return r.line
}

// Use selects the columns of numbers for Next and their order. Call it before the first Next.
func (r *Reader) Use(names []string) error { return r.UseAs(names, make([]bool, len(names))) }

// UseAs selects the columns for Next and their order, and which of them are read as texts. Any column
// can be. Call it before the first Next.
func (r *Reader) UseAs(names []string, asText []bool) error {
	at := make(map[string]int, len(r.columns))
	for i := range r.columns {
		at[r.columns[i].Name] = i
	}
	r.values, r.texts, r.missing = r.values[:0], r.texts[:0], r.missing[:0]
	for i := range r.place {
		r.place[i] = -1
	}
	for k, name := range names {
		i, ok := at[name]
		switch {
		case !ok:
			return infer.Errorf(infer.Invalid, "the file has no column '%s'; it has %s", clip(name), r.names())
		case asText[k] && r.place[i] < 0:
		case r.columns[i].DecimalComma:
			return r.columns[i].commaError()
		case r.columns[i].Text:
			return infer.Errorf(infer.Invalid, "column '%s' has text, for example '%s'; expected numbers", clip(name), r.columns[i].Example)
		case r.place[i] >= 0:
			return infer.Errorf(infer.Invalid, "column '%s' is a duplicate", clip(name))
		}
		r.use(i, asText[k])
	}
	return nil
}

// commaError returns an error about a column with decimal commas.
func (c *Column) commaError() error {
	return infer.Errorf(infer.Invalid, "column '%s' has commas in its numbers, for example '%s'; write decimals with a point, and thousands without a separator", clip(c.Name), c.Example)
}

// Numbers returns the columns of numbers, in the file's order. It returns an error for a column of
// numbers with decimal commas, unless except returns true for it.
func (r *Reader) Numbers(except func(name string) bool) ([]string, error) {
	var names []string
	for i := range r.columns {
		switch c := &r.columns[i]; {
		case except(c.Name):
		case c.DecimalComma:
			return nil, c.commaError()
		case !c.Text:
			names = append(names, c.Name)
		}
	}
	return names, nil
}

// Kept is a column of any kind of which Next keeps the text.
type Kept struct {
	r      *Reader
	column int
	text   string
}

// Keep makes Next keep the text of a column. Call it before the first Next.
func (r *Reader) Keep(name string) (*Kept, error) {
	k := &Kept{r: r, column: slices.IndexFunc(r.columns, func(c Column) bool { return c.Name == name })}
	if k.column < 0 {
		return nil, infer.Errorf(infer.Invalid, "the file has no column '%s'; it has %s", clip(name), r.names())
	}
	r.kept = append(r.kept, k)
	return k, nil
}

// Text returns the last row's text in the column, without blanks around it.
func (k *Kept) Text() string { return k.text }

// Errorf returns an error about the text, with its place.
func (k *Kept) Errorf(format string, args ...any) error {
	return k.r.errorAt(k.column, "'%s' %s", clip(k.text), fmt.Sprintf(format, args...))
}

// names lists the columns, up to the max number in a message.
func (r *Reader) names() string {
	const most = 20
	var b strings.Builder
	for i := range r.columns[:min(most, len(r.columns))] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("'" + clip(r.columns[i].Name) + "'")
	}
	if len(r.columns) > most {
		b.WriteString(", …")
	}
	return b.String()
}

// Texts returns the last row's texts, in the order of the values that Next returned; "" for a number.
// Texts are exactly as in the file, with blanks around them. The next call of Next overwrites the slice.
func (r *Reader) Texts() []string { return r.texts }

// Next returns the next row: the values of the used columns, and marks for missing ones. The next
// call overwrites the slices. After the last row the error is io.EOF. A column of texts has the value 0.
func (r *Reader) Next() (values []float64, missing []bool, err error) {
	if r.parquet != nil {
		return r.nextParquet()
	}
	row := r.first
	if row == nil {
		if row, err = r.record(); err != nil {
			return nil, nil, err
		}
	}
	r.first = nil
	if len(row) != r.width {
		hint := ""
		if r.csv.Comma == ',' && len(row) > r.width {
			hint = "; if a number has a decimal comma, write it with a point"
		}
		return nil, nil, infer.Errorf(infer.Invalid, "line %d has %d fields; expected %d, as in the first row%s", r.line, len(row), r.width, hint)
	}
	for i, field := range row {
		if len(field) > r.opts.MaxFieldBytes {
			return nil, nil, r.errorAt(i, "a field of %d bytes; expected at most %d", len(field), r.opts.MaxFieldBytes)
		}
		for _, k := range r.kept {
			if i == k.column {
				k.text = trim(field)
			}
		}
		place := r.place[i]
		if place < 0 {
			if err := r.checkText(i, field); err != nil {
				return nil, nil, err
			}
			continue
		}
		if r.asText[i] {
			if err := r.checkText(i, field); err != nil {
				return nil, nil, err
			}
			r.texts[place], r.missing[place] = field, field == "" || slices.Contains(r.opts.MissingTexts, field)
			continue
		}
		if r.values[place], r.missing[place], err = r.value(i, field); err != nil {
			return nil, nil, err
		}
	}
	return r.values, r.missing, nil
}

// value returns the value of a field in a column of numbers.
func (r *Reader) value(column int, field string) (x float64, missing bool, err error) {
	field = trim(field)
	x, ok := number(field)
	switch {
	case ok && !r.opts.numbersMissing:
		return x, false, nil
	case r.opts.isMissing(field):
		return 0, true, nil
	case ok:
		return x, false, nil
	}
	if err := r.checkText(column, field); err != nil {
		return 0, false, err
	}
	if r.opts.TextIsMissing {
		return 0, true, nil
	}
	hint := "; declare it as a missing value, or leave the column out"
	if hasDecimalComma(field) {
		hint = "; write decimals with a point"
	}
	return 0, false, r.errorAt(column, "'%s' is not a number%s", clip(field), hint)
}

// checkText returns an error if a field is not text in UTF-8.
func (r *Reader) checkText(column int, field string) error {
	if strings.IndexByte(field, 0) >= 0 {
		return r.errorAt(column, "a NUL byte; expected text in UTF-8")
	}
	if !utf8.ValidString(field) {
		return r.errorAt(column, "'%s' is not UTF-8; save the file as UTF-8, for example with iconv -f LATIN1 -t UTF-8", clip(field))
	}
	return nil
}

// errorAt returns an error with its place in the file. It is valid for the last record.
func (r *Reader) errorAt(column int, format string, args ...any) error {
	name := ""
	if column < len(r.columns) {
		name = " ('" + clip(r.columns[column].Name) + "')"
	}
	if r.parquet != nil {
		return infer.Errorf(infer.Invalid, "row %d, column %d%s: %s", r.parquet.row, column+1, name, fmt.Sprintf(format, args...))
	}
	line, _ := r.csv.FieldPos(column)
	return infer.Errorf(infer.Invalid, "line %d, column %d%s: %s", line, column+1, name, fmt.Sprintf(format, args...))
}

// record reads the fields of the next row, up to the max size.
func (r *Reader) record() ([]string, error) {
	start := r.csv.InputOffset()
	limit := int64(r.opts.MaxRowBytes)
	r.guard.most = r.skipped + start + max(2*limit, minBuffer)
	row, err := r.csv.Read()
	if errors.Is(err, errRowTooLong) || err == nil && r.csv.InputOffset()-start > limit {
		return nil, infer.Errorf(infer.Invalid, "the row after line %d is longer than %d bytes; is a quote not closed?", r.line, limit)
	}
	var wrong *csv.ParseError
	switch {
	case errors.As(err, &wrong) && errors.Is(err, csv.ErrQuote) && wrong.Line != wrong.StartLine:
		return nil, infer.Errorf(infer.Invalid, "line %d: a quote that opens in this row is not closed properly by line %d, byte %d", wrong.StartLine, wrong.Line, wrong.Column)
	case errors.As(err, &wrong):
		return nil, infer.Errorf(infer.Invalid, "line %d, byte %d: %v", wrong.Line, wrong.Column, wrong.Err)
	case err != nil:
		return nil, err
	}
	r.line, _ = r.csv.FieldPos(0)
	return row, nil
}
