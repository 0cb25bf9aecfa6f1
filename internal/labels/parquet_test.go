package labels_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
)

// reserved counts what a decoder reserves.
type reserved int

func (r *reserved) Reserve(n int) error {
	if *r += reserved(n); *r > 1<<30 {
		return infer.Errorf(infer.TooLarge, "no memory")
	}
	return nil
}

func (r *reserved) Release(n int) { *r -= reserved(n) }

const maxParquet = 1 << 20

func decodeParquet(body []byte) (rows []labels.Row, err error) {
	err = labels.DecodeParquet(body, labels.ParquetLimits{MaxBytes: maxParquet, Memory: new(reserved)}, func(r labels.Row) error {
		rows = append(rows, r)
		return nil
	})
	return rows, err
}

func writeParquet[T any](t testing.TB, rows []T, options ...parquet.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := parquet.Write(&b, rows, options...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestDecodeParquet reads what the library writes in all of its ways, page by page.
func TestDecodeParquet(t *testing.T) {
	type plain struct {
		RequestID string    `parquet:"request_id"`
		Row       int32     `parquet:"row"`
		Label     float64   `parquet:"label"`
		Time      time.Time `parquet:"time,timestamp(microsecond)"`
	}
	type dictionary struct {
		RequestID string    `parquet:"request_id,dict,snappy"`
		Row       int64     `parquet:"row,delta,zstd"`
		Label     *string   `parquet:"label,optional,dict,gzip"`
		Time      time.Time `parquet:"time,timestamp(millisecond),dict"`
		Index     int64     `parquet:"__index_level_0__"`
	}
	type others struct {
		RequestID string  `parquet:"request_id,zstd"`
		Row       *uint32 `parquet:"row,optional"`
		Label     *bool   `parquet:"label,optional"`
		Time      *string `parquet:"time,optional,snappy"`
	}
	type numbers struct {
		RequestID string  `parquet:"request_id,plain"`
		Label     float32 `parquet:"label,split,snappy"`
	}
	const n = 3000
	at := time.Date(2026, 11, 30, 8, 0, 0, 250_000_000, time.UTC)
	wants := make([][]labels.Row, 4)
	var (
		a []plain
		b []dictionary
		c []others
		d []numbers
	)
	for i := range n {
		id, class, truth, text, row := fmt.Sprintf("request-%d", i/3), fmt.Sprintf("class %d", i%4), i%2 == 0, "2026-11-30T08:00:00Z", uint32(i%3)
		when := at.Add(time.Duration(i) * time.Second)
		want := labels.Row{RequestID: id, Row: i % 3, Label: labels.NumberLabel(float64(i) / 8), Time: when}
		a = append(a, plain{id, int32(i % 3), float64(i) / 8, when})
		wants[0] = append(wants[0], want)

		entry := dictionary{id, int64(i % 3), &class, when, int64(i)}
		if want.Label = labels.TextLabel(class, false); i%5 == 0 {
			entry.Label, want.Label, want.Problem = nil, labels.Label{}, "label is missing"
		}
		b = append(b, entry)
		wants[1] = append(wants[1], want)

		want = labels.Row{RequestID: id, Row: i % 3, Label: labels.BoolLabel(truth), Time: at.Truncate(time.Second)}
		other := others{id, &row, &truth, &text}
		if i%7 == 0 {
			other.Row, other.Time, want.Row, want.Time = nil, nil, 0, time.Time{}
		}
		c = append(c, other)
		wants[2] = append(wants[2], want)
		d = append(d, numbers{id, float32(i) / 4})
		wants[3] = append(wants[3], labels.Row{RequestID: id, Label: labels.NumberLabel(float64(i) / 4)})
	}
	lengths := parquet.NewSchema("others", parquet.Group{
		"request_id": parquet.Encoded(parquet.String(), &parquet.DeltaLengthByteArray), "row": parquet.Optional(parquet.Uint(32)),
		"label": parquet.Optional(parquet.Leaf(parquet.BooleanType)), "time": parquet.Optional(parquet.String()),
	})
	for version := 1; version <= 2; version++ {
		o := []parquet.WriterOption{parquet.DataPageVersion(version), parquet.PageBufferSize(2000), parquet.MaxRowsPerRowGroup(1100)}
		for i, body := range [][]byte{writeParquet(t, a, o...), writeParquet(t, b, o...), writeParquet(t, c, append(o, lengths)...), writeParquet(t, d, o...)} {
			got, err := decodeParquet(body)
			if diff := cmp.Diff(wants[i], got); err != nil || diff != "" {
				t.Fatalf("file %d, pages %d: %v\n%.2000s", i, version, err, diff)
			}
		}
	}
}

// TestParquetRows are rows that are wrong, in files that are not.
func TestParquetRows(t *testing.T) {
	type row struct {
		RequestID *string  `parquet:"request_id,optional"`
		Row       *int64   `parquet:"row,optional"`
		Label     *float64 `parquet:"label,optional"`
		Time      *string  `parquet:"time,optional"`
	}
	text := func(s string) *string { return &s }
	number := func(n int64) *int64 { return &n }
	one, nan := 1.0, math.NaN()
	got, err := decodeParquet(writeParquet(t, []row{
		{text("a"), number(-1), &one, nil},
		{nil, nil, &one, nil},
		{text("a"), nil, nil, nil},
		{text("a"), number(1 << 40), &one, nil},
		{text("a"), nil, &one, text("yesterday")},
		{text("a"), number(7), &nan, nil},
	}))
	var problems []string
	for _, r := range got {
		problems = append(problems, r.Problem)
	}
	want := []string{
		"row is -1, expected 0 to 2147483647", "request_id is missing", "label is missing",
		"row is 1099511627776, expected 0 to 2147483647", "time is 'yesterday', expected one such as 2026-11-30T08:00:00Z", "",
	}
	if diff := cmp.Diff(want, problems); err != nil || diff != "" {
		t.Fatalf("%v\n%s", err, diff)
	}
	if r := got[5]; r.Row != 7 || !math.IsNaN(r.Label.Number) {
		t.Errorf("%+v", r)
	}
	if got, err := decodeParquet(writeParquet(t, []row{})); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

// refusedParquet checks that a body is refused as a whole.
func refusedParquet(t *testing.T, body []byte, code infer.Code, want string) {
	t.Helper()
	rows, err := decodeParquet(body)
	if infer.CodeOf(err) != code || !strings.Contains(infer.Message(err), want) || len(rows) > 0 {
		t.Errorf("%d rows and %v, want %v: %s", len(rows), err, code, want)
	}
}

type sound struct {
	RequestID string `parquet:"request_id"`
	Label     int64  `parquet:"label"`
}

func soundRows(n int) (rows []sound) {
	for i := range n {
		rows = append(rows, sound{fmt.Sprint("request ", i), int64(i)})
	}
	return rows
}

// TestParquetColumns: what is wrong with a column is said with its name.
func TestParquetColumns(t *testing.T) {
	type id struct {
		RequestID string `parquet:"request_id"`
	}
	f := func(body []byte, want string) { t.Helper(); refusedParquet(t, body, infer.Invalid, want) }
	f(writeParquet(t, []id{{"a"}}), "column 'label' is missing; expected request_id, label, row and time")
	f(writeParquet(t, []struct {
		id

		Lable int `parquet:"lable"`
	}{{}}), "unknown column 'lable'")
	f(writeParquet(t, []struct {
		RequestID int64 `parquet:"request_id"`
		Label     int64 `parquet:"label"`
	}{{}}), "column 'request_id' has values of the type INT(64,true), expected text")
	f(writeParquet(t, []struct {
		RequestID string  `parquet:"request_id"`
		Label     []int64 `parquet:"label"`
	}{{"a", nil}}), "column 'label' has lists or fields")
	f(writeParquet(t, []struct {
		RequestID string  `parquet:"request_id"`
		Label     []int64 `parquet:"label,list"`
	}{{"a", nil}}), "column 'label' has lists or fields")
	f(writeParquet(t, []struct {
		RequestID string `parquet:"request_id"`
		Label     struct {
			X int64 `parquet:"x"`
		} `parquet:"label"`
	}{{}}), "column 'label' has lists or fields")
	f(writeParquet(t, []struct {
		RequestID string  `parquet:"request_id"`
		Label     int64   `parquet:"label"`
		Row       float64 `parquet:"row"`
	}{{}}), "column 'row' has values of the type DOUBLE, expected whole numbers")
	f(writeParquet(t, []struct {
		RequestID string `parquet:"request_id"`
		Label     int64  `parquet:"label"`
		Time      int64  `parquet:"time"`
	}{{}}), "column 'time' has values of the type INT(64,true), expected timestamps or text")
	f(writeParquet(t, []struct {
		RequestID string `parquet:"request_id"`
		Label     int64  `parquet:"label,decimal(2:18)"`
	}{{}}), "column 'label' has values of the type DECIMAL")
	f(writeParquet(t, []struct {
		RequestID string `parquet:"request_id"`
		Label     int64  `parquet:"label,brotli"`
	}{{}}), "column 'label': its compression is BROTLI, expected SNAPPY, GZIP, ZSTD or UNCOMPRESSED")
}

// TestParquetCutOff: a file that is cut off anywhere is refused, and no label of it is taken.
func TestParquetCutOff(t *testing.T) {
	body := writeParquet(t, soundRows(100))
	refusedParquet(t, nil, infer.Invalid, "the body is empty")
	for n := 1; n < len(body); n++ {
		refusedParquet(t, body[:n], infer.Invalid, "the body is not valid Parquet")
		if n != len(body)-4 {
			refusedParquet(t, slices.Concat(body[:n], []byte("PAR1")), infer.Invalid, "")
		}
	}
	for n := 4; n < len(body)-8; n++ { // a byte is missing in the middle
		_, _ = decodeParquet(slices.Concat(body[:n], body[n+1:]))
	}
}

// changed returns a file with other metadata.
func changed(t *testing.T, body []byte, change func(*format.FileMetaData)) []byte {
	t.Helper()
	data := body[:len(body)-8]
	size := int(binary.LittleEndian.Uint32(body[len(data):]))
	var meta format.FileMetaData
	if err := thrift.Unmarshal(&thrift.CompactProtocol{}, data[len(data)-size:], &meta); err != nil {
		t.Fatal(err)
	}
	change(&meta)
	return assembled(t, data[:len(data)-size], &meta)
}

func assembled(t *testing.T, data []byte, meta *format.FileMetaData) []byte {
	t.Helper()
	footer, err := thrift.Marshal(&thrift.CompactProtocol{}, meta)
	if err != nil {
		t.Fatal(err)
	}
	b := slices.Concat(data, footer)
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(footer))), "PAR1"...)
}

