package capture

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"sluice.io/sluice/internal/infer"
)

// File is a Parquet file of captured requests.
type File struct {
	Model  *infer.Model // as in the file: a hashed tensor keeps its datatype here
	Digest string       // of the model's version
	Sample float64      // share of the requests that were captured
	Redact []string     // the fields that were left out
	Hash   []string     // the fields that were hashed

	l *layout
	f *parquet.File
}

// OpenFile opens a file in memory. It returns an error for one that is cut off, damaged, or not a
// file of captured requests.
func OpenFile(data []byte) (f *File, err error) {
	defer func() { err = damaged(err, recover()) }()
	p, err := openParquet(data)
	if err != nil {
		return nil, err
	}
	meta := func(key string) string { value, _ := p.Lookup(key); return value }
	if meta(keyFormat) != formatVersion || meta(keyKind) != kindRequests {
		return nil, ErrNoRequests
	}
	l, err := layoutOf(p)
	if err != nil {
		return nil, err
	}
	f = &File{Model: l.model, Digest: meta(keyDigest), Redact: list(meta(keyRedact)), Hash: list(meta(keyHash)), l: l, f: p}
	f.Sample, err = strconv.ParseFloat(meta(keySample), 64)
	return f, err
}

// openParquet opens Parquet. The library panics on some damaged files: callers recover.
func openParquet(data []byte) (*parquet.File, error) {
	return parquet.OpenFile(bytes.NewReader(data), int64(len(data)), parquet.SkipPageIndex(true))
}

// damaged makes one error of an error or a panic while a file is read.
func damaged(err error, panicked any) error {
	if panicked != nil {
		err = fmt.Errorf("%v", panicked)
	}
	if err != nil && !errors.Is(err, errDamaged) {
		err = fmt.Errorf("%w: %w", errDamaged, err)
	}
	return err
}

// ErrNoRequests is the cause of an error of OpenFile if a file of Parquet is not one of captured
// requests.
var ErrNoRequests = errors.New("not a file of captured requests")

// errDamaged is the cause of errors about the content of files.
var errDamaged = errors.New("the file is damaged")

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// layoutOf returns the layout that a file was written with, and checks that its columns match.
func layoutOf(p *parquet.File) (*layout, error) {
	l := &layout{}
	var sig signature
	for _, entry := range p.Metadata().KeyValueMetadata {
		l.meta = append(l.meta, [2]string{entry.Key, entry.Value})
	}
	meta := func(key string) string { value, _ := p.Lookup(key); return value }
	if meta(keyKind) == kindLabels {
		return labelLayoutOf(p, meta(keyModel), l.meta)
	}
	l.redact, l.hash = set(list(meta(keyRedact))), set(list(meta(keyHash)))
	if err := json.Unmarshal([]byte(meta(keySignature)), &sig); err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	inputs, ok := specsOf(sig.Inputs)
	outputs, ok2 := specsOf(sig.Outputs)
	version, err := strconv.ParseInt(meta(keyVersion), 10, 64)
	if !ok || !ok2 || err != nil {
		return nil, errors.New("the signature is not valid")
	}
	l.model = infer.NewModel(meta(keyModel), version, inputs, outputs)
	l.byRow = splits(l.model)
	if err := l.build(); err != nil {
		return nil, err
	}
	if !sameColumns(l.schema, p.Schema()) {
		return nil, errors.New("the columns do not match the signature")
	}
	return l, nil
}

// labelLayoutOf returns the layout of a file of labels.
func labelLayoutOf(p *parquet.File, model string, meta [][2]string) (*layout, error) {
	l, err := newLabelLayout(model, meta)
	if err == nil && !sameColumns(l.schema, p.Schema()) {
		err = errors.New("the columns are not those of labels")
	}
	return l, err
}

