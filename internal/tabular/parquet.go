package tabular

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"sluice.io/sluice/internal/infer"
)

// parquetMagic is at the beginning of a Parquet file.
const parquetMagic = "PAR1"

// parquetRows is the number of rows that are read at a time.
const parquetRows = 256

// parquetTable has the rows of a Parquet file. A column is a leaf of the file's schema, or an element of one
// with lists that all have the same length.
type parquetTable struct {
	file   *parquet.File
	size   int64
	leaves []parquetLeaf
	groups []parquet.RowGroup // those that are left
	rows   parquet.Rows       // of the current one, nil if there is none
	buffer []parquet.Row
	at, n  int   // the next row in buffer, and their number
	row    int64 // the number of the last row, from 1
	cells  [][]parquet.Value
}

// parquetLeaf is a leaf of the schema.
type parquetLeaf struct {
	name  string
	list  bool
	first int // its first column, -1 if it has none
	width int // its number of columns
	text  bool
	of    parquetValues
}

// parquetValues says what the values of a leaf mean.
type parquetValues struct {
	unsigned bool
	scale    float64       // of decimals, 0 for others
	unit     time.Duration // of times; 24 hours for dates, 0 for others
}

// parquetFile returns a file that can be read at any place, and its size, if it is Parquet.
func parquetFile(r io.Reader) (io.ReaderAt, int64, bool) {
	type file interface {
		io.ReaderAt
		io.Seeker
	}
	f, ok := r.(file)
	if !ok {
		return nil, 0, false
	}
	magic := make([]byte, len(parquetMagic))
	if _, err := f.ReadAt(magic, 0); err != nil || string(magic) != parquetMagic {
		return nil, 0, false
	}
	size, err := f.Seek(0, io.SeekEnd)
	return f, size, err == nil
}

// notParquet returns an error about a file that cannot be read. The reader panics at some damaged files.
func notParquet(why any) error {
	return infer.Errorf(infer.Invalid, "the file is not valid Parquet: %v", why)
}

// newParquet reads the schema and the first rows of a Parquet file.
func newParquet(in io.ReaderAt, size int64, o Options) (r *Reader, err error) {
	defer func() {
		if why := recover(); why != nil {
			r, err = nil, notParquet(why)
		}
	}()
	file, err := parquet.OpenFile(in, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, notParquet(err)
	}
	t := &parquetTable{file: file, size: size, groups: file.RowGroups(), buffer: make([]parquet.Row, parquetRows)}
	t.leaves = parquetLeaves(file.Schema())
	t.cells = make([][]parquet.Value, len(t.leaves))
	if err := t.fill(); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	r = &Reader{opts: o, parquet: t, header: true}
	if r.columns, err = t.columns(o.MaxColumns); err != nil {
		return nil, err
	}
	r.width = len(r.columns)
	r.place, r.asText = slices.Repeat([]int{-1}, r.width), make([]bool, r.width)
	for i := range r.columns {
		if !r.columns[i].Text {
			r.use(i, false)
		}
	}
	return r, nil
}

// parquetLeaves returns the leaves of a schema. Those of lists of lists, and the index of pandas, have no
// columns.
func parquetLeaves(schema *parquet.Schema) []parquetLeaf {
	list := make([]parquetLeaf, 0, len(schema.Columns()))
	for _, path := range schema.Columns() {
		leaf := parquetLeaf{name: strings.Join(path, "."), first: -1}
		column, ok := schema.Lookup(path...)
		if ok && column.MaxRepetitionLevel <= 1 && !strings.HasPrefix(leaf.name, "__index_level_") {
			leaf.first = 0
			if leaf.list = column.MaxRepetitionLevel == 1; leaf.list {
				for _, inner := range [...]string{".list.element", ".list.item", ".bag.array_element", ".array"} {
					leaf.name = strings.TrimSuffix(leaf.name, inner)
				}
			}
			leaf.text, leaf.of = valuesOf(column.Node.Type())
		}
		list = append(list, leaf)
	}
	return list
}

// valuesOf says whether a type has texts, and else what its numbers mean.
func valuesOf(t parquet.Type) (text bool, v parquetValues) {
	text = !slices.Contains([]parquet.Kind{parquet.Boolean, parquet.Int32, parquet.Int64, parquet.Float, parquet.Double}, t.Kind())
	l := t.LogicalType()
	if text || l == nil {
		return text, v
	}
	switch is := l.Value.(type) {
	case *format.TimestampType:
		if is.Unit.Value != nil {
			v.unit = is.Unit.Value.Duration()
		}
	case *format.DateType:
		v.unit = 24 * time.Hour
	case *format.DecimalType:
		v.scale = math.Pow10(int(is.Scale))
	case *format.IntType:
		v.unsigned = !is.IsSigned
	default:
	}
	return text, v
}

// columns makes the columns of the leaves. The first rows say how long lists are, and have examples of
// texts.
func (t *parquetTable) columns(most int) ([]Column, error) {
	if t.n == 0 {
		return nil, infer.Errorf(infer.Invalid, "the file has no rows; expected at least one")
	}
	var columns []Column
	for i := range t.leaves {
		leaf := &t.leaves[i]
		if leaf.first < 0 {
			continue
		}
		example := ""
		for _, row := range t.buffer[:t.n] {
			values := slices.DeleteFunc(slices.Clone(row), func(v parquet.Value) bool { return v.Column() != i || v.IsNull() })
			leaf.width = max(leaf.width, len(values))
			if example == "" && leaf.text && len(values) > 0 {
				example = clip(string(values[0].Bytes()))
			}
		}
		leaf.first = len(columns)
		if !leaf.list {
			leaf.width = 1
		}
		if leaf.width > most-len(columns) {
			return nil, infer.Errorf(infer.Invalid, "more than %d columns", most)
		}
		for element := range leaf.width {
			name := leaf.name
			if leaf.list {
				name = fmt.Sprintf("%s[%d]", name, element)
			}
			columns = append(columns, Column{Name: name, Text: leaf.text, Example: example})
		}
	}
	return columns, nil
}