// TestParquetThatLies: metadata that contradicts the pages.
func TestParquetThatLies(t *testing.T) {
	body := writeParquet(t, soundRows(100), parquet.DataPageVersion(1))
	f := func(want string, code infer.Code, change func(meta *format.FileMetaData)) {
		t.Helper()
		refusedParquet(t, changed(t, body, change), code, want)
	}
	column := func(m *format.FileMetaData) *format.ColumnMetaData { return &m.RowGroups[0].Columns[1].MetaData }
	for _, rows := range []int64{-1, 0, 99, 101, 1 << 40, math.MaxInt64} {
		f("", infer.Invalid, func(m *format.FileMetaData) { m.RowGroups[0].NumRows = rows })
	}
	f("column 'request_id': its pages have 100 values, and the file says 1099511627776 rows", infer.Invalid,
		func(m *format.FileMetaData) { m.RowGroups[0].NumRows = 1 << 40 })
	for _, offset := range []int64{-1, 0, 1 << 40, math.MaxInt64} {
		f("column 'label': its pages are not in the file", infer.Invalid, func(m *format.FileMetaData) { column(m).DataPageOffset = offset })
	}
	for _, size := range []int64{-1, 1 << 40, math.MaxInt64} {
		f("column 'label': its pages are not in the file", infer.Invalid, func(m *format.FileMetaData) { column(m).TotalCompressedSize = size })
	}
	f("column 'label': its values are in another file", infer.Invalid, func(m *format.FileMetaData) { m.RowGroups[0].Columns[1].FilePath = "/etc/passwd" })
	f("column 'label' is missing in a group of rows", infer.Invalid, func(m *format.FileMetaData) { m.RowGroups[0].Columns = m.RowGroups[0].Columns[:1] })
	f("column 'label': a page", infer.Invalid, func(m *format.FileMetaData) { column(m).Codec = format.Gzip })
	f("has 2 columns, and says 7", infer.Invalid, func(m *format.FileMetaData) { m.Schema[0].NumChildren = thrift.New[int32](7) })
	f("its lists have more than 65536 elements", infer.Invalid, func(m *format.FileMetaData) {
		m.RowGroups = append(m.RowGroups, make([]format.RowGroup, 1<<16)...)
	})
	// A list of two thousand million structures, which a decoder would allocate.
	footer := []byte{0x15, 0x02, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07}
	refusedParquet(t, append(binary.LittleEndian.AppendUint32(slices.Concat([]byte("PAR1"), footer), uint32(len(footer))), "PAR1"...),
		infer.Invalid, "its metadata: its lists have more than 65536 elements")
	deep := append(bytes.Repeat([]byte{0x1c}, 100_000), make([]byte, 100_000)...)
	refusedParquet(t, append(binary.LittleEndian.AppendUint32(slices.Concat([]byte("PAR1"), deep), uint32(len(deep))), "PAR1"...),
		infer.Invalid, "its metadata: it has more than 16 levels")
}

