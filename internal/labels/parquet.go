package labels

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go/deprecated"
	pq "github.com/parquet-go/parquet-go/format"

	"sluice.io/sluice/internal/infer"
)

// Limits of a body in Parquet.
const (
	parquetMagic   = "PAR1"
	maxParquetMeta = 8 << 20 // bytes of the metadata at its end
	maxParquetList = 1 << 16 // elements of all lists in the metadata; an element is at most about a kilobyte in memory
	parquetItem    = 1 << 10
	minRowBytes    = 30 // of a row in other formats, which bounds the rows of a body
	rowBytes       = 64 // of a row in the answer, in memory
	valueBytes     = 32 // of a value of a page, in memory
)

// ParquetLimits bound what a body in Parquet may become.
type ParquetLimits struct {
	MaxBytes int // of its pages when they are decompressed
	Memory   infer.Memory
}

// parquetFile is a body in Parquet whose metadata and pages were checked.
type parquetFile struct {
	body    []byte // without the metadata
	columns []parquetColumn
	groups  []pq.RowGroup
}

// DecodeParquet calls f with the labels of a Parquet file, as Decode does. The file has the columns
// request_id and label, and maybe row and time, as numbers, text or timestamps. Before it reads a page
// it reserves the memory for the largest ones. Errors are also TooLarge and those of the memory. Their
// memory stays reserved.
func DecodeParquet(body []byte, l ParquetLimits, f func(Row) error) error {
	p, err := openParquet(body, l)
	if err != nil {
		return err
	}
	// The first pass finds what is wrong, so that no label is taken from a body that is.
	if err := p.each(func(Row) error { return nil }); err != nil {
		return err
	}
	return p.each(f)
}

func parquetError(err error) error {
	var known *infer.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	return infer.Errorf(infer.Invalid, "the body is not valid Parquet: %v", err)
}

// openParquet reads the metadata, and the header of each page.
func openParquet(body []byte, l ParquetLimits) (*parquetFile, error) {
	meta, data, err := parquetMeta(body, l.Memory)
	if err != nil {
		return nil, parquetError(err)
	}
	columns, err := parquetColumns(meta.Schema)
	if err != nil {
		return nil, err
	}
	p := &parquetFile{body: data, columns: columns, groups: meta.RowGroups}
	return p, parquetError(p.check(l))
}

// parquetMeta returns the metadata of a file, and what is before it.
func parquetMeta(body []byte, memory infer.Memory) (meta *pq.FileMetaData, data []byte, err error) {
	const tail = len(parquetMagic) + 4
	switch {
	case len(body) == 0:
		return nil, nil, infer.Errorf(infer.Invalid, "the body is empty; expected a Parquet file with the columns request_id, label, row and time")
	case strings.HasPrefix(string(body[:min(4, len(body))]), "PARE"):
		return nil, nil, errors.New("it is encrypted")
	case len(body) < len(parquetMagic)+tail || string(body[:len(parquetMagic)]) != parquetMagic:
		return nil, nil, errors.New("it does not begin with " + parquetMagic)
	case string(body[len(body)-len(parquetMagic):]) != parquetMagic:
		return nil, nil, errors.New("it does not end with " + parquetMagic + ", so it is cut off")
	}
	data = body[:len(body)-tail]
	size := binary.LittleEndian.Uint32(body[len(data):])
	if uint64(size) > uint64(len(data)-len(parquetMagic)) {
		return nil, nil, errors.New("its metadata does not fit into the file")
	}
	if size > maxParquetMeta {
		return nil, nil, infer.Errorf(infer.TooLarge, "the metadata of the Parquet file has %d bytes, max %d: send it in parts", size, maxParquetMeta)
	}
	footer := data[len(data)-int(size):]
	data = data[:len(data)-int(size)]
	n, items, err := scanThrift(footer, maxParquetList)
	if err == nil && n < len(footer) {
		err = errors.New("something follows")
	}
	if err == nil {
		if err := memory.Reserve(items*parquetItem + 2*len(footer)); err != nil {
			return nil, nil, err
		}
		meta = new(pq.FileMetaData)
		err = readThrift(footer, meta)
	}
	if err != nil {
		err = fmt.Errorf("its metadata: %w", err)
	}
	return meta, data, err
}