// fill reads the next rows. The error is io.EOF after the last one.
func (t *parquetTable) fill() (err error) {
	t.at, t.n = 0, 0
	for t.n == 0 {
		if t.rows == nil {
			if len(t.groups) == 0 {
				return io.EOF
			}
			t.rows, t.groups = t.groups[0].Rows(), t.groups[1:]
		}
		t.n, err = t.rows.ReadRows(t.buffer)
		if err != nil && !errors.Is(err, io.EOF) {
			return notParquet(err)
		}
		if err != nil || t.n == 0 {
			if err := t.rows.Close(); err != nil {
				return notParquet(err)
			}
			t.rows = nil
		}
	}
	return nil
}

// next returns the values of the next row, by leaf. They are valid until the next call.
func (t *parquetTable) next() (cells [][]parquet.Value, err error) {
	defer func() {
		if why := recover(); why != nil {
			err = notParquet(why)
		}
	}()
	if t.at == t.n {
		if err := t.fill(); err != nil {
			return nil, err
		}
	}
	for i := range t.cells {
		t.cells[i] = t.cells[i][:0]
	}
	for _, v := range t.buffer[t.at] {
		t.cells[v.Column()] = append(t.cells[v.Column()], v)
	}
	t.at++
	t.row++
	return t.cells, nil
}

// bytes returns about how much of the file has been read.
func (t *parquetTable) bytes() int64 {
	return int64(float64(t.size) * min(1, float64(t.row)/float64(max(1, t.file.NumRows()))))
}

// nextParquet returns the next row of a Parquet file.
func (r *Reader) nextParquet() (values []float64, missing []bool, err error) {
	cells, err := r.parquet.next()
	if err != nil {
		return nil, nil, err
	}
	for i := range r.parquet.leaves {
		leaf := &r.parquet.leaves[i]
		if leaf.first < 0 {
			continue
		}
		cell := cells[i]
		if len(cell) == 1 && cell[0].IsNull() {
			cell = nil
		}
		if len(cell) != leaf.width && len(cell) > 0 {
			return nil, nil, infer.Errorf(infer.Invalid, "row %d: column '%s' has %d values; expected %d, as in the first rows", r.parquet.row, clip(leaf.name), len(cell), leaf.width)
		}
		for element := range leaf.width {
			v := parquet.Value{}
			if len(cell) > 0 {
				v = cell[element]
			}
			r.setParquet(leaf.first+element, leaf, v)
		}
	}
	return r.values, r.missing, nil
}

// setParquet sets the value of a column, which may be null.
func (r *Reader) setParquet(column int, leaf *parquetLeaf, v parquet.Value) {
	for _, k := range r.kept {
		if column == k.column {
			k.text = leaf.textOf(v)
		}
	}
	place := r.place[column]
	if place < 0 {
		return
	}
	r.values[place], r.texts[place], r.missing[place] = 0, "", v.IsNull()
	switch {
	case v.IsNull():
	case r.asText[column]:
		text := leaf.textOf(v)
		r.texts[place], r.missing[place] = text, text == "" || slices.Contains(r.opts.MissingTexts, text)
	default:
		x := leaf.number(v)
		r.values[place] = x
		r.missing[place] = r.opts.numbersMissing && slices.ContainsFunc(r.opts.Missing, func(m string) bool {
			y, ok := number(m)
			return ok && x == y
		})
	}
}

// number returns a value as a number. Times are in seconds since 1970.
func (l *parquetLeaf) number(v parquet.Value) float64 {
	switch v.Kind() {
	case parquet.Boolean:
		if v.Boolean() {
			return 1
		}
		return 0
	case parquet.Float:
		return float64(v.Float())
	case parquet.Double:
		return v.Double()
	default:
	}
	n := integer(v)
	switch {
	case l.of.unit > 0:
		return float64(n) * l.of.unit.Seconds()
	case l.of.scale > 0:
		return float64(n) / l.of.scale
	case l.of.unsigned && v.Kind() == parquet.Int32:
		return float64(v.Uint32())
	case l.of.unsigned:
		return float64(v.Uint64())
	default:
		return float64(n)
	}
}

func integer(v parquet.Value) int64 {
	if v.Kind() == parquet.Int32 {
		return int64(v.Int32())
	}
	return v.Int64()
}

// textOf returns a value as a text, "" for null. A time is in RFC 3339.
func (l *parquetLeaf) textOf(v parquet.Value) string {
	switch {
	case v.IsNull():
		return ""
	case l.text && (v.Kind() == parquet.ByteArray || v.Kind() == parquet.FixedLenByteArray):
		return string(v.ByteArray())
	case l.text:
		return v.String()
	case v.Kind() == parquet.Boolean:
		return strconv.FormatBool(v.Boolean())
	case l.of.unit > 0:
		at := time.Unix(integer(v)*int64(l.of.unit/time.Second), 0)
		if l.of.unit < time.Second {
			perSecond := int64(time.Second / l.of.unit)
			at = time.Unix(integer(v)/perSecond, integer(v)%perSecond*int64(l.of.unit))
		}
		return at.UTC().Format(time.RFC3339Nano)
	case v.Kind() == parquet.Int32 || v.Kind() == parquet.Int64:
		if l.of.scale == 0 && !l.of.unsigned {
			return strconv.FormatInt(integer(v), 10)
		}
	default:
	}
	return strconv.FormatFloat(l.number(v), 'f', -1, 64)
}