// onePage returns a file whose columns have one page each. The ids are missing.
func onePage(t *testing.T, rows int64, codec format.CompressionCodec, header format.PageHeader, content []byte) []byte {
	t.Helper()
	data := []byte("PAR1")
	meta := &format.FileMetaData{Version: 1, NumRows: rows, Schema: []format.SchemaElement{
		{Name: "labels", NumChildren: thrift.New[int32](2)},
		{Name: "request_id", Type: thrift.New(format.ByteArray), RepetitionType: thrift.New(format.Optional)},
		{Name: "label", Type: thrift.New(format.Int64), RepetitionType: thrift.New(format.Required)},
	}, RowGroups: []format.RowGroup{{NumRows: rows}}}
	add := func(kind format.Type, codec format.CompressionCodec, h format.PageHeader, content []byte) {
		h.CompressedPageSize = int32(len(content))
		head, err := thrift.Marshal(&thrift.CompactProtocol{}, h)
		if err != nil {
			t.Fatal(err)
		}
		c := format.ColumnChunk{MetaData: format.ColumnMetaData{
			Type: kind, Codec: codec, NumValues: rows, DataPageOffset: int64(len(data)), TotalCompressedSize: int64(len(head) + len(content)),
		}}
		data = slices.Concat(data, head, content)
		meta.RowGroups[0].Columns = append(meta.RowGroups[0].Columns, c)
	}
	missing := binary.AppendUvarint(nil, uint64(rows)<<1)
	missing = append(missing, 0)
	none := slices.Concat(binary.LittleEndian.AppendUint32(nil, uint32(len(missing))), missing)
	add(format.ByteArray, format.Uncompressed, dataPage(rows, len(none), format.Plain), none)
	add(format.Int64, codec, header, content)
	return assembled(t, data, meta)
}