// parquetColumn is a column of labels.
type parquetColumn struct {
	name     string
	index    int // among all columns of the file
	kind     pq.Type
	optional bool
	unsigned bool
	unit     time.Duration // of timestamps; 0: it has none
}

// parquetColumns finds the columns of labels. Errors are Invalid.
func parquetColumns(schema []pq.SchemaElement) (columns []parquetColumn, err error) {
	if len(schema) == 0 || int(schema[0].NumChildren.V) < 0 {
		return nil, infer.Errorf(infer.Invalid, "the body is not valid Parquet: it has no columns")
	}
	found := map[string]bool{}
	for i := range schema[1:] {
		e := &schema[1+i]
		if strings.HasPrefix(e.Name, "__index_level_") && e.Type.Valid { // of pandas
			continue
		}
		switch {
		case e.Name != "request_id" && e.Name != "row" && e.Name != "label" && e.Name != "time":
			return nil, infer.Errorf(infer.Invalid, "unknown column '%.40s'; expected request_id, label, row and time", e.Name)
		case found[e.Name]:
			return nil, infer.Errorf(infer.Invalid, "column '%s' is given twice", e.Name)
		case !e.Type.Valid || e.NumChildren.V != 0 || e.RepetitionType.V == pq.Repeated:
			return nil, infer.Errorf(infer.Invalid, "column '%s' has lists or fields, expected one value a row", e.Name)
		}
		found[e.Name] = true
		c := parquetColumn{name: e.Name, index: i, kind: e.Type.V, optional: e.RepetitionType.V == pq.Optional}
		if err := c.setType(e); err != nil {
			return nil, err
		}
		columns = append(columns, c)
	}
	for _, name := range []string{"request_id", "label"} {
		if !found[name] {
			return nil, infer.Errorf(infer.Invalid, "column '%s' is missing; expected request_id, label, row and time", name)
		}
	}
	if int(schema[0].NumChildren.V) != len(schema)-1 {
		return nil, infer.Errorf(infer.Invalid, "the body is not valid Parquet: it has %d columns, and says %d", len(schema)-1, schema[0].NumChildren.V)
	}
	return columns, nil
}

// setType checks that a column can have what it is for.
func (c *parquetColumn) setType(e *pq.SchemaElement) error {
	text, whole, number := false, false, false
	said := c.kind.String()
	if e.LogicalType.Value != nil {
		said = e.LogicalType.Value.String()
	}
	switch logical := e.LogicalType.Value.(type) {
	case *pq.TimestampType:
		if logical.Unit.Value != nil && c.kind == pq.Int64 {
			c.unit = logical.Unit.Value.Duration()
		}
	case *pq.IntType:
		c.unsigned = !logical.IsSigned
		whole = c.kind == pq.Int32 || c.kind == pq.Int64
	case nil, *pq.StringType, *pq.EnumType, *pq.JsonType:
		text = c.kind == pq.ByteArray
		number = c.kind == pq.Float || c.kind == pq.Double
		whole = c.kind == pq.Int32 || c.kind == pq.Int64
	}
	if converted := e.ConvertedType; converted.Valid && e.LogicalType.Value == nil && (whole || text) {
		switch converted.V {
		case deprecated.TimestampMillis:
			whole, c.unit = false, time.Millisecond
		case deprecated.TimestampMicros:
			whole, c.unit = false, time.Microsecond
		case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
			c.unsigned = true
		case deprecated.UTF8, deprecated.Enum, deprecated.Json, deprecated.Int8, deprecated.Int16, deprecated.Int32, deprecated.Int64:
		default:
			whole, text, said = false, false, said+" with a meaning of its own"
		}
	}
	var expected string
	switch {
	case c.name == "request_id" && !text:
		expected = "text"
	case c.name == "row" && !whole:
		expected = "whole numbers"
	case c.name == "time" && !text && c.unit == 0:
		expected = "timestamps or text"
	case c.name == "label" && !text && !whole && !number && c.kind != pq.Boolean:
		expected = "numbers, text or booleans"
	default:
		return nil
	}
	return infer.Errorf(infer.Invalid, "column '%s' has values of the type %s, expected %s", c.name, said, expected)
}