func sameColumns(a, b *parquet.Schema) bool {
	columns := a.Columns()
	if !slices.EqualFunc(columns, b.Columns(), slices.Equal) {
		return false
	}
	for _, path := range columns {
		x, okX := a.Lookup(path...)
		y, okY := b.Lookup(path...)
		if !okX || !okY || x.Node.Type().Kind() != y.Node.Type().Kind() || x.MaxDefinitionLevel != y.MaxDefinitionLevel || x.MaxRepetitionLevel != y.MaxRepetitionLevel {
			return false
		}
	}
	return true
}

// Requests calls yield with each request of the file, whole: with all its rows. It stops at the
// first error, also of yield. The request is yield's to keep.
func (f *File) Requests(yield func(r *Request) error) (err error) {
	g := grouping{l: f.l, yield: func(r *Request) error {
		if err := yield(r); err != nil {
			return yieldError{err}
		}
		return nil
	}}
	defer func() {
		if y, ok := errors.AsType[yieldError](err); ok {
			err = y.err
			return
		}
		err = damaged(err, recover())
	}()
	return eachRow(f.f, g.add, g.end)
}

// yieldError is an error of the code that reads, and not of the file.
type yieldError struct{ err error }

func (e yieldError) Error() string { return e.err.Error() }

// eachRow reads the rows of a file, and then calls end.
func eachRow(p *parquet.File, row func(parquet.Row) error, end func() error) error {
	buf := make([]parquet.Row, 64)
	for _, group := range p.RowGroups() {
		if err := eachOf(group, buf, row); err != nil {
			return err
		}
	}
	return end()
}

