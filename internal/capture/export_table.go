package capture

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// versionColumn is a column of exports only. In the bucket the version is in the path.
const versionColumn = "version"

// timeFormat is that of times in text, with all digits, so that equal times are equal texts.
const timeFormat = "2006-01-02T15:04:05.000000Z"

// kindExport is the kind of a Parquet file that is an export. It may have rows of several versions.
const kindExport = "export"

// jsonTable writes rows as JSON objects, one a line.
type jsonTable struct {
	w   *bufio.Writer
	l   *layout
	buf []byte
}

func newJSONTable(w io.Writer) *jsonTable { return &jsonTable{w: bufio.NewWriterSize(w, exportBuffer)} }

const exportBuffer = 64 << 10

func (t *jsonTable) begin(l *layout) error {
	t.l = l
	return nil
}

func (t *jsonTable) row(cells [][]parquet.Value) error {
	b := strconv.AppendInt(append(t.buf[:0], `{"`+versionColumn+`":`...), t.l.model.Version, 10)
	for i := range t.l.columns {
		c := &t.l.columns[i]
		b = append(appendText(append(b, ','), c.name), ':')
		b = c.appendJSON(b, cells[i])
	}
	b = append(b, '}', '\n')
	t.buf = b
	_, err := t.w.Write(b)
	return err
}

func (t *jsonTable) close() error { return t.w.Flush() }

// appendJSON appends the cell of a column.
func (c *column) appendJSON(b []byte, cell []parquet.Value) []byte {
	v := cell[0]
	switch {
	case v.IsNull() && v.DefinitionLevel() == isNull:
		return append(b, "null"...)
	case c.name == "parameters": // a JSON object
		return append(b, v.ByteArray()...)
	case !c.list:
		return c.appendElement(b, v)
	case v.IsNull():
		return append(b, '[', ']')
	}
	b = append(b, '[')
	for i := range cell {
		if i > 0 {
			b = append(b, ',')
		}
		b = c.appendElement(b, cell[i])
	}
	return append(b, ']')
}

func (c *column) appendElement(b []byte, v parquet.Value) []byte {
	switch v.Kind() {
	case parquet.Boolean:
		return strconv.AppendBool(b, v.Boolean())
	case parquet.Int32:
		if c.unsigned() {
			return strconv.AppendUint(b, uint64(v.Uint32()), 10)
		}
		return strconv.AppendInt(b, int64(v.Int32()), 10)
	case parquet.Int64:
		switch {
		case c.name == "time" || c.name == exportedLabelTime:
			return append(time.UnixMicro(v.Int64()).UTC().AppendFormat(append(b, '"'), timeFormat), '"')
		case c.unsigned():
			return strconv.AppendUint(b, v.Uint64(), 10)
		}
		return strconv.AppendInt(b, v.Int64(), 10)
	case parquet.Float:
		return appendFloat(b, float64(v.Float()), 32)
	case parquet.Double:
		return appendFloat(b, v.Double(), 64)
	default:
		return appendText(b, string(v.ByteArray()))
	}
}

// unsigned reports whether the values of a column of integers are not signed.
func (c *column) unsigned() bool {
	node := c.node
	for !node.Leaf() {
		node = node.Fields()[0]
	}
	t := node.Type().LogicalType()
	if t == nil {
		return false
	}
	i, ok := t.Value.(*format.IntType)
	return ok && !i.IsSigned
}

// appendFloat appends a number, or the text of one that JSON does not have.
func appendFloat(b []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(b, `"-Infinity"`...)
	}
	return strconv.AppendFloat(b, f, 'g', -1, bits)
}

func appendText(b []byte, s string) []byte {
	text, _ := json.Marshal(s) // a string always encodes
	return append(b, text...)
}

// csvTable writes rows as CSV. Lists are JSON. Null is empty.
type csvTable struct {
	w       *csv.Writer
	columns []column
	from    source
	record  []string
	buf     []byte
}