// check reads the header of each page, and reserves the memory for the largest ones.
func (p *parquetFile) check(l ParquetLimits) error {
	var rows, size int64
	largest := 0 // the values of the largest page
	for g := range p.groups {
		group := &p.groups[g]
		if group.NumRows < 0 || group.NumRows > math.MaxInt64-rows {
			return errors.New("the number of its rows is not valid")
		}
		rows += group.NumRows
		for i := range p.columns {
			c := &p.columns[i]
			if c.index >= len(group.Columns) {
				return fmt.Errorf("column '%s' is missing in a group of rows", c.name)
			}
			values, err := p.eachPage(&group.Columns[c.index], func(page *parquetPage) error {
				size += int64(page.size)
				largest = max(largest, page.values)
				if page.dictionary && page.values > page.size {
					// each value of a dictionary has at least a byte, but for bools
					return errors.New("a dictionary has fewer values than it says")
				}
				return nil
			})
			if err == nil && values != group.NumRows {
				err = fmt.Errorf("its pages have %d values, and the file says %d rows", values, group.NumRows)
			}
			if err != nil {
				return fmt.Errorf("column '%s': %w", c.name, err)
			}
		}
	}
	if size > int64(l.MaxBytes) || rows > int64(l.MaxBytes)/minRowBytes {
		return infer.Errorf(infer.TooLarge, "the Parquet file has %d rows, and %d bytes when it is decompressed; max %d rows and %d bytes: send it in parts",
			rows, size, l.MaxBytes/minRowBytes, l.MaxBytes)
	}
	// Texts of several pages may be in use until the rows are written.
	return l.Memory.Reserve(2*int(size) + int(rows)*rowBytes + len(p.columns)*2*largest*valueBytes + zstdBytes)
}

// eachPage calls f with the pages of a column, and returns the number of their values.
func (p *parquetFile) eachPage(chunk *pq.ColumnChunk, f func(page *parquetPage) error) (values int64, err error) {
	b, err := p.chunk(chunk)
	for err == nil && len(b) > 0 {
		var page parquetPage
		var ok bool
		page, b, ok, err = nextPage(b)
		if err != nil || !ok {
			continue
		}
		if !page.dictionary {
			values += int64(page.values)
		}
		err = f(&page)
	}
	return values, err
}

// chunk returns the bytes of a column in a group of rows.
func (p *parquetFile) chunk(chunk *pq.ColumnChunk) ([]byte, error) {
	m := &chunk.MetaData
	from := m.DataPageOffset
	if m.DictionaryPageOffset > 0 && m.DictionaryPageOffset < from {
		from = m.DictionaryPageOffset
	}
	switch {
	case chunk.FilePath != "":
		return nil, errors.New("its values are in another file")
	case chunk.CryptoMetadata.Value != nil || len(chunk.EncryptedColumnMetadata) > 0:
		return nil, errors.New("it is encrypted")
	case from < int64(len(parquetMagic)) || m.TotalCompressedSize < 0 || from > int64(len(p.body)) || m.TotalCompressedSize > int64(len(p.body))-from:
		return nil, errors.New("its pages are not in the file")
	case m.Codec != pq.Uncompressed && m.Codec != pq.Snappy && m.Codec != pq.Gzip && m.Codec != pq.Zstd:
		return nil, fmt.Errorf("its compression is %v, expected SNAPPY, GZIP, ZSTD or UNCOMPRESSED", m.Codec)
	}
	return p.body[from : from+m.TotalCompressedSize], nil
}