func dataPage(rows int64, size int, encoding format.Encoding) format.PageHeader {
	return format.PageHeader{Type: format.DataPage, UncompressedPageSize: int32(size), DataPageHeader: thrift.New(format.DataPageHeader{
		NumValues: int32(rows), Encoding: encoding, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
	})}
}

// TestParquetBombs: files that become much larger than they are.
func TestParquetBombs(t *testing.T) {
	if got, err := decodeParquet(onePage(t, 3, format.Uncompressed, dataPage(3, 24, format.Plain), make([]byte, 24))); err != nil || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	zeros := make([]byte, 8<<20)
	packed := map[format.CompressionCodec][]byte{}
	for _, c := range []interface {
		Encode(dst, src []byte) ([]byte, error)
		CompressionCodec() format.CompressionCodec
	}{&parquet.Snappy, &parquet.Gzip, &parquet.Zstd} {
		b, err := c.Encode(nil, zeros)
		if err != nil {
			t.Fatal(err)
		}
		packed[c.CompressionCodec()] = b
	}
	for codec, b := range packed {
		refusedParquet(t, onePage(t, 1<<20, codec, dataPage(1<<20, len(zeros), format.Plain), b), infer.TooLarge, "max 34952 rows and 1048576 bytes")
		for _, size := range []int{0, 8, 100_000} {
			refusedParquet(t, onePage(t, 1, codec, dataPage(1, size, format.Plain), b), infer.Invalid, "column 'label': a page cannot be decompressed")
		}
	}
	// A thousand million values in a few bytes.
	const many = 1 << 30
	delta := slices.Concat(binary.AppendUvarint(nil, 128), []byte{1}, binary.AppendUvarint(nil, many), []byte{0})
	refusedParquet(t, onePage(t, many, format.Uncompressed, dataPage(many, len(delta), format.DeltaBinaryPacked), delta), infer.TooLarge, "1073741824 rows")
	refusedParquet(t, onePage(t, 3, format.Uncompressed, dataPage(3, len(delta), format.DeltaBinaryPacked), delta), infer.Invalid, "fewer values than it says")
	run := append([]byte{1}, append(binary.AppendUvarint(nil, many<<1), 0)...)
	refusedParquet(t, onePage(t, 3, format.Uncompressed, dataPage(3, len(run), format.RLEDictionary), run), infer.Invalid, "its dictionary is missing")
	refusedParquet(t, onePage(t, 3, format.Uncompressed, dataPage(3, 24, format.DeltaByteArray), make([]byte, 24)), infer.Invalid,
		"values of type INT64 with the encoding DELTA_BYTE_ARRAY are not supported")
	refusedParquet(t, onePage(t, 3, format.Uncompressed, dataPage(3, 16, format.Plain), make([]byte, 16)), infer.Invalid, "column 'label': a page has fewer values")
	wrong := dataPage(3, 24, format.Plain)
	wrong.CRC = 1
	refusedParquet(t, onePage(t, 3, format.Uncompressed, wrong, make([]byte, 24)), infer.Invalid, "the checksum of a page is wrong")
}