func newCSVTable(w io.Writer, columns []column) (*csvTable, error) {
	t := &csvTable{w: csv.NewWriter(w), columns: columns, record: []string{versionColumn}}
	for i := range columns {
		t.record = append(t.record, columns[i].name)
	}
	return t, t.w.Write(t.record)
}

func (t *csvTable) begin(l *layout) (err error) {
	t.from, err = sourceOf(t.columns, l)
	return err
}

func (t *csvTable) row(cells [][]parquet.Value) error {
	t.record = append(t.record[:0], strconv.FormatInt(t.from.version, 10))
	for i := range t.columns {
		t.record = append(t.record, t.text(&t.columns[i], t.from.column[i], cells))
	}
	return t.w.Write(t.record)
}

func (t *csvTable) text(c *column, from int, cells [][]parquet.Value) string {
	if from < 0 || cells[from][0].IsNull() && cells[from][0].DefinitionLevel() == isNull {
		return ""
	}
	if v := cells[from][0]; !c.list && v.Kind() == parquet.ByteArray {
		return string(v.ByteArray())
	}
	t.buf = c.appendJSON(t.buf[:0], cells[from])
	if n := len(t.buf); t.buf[0] == '"' { // a time, or NaN
		return string(t.buf[1 : n-1])
	}
	return string(t.buf)
}

func (t *csvTable) close() error {
	t.w.Flush()
	return t.w.Error()
}

// source says where the columns of a table are in a file.
type source struct {
	version int64
	column  []int // -1 if the file does not have it
}

func sourceOf(columns []column, l *layout) (source, error) {
	s, found := source{l.model.Version, make([]int, len(columns))}, 0
	for i := range columns {
		s.column[i] = slices.IndexFunc(l.columns, func(c column) bool { return c.name == columns[i].name && c.same(columns[i]) })
		if s.column[i] >= 0 {
			found++
		}
	}
	if found < len(l.columns) {
		return s, fmt.Errorf("%w: it has other columns than its manifest says", errDamaged)
	}
	return s, nil
}

// parquetTable writes rows as one Parquet file, with a first column for the version.
type parquetTable struct {
	w       *parquet.GenericWriter[any]
	columns []column
	from    source
	buf     parquet.Row
	size    int // about, of the present group of rows
}

func newParquetTable(w io.Writer, model string, columns []column, gateway string) (*parquetTable, error) {
	group, err := newGroup(slices.Concat([]column{{name: versionColumn, node: parquet.Int(64)}}, columns))
	if err != nil {
		return nil, err
	}
	t := &parquetTable{columns: columns, w: parquet.NewGenericWriter[any](w,
		parquet.NewSchema(kindExport, group), parquet.CreatedBy("sluice", formatVersion, ""), parquet.Compression(&parquet.Zstd),
		parquet.KeyValueMetadata(keyKind, kindExport), parquet.KeyValueMetadata(keyFormat, formatVersion),
		parquet.KeyValueMetadata(keyModel, model), parquet.KeyValueMetadata(keyGateway, gateway))}
	return t, nil
}

func (t *parquetTable) begin(l *layout) (err error) {
	t.from, err = sourceOf(t.columns, l)
	return err
}

func (t *parquetTable) row(cells [][]parquet.Value) error {
	t.buf = append(t.buf[:0], parquet.Int64Value(t.from.version).Level(0, 0, 0))
	for i, at := range t.from.column {
		if at < 0 {
			t.buf = append(t.buf, parquet.NullValue().Level(0, isNull, i+1))
			continue
		}
		t.size += sizeOf(cells[at])
		for _, v := range cells[at] {
			t.buf = append(t.buf, v.Level(v.RepetitionLevel(), v.DefinitionLevel(), i+1))
		}
	}
	if _, err := t.w.WriteRows([]parquet.Row{t.buf}); err != nil || t.size < rowGroupBytes {
		return err
	}
	t.size = 0
	return t.w.Flush()
}

func (t *parquetTable) close() error { return t.w.Close() }