func eachOf(group parquet.RowGroup, buf []parquet.Row, row func(parquet.Row) error) (err error) {
	rows := group.Rows()
	defer func() { err = errors.Join(err, rows.Close()) }()
	for {
		n, rerr := rows.ReadRows(buf)
		for i := range n {
			if err := row(buf[i]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(rerr, io.EOF):
			return nil
		case rerr != nil:
			return rerr
		case n == 0:
			return io.ErrNoProgress
		}
	}
}

// grouping makes requests of rows.
type grouping struct {
	l     *layout
	yield func(*Request) error
	now   *Request // its rows come
	want  int      // of them
	cells [][]parquet.Value
}

func (g *grouping) add(row parquet.Row) error {
	var err error
	if g.cells, err = g.l.cells(g.cells, row); err != nil {
		return err
	}
	one := func(column int) parquet.Value { return g.cells[column][0] }
	index, rows := int(one(columnRow).Int32()), int(one(columnRows).Int32())
	if index == 0 {
		if g.now != nil {
			return errors.New("rows of a request are missing")
		}
		g.want = rows
		g.now = &Request{
			ID: text(one(columnRequest)), ClientID: text(one(columnClient)), Time: time.UnixMicro(one(columnTime).Int64()).UTC(),
			Duration: time.Duration(one(columnDuration).Int64()) * time.Microsecond, Role: text(one(columnRole)), Reason: text(one(columnReason)),
			Caller: text(one(columnCaller)),
		}
		if p := one(columnParameters); !p.IsNull() {
			g.now.Parameters = bytes.Clone(p.ByteArray())
		}
	}
	if g.now == nil || index != g.now.Rows || rows != g.want || text(one(columnRequest)) != g.now.ID {
		return errors.New("rows of a request are missing")
	}
	for i := range g.l.tensor {
		if err := g.tensor(&g.l.tensor[i], index); err != nil {
			return err
		}
	}
	if g.now.Rows++; g.now.Rows < g.want {
		return nil
	}
	r := g.now
	g.now = nil
	return g.yield(r)
}

// cells returns the values of a row by column. It uses the slice of an earlier row again.
func (l *layout) cells(cells [][]parquet.Value, row parquet.Row) ([][]parquet.Value, error) {
	cells = slices.Grow(cells[:0], len(l.columns))[:len(l.columns)]
	clear(cells)
	for start := 0; start < len(row); {
		column, end := row[start].Column(), start+1
		for end < len(row) && row[end].Column() == column {
			end++
		}
		if column < 0 || column >= len(cells) {
			return cells, errors.New("a value is in no column")
		}
		cells[column] = row[start:end]
		start = end
	}
	for i := range cells {
		if len(cells[i]) == 0 {
			return cells, errors.New("a column has no value")
		}
	}
	return cells, nil
}

func (g *grouping) end() error {
	if g.now != nil {
		return errors.New("rows of a request are missing")
	}
	return nil
}

func text(v parquet.Value) string {
	if v.IsNull() {
		return ""
	}
	return string(v.ByteArray())
}

// tensor adds a row of a tensor to the request.
func (g *grouping) tensor(c *tensorColumn, row int) error {
	cells := g.cells[c.leaf]
	if cells[0].IsNull() && cells[0].DefinitionLevel() == isNull {
		return nil
	}
	to := &g.now.Inputs
	if c.output {
		to = &g.now.Outputs
	}
	if row == 0 {
		shape, err := g.shape(c)
		if err != nil {
			return err
		}
		d := c.spec.DType
		if c.hashed {
			d = infer.Bytes
		}
		*to = append(*to, infer.Tensor{Name: c.spec.Name, DType: d, Shape: shape, Index: c.index})
	}
	i := slices.IndexFunc(*to, func(t infer.Tensor) bool { return t.Index == c.index })
	if i < 0 {
		return errors.New("a row has a tensor that the first one of its request has not")
	}
	t := &(*to)[i]
	if g.l.byRow {
		t.Shape[0]++
	}
	want := elementsOf(g.l.rowShape(t.Shape))
	if cells[0].IsNull() { // an empty list
		cells = nil
	}
	if len(cells) != want {
		return fmt.Errorf("a row has %d elements of a tensor, expected %d", len(cells), want)
	}
	for _, v := range cells {
		var ok bool
		if t.Data, ok = appendValue(t.Data, t.DType, v); !ok {
			return errors.New("an element is not valid")
		}
	}
	return nil
}

// shape returns the shape of the tensor with no rows yet.
func (g *grouping) shape(c *tensorColumn) (infer.Shape, error) {
	row := slices.Clone(g.l.rowShape(c.spec.Shape))
	if c.shaped {
		cells := g.cells[c.leaf+1]
		if len(cells) != len(row) {
			return nil, errors.New("a shape has another rank")
		}
		product := int64(1)
		for i, v := range cells {
			d := v.Int64()
			if v.IsNull() || d < 0 || d > math.MaxInt32 || row[i] >= 0 && row[i] != d {
				return nil, errors.New("a shape is not valid")
			}
			row[i] = d
			if product *= max(d, 1); product > math.MaxInt32 {
				return nil, errors.New("a shape is too large")
			}
		}
	}
	if !g.l.byRow {
		return row, nil
	}
	return append(infer.Shape{0}, row...), nil
}

// appendValue undoes numberValue and asText.
func appendValue(b []byte, d infer.DType, v parquet.Value) ([]byte, bool) {
	le := binary.LittleEndian
	switch d {
	case infer.Bool:
		if v.Boolean() {
			return append(b, 1), true
		}
		return append(b, 0), true
	case infer.Uint8, infer.Int8:
		return append(b, byte(v.Int32())), true //nolint:gosec // the bits
	case infer.Uint16, infer.Int16:
		return le.AppendUint16(b, uint16(v.Int32())), true //nolint:gosec // the bits
	case infer.Uint32, infer.Int32:
		return le.AppendUint32(b, uint32(v.Int32())), true //nolint:gosec // the bits
	case infer.Uint64, infer.Int64:
		return le.AppendUint64(b, uint64(v.Int64())), true //nolint:gosec // the bits
	case infer.FP16:
		return le.AppendUint16(b, infer.Float32ToFP16(v.Float())), true
	case infer.BF16:
		return le.AppendUint16(b, infer.Float32ToBF16(v.Float())), true
	case infer.FP32:
		return le.AppendUint32(b, math.Float32bits(v.Float())), true
	case infer.FP64:
		return le.AppendUint64(b, math.Float64bits(v.Double())), true
	default:
		s, ok := fromText(string(v.ByteArray()))
		return infer.AppendElement(b, s), ok
	}
}