// TestParquetMemory: nothing is read before its memory is reserved.
func TestParquetMemory(t *testing.T) {
	body := writeParquet(t, soundRows(1000))
	full := infer.Errorf(infer.Overloaded, "full")
	err := labels.DecodeParquet(body, labels.ParquetLimits{MaxBytes: maxParquet, Memory: refusing{full}}, func(labels.Row) error {
		t.Error("a row")
		return nil
	})
	if infer.CodeOf(err) != infer.Overloaded {
		t.Error(err)
	}
	stop := infer.Errorf(infer.Conflict, "stop")
	calls := 0
	err = labels.DecodeParquet(body, labels.ParquetLimits{MaxBytes: maxParquet, Memory: new(reserved)}, func(labels.Row) error { calls++; return stop })
	if infer.CodeOf(err) != infer.Conflict || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

type refusing struct{ err error }

func (r refusing) Reserve(int) error { return r.err }
func (r refusing) Release(int)       {}

// FuzzDecodeParquet reads any body. A body is refused as a whole, or all rows that it says it has come.
func FuzzDecodeParquet(f *testing.F) {
	type optional struct {
		RequestID *string   `parquet:"request_id,optional,dict"`
		Row       *int32    `parquet:"row,optional"`
		Label     *bool     `parquet:"label,optional"`
		Time      time.Time `parquet:"time,timestamp(nanosecond)"`
	}
	id, row, yes := "a", int32(7), true
	for version := 1; version <= 2; version++ {
		v := parquet.DataPageVersion(version)
		f.Add(writeParquet(f, soundRows(5), v))
		f.Add(writeParquet(f, []optional{{&id, &row, &yes, time.Unix(1, 0)}, {}, {&id, nil, &yes, time.Time{}}}, v))
		f.Add(writeParquet(f, soundRows(9), v, parquet.Compression(&parquet.Zstd)))
		f.Add(writeParquet(f, soundRows(9), v, parquet.Compression(&parquet.Snappy)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		rows, err := decodeParquet(body)
		for _, r := range rows {
			if r.Problem == "" && (r.RequestID == "" || r.Row < 0) {
				t.Errorf("%+v", r)
			}
		}
		if code := infer.CodeOf(err); err != nil && (code != infer.Invalid && code != infer.TooLarge || len(rows) > 0) {
			t.Errorf("%d rows, then %v", len(rows), err)
		}
	})
}
