package capture

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"sluice.io/sluice/internal/infer"
)

// rowGroupBytes is about the size of the data of a group of rows. It bounds what a writer holds.
const rowGroupBytes = 8 << 20

// base64Prefix marks an element of a BYTES tensor that is not UTF-8, since the column is text. An
// element that begins with it is marked too, so that every element can be read back.
const base64Prefix = "base64:"

// writer writes requests as Parquet.
type writer struct {
	l    *layout
	w    *parquet.GenericWriter[any]
	row  parquet.Row
	size int // about, of the data in the present group
	rows int
}

func newWriter(to io.Writer, l *layout) *writer {
	const bloomBits = 10 // for each id: one of a hundred others is taken for it
	options := make([]parquet.WriterOption, 0, len(l.meta)+4)
	options = append(options,
		l.schema, parquet.CreatedBy("sluice", formatVersion, ""), parquet.Compression(&parquet.Zstd),
		parquet.BloomFilters(parquet.SplitBlockFilter(bloomBits, "request_id")))
	for _, entry := range l.meta {
		options = append(options, parquet.KeyValueMetadata(entry[0], entry[1]))
	}
	return &writer{l: l, w: parquet.NewGenericWriter[any](to, options...)}
}

// add writes the rows of a request.
func (w *writer) add(r *Request) error {
	n, err := w.l.count(r)
	if err != nil {
		return err
	}
	parts := w.l.parts(r)
	for i := range parts {
		w.size += len(parts[i].data)
	}
	for row := range n {
		w.row = w.row[:0]
		w.request(r, row, n)
		for i := range w.l.tensor {
			if !w.tensor(&w.l.tensor[i], &parts[i]) {
				return infer.Errorf(infer.Invalid, "the data of tensor '%s' is incomplete", w.l.tensor[i].name)
			}
		}
		if _, err := w.w.WriteRows([]parquet.Row{w.row}); err != nil {
			return err
		}
		w.rows++
	}
	if w.size += len(r.ID) + len(r.Parameters); w.size >= rowGroupBytes {
		w.size = 0
		return w.w.Flush()
	}
	return nil
}

// close writes what is left.
func (w *writer) close() error { return w.w.Close() }

// count returns the number of rows of a request.
func (l *layout) count(r *Request) (int, error) {
	if !l.byRow {
		return 1, nil
	}
	rows := int64(-1)
	for _, list := range [][]infer.Tensor{r.Inputs, r.Outputs} {
		for i := range list {
			if rows < 0 {
				rows = list[i].Rows()
			}
			if rows != list[i].Rows() {
				return 0, infer.Errorf(infer.Invalid, "tensors of a request have %d and %d rows", rows, list[i].Rows())
			}
		}
	}
	return int(max(rows, 0)), nil
}

// tensorPart is what is left of a tensor.
type tensorPart struct {
	shape    infer.Shape // of a row; nil if the request has no such tensor
	elements int         // of a row
	data     []byte
}

// parts returns the tensors of a request in the order of the columns.
func (l *layout) parts(r *Request) []tensorPart {
	parts := make([]tensorPart, len(l.tensor))
	for i := range l.tensor {
		c := &l.tensor[i]
		list := r.Inputs
		if c.output {
			list = r.Outputs
		}
		for j := range list {
			if t := &list[j]; t.Index == c.index {
				parts[i] = tensorPart{shape: append(infer.Shape{}, l.rowShape(t.Shape)...), data: t.Data}
				parts[i].elements = elementsOf(parts[i].shape)
			}
		}
	}
	return parts
}

func elementsOf(s infer.Shape) int {
	n := 1
	for _, d := range s {
		n *= int(d)
	}
	return n
}

// request appends the columns before those of tensors.
func (w *writer) request(r *Request, row, rows int) {
	text := func(s string) parquet.Value { return parquet.ByteArrayValue([]byte(s)) }
	w.value(columnRequest, 0, text(r.ID))
	w.optional(columnClient, r.ClientID)
	w.value(columnRow, 0, parquet.Int32Value(int32(row)))   //nolint:gosec // at most limits.max_rows
	w.value(columnRows, 0, parquet.Int32Value(int32(rows))) //nolint:gosec // as above
	w.value(columnTime, 0, parquet.Int64Value(r.Time.UnixMicro()))
	w.value(columnRole, 0, text(r.Role))
	w.value(columnReason, 0, text(r.Reason))
	w.optional(columnCaller, r.Caller)
	w.optional(columnParameters, string(r.Parameters))
	w.value(columnDuration, 0, parquet.Int64Value(r.Duration.Microseconds()))
}

func (w *writer) value(column, definition int, v parquet.Value) {
	w.row = append(w.row, v.Level(0, definition, column))
}

func (w *writer) optional(column int, s string) {
	if s == "" {
		w.value(column, 0, parquet.NullValue())
		return
	}
	w.value(column, 1, parquet.ByteArrayValue([]byte(s)))
}

// Definition levels of a tensor's column: a null, an empty list or a scalar, an element of a list.
const (
	isNull    = 0
	isPresent = 1
	isElement = 2
)

// tensor appends a row of a tensor and takes it from the part. It is false if data is missing.
func (w *writer) tensor(c *tensorColumn, p *tensorPart) bool {
	switch {
	case p.shape == nil:
		w.value(c.leaf, isNull, parquet.NullValue())
	case c.scalar:
		v, ok := c.element(p)
		if !ok {
			return false
		}
		w.value(c.leaf, isPresent, v)
	case p.elements == 0:
		w.value(c.leaf, isPresent, parquet.NullValue())
	default:
		for i := range p.elements {
			v, ok := c.element(p)
			if !ok {
				return false
			}
			w.row = append(w.row, v.Level(min(i, 1), isElement, c.leaf))
		}
	}
	if !c.shaped {
		return true
	}
	if p.shape == nil {
		w.value(c.leaf+1, isNull, parquet.NullValue())
	}
	for i, d := range p.shape {
		w.row = append(w.row, parquet.Int64Value(d).Level(min(i, 1), isElement, c.leaf+1))
	}
	return true
}

// element takes one element of a tensor's data.
func (c *tensorColumn) element(p *tensorPart) (v parquet.Value, ok bool) {
	if c.hashed || c.spec.DType == infer.Bytes {
		var b []byte
		if b, p.data, ok = infer.NextElement(p.data); !ok {
			return v, false
		}
		return parquet.ByteArrayValue(asText(b)), true
	}
	size := c.spec.DType.Size()
	if len(p.data) < size {
		return v, false
	}
	b := p.data[:size]
	p.data = p.data[size:]
	return numberValue(c.spec.DType, b), true
}

func numberValue(d infer.DType, b []byte) parquet.Value {
	le := binary.LittleEndian
	switch d {
	case infer.Bool:
		return parquet.BooleanValue(b[0] != 0)
	case infer.Uint8:
		return parquet.Int32Value(int32(b[0]))
	case infer.Int8:
		return parquet.Int32Value(int32(int8(b[0]))) //nolint:gosec // the bits
	case infer.Uint16:
		return parquet.Int32Value(int32(le.Uint16(b)))
	case infer.Int16:
		return parquet.Int32Value(int32(int16(le.Uint16(b)))) //nolint:gosec // the bits
	case infer.Uint32, infer.Int32:
		return parquet.Int32Value(int32(le.Uint32(b))) //nolint:gosec // the bits
	case infer.Uint64, infer.Int64:
		return parquet.Int64Value(int64(le.Uint64(b))) //nolint:gosec // the bits
	case infer.FP16:
		return parquet.FloatValue(infer.FP16ToFloat32(le.Uint16(b)))
	case infer.BF16:
		return parquet.FloatValue(infer.BF16ToFloat32(le.Uint16(b)))
	case infer.FP64:
		return parquet.DoubleValue(math.Float64frombits(le.Uint64(b)))
	default: // FP32; BYTES are not numbers
		return parquet.FloatValue(math.Float32frombits(le.Uint32(b)))
	}
}

// asText returns an element of a BYTES tensor as text.
func asText(b []byte) []byte {
	if utf8.Valid(b) && !bytes.HasPrefix(b, []byte(base64Prefix)) {
		return b
	}
	return base64.StdEncoding.AppendEncode([]byte(base64Prefix), b)
}

// fromText undoes asText.
func fromText(s string) (string, bool) {
	rest, ok := strings.CutPrefix(s, base64Prefix)
	if !ok {
		return s, true
	}
	b, err := base64.StdEncoding.DecodeString(rest)
	return string(b), err == nil
}

// hider redacts and hashes fields of requests.
type hider struct {
	l   *layout
	key []byte
}

// hash returns the HMAC-SHA-256 of a value in hexadecimal.
func (h *hider) hash(value []byte) string {
	m := hmac.New(sha256.New, h.key)
	m.Write(value)
	return hex.EncodeToString(m.Sum(nil))
}

// hide changes a request. Tensors that are redacted were never copied.
func (h *hider) hide(r *Request) error {
	r.Caller = h.text(fieldCaller, r.Caller)
	if err := h.parameters(r); err != nil {
		return err
	}
	h.tensors(fieldInput, r.Inputs)
	h.tensors(fieldOutput, r.Outputs)
	return nil
}

func (h *hider) text(field, value string) string {
	switch {
	case h.l.redact[field] || value == "":
		return ""
	case h.l.hash[field]:
		return h.hash([]byte(value))
	default:
		return value
	}
}

// parameters changes the parameters if one of them is hidden.
func (h *hider) parameters(r *Request) error {
	hidden := func(name string) bool { return h.l.redact[fieldParameter+name] || h.l.hash[fieldParameter+name] }
	if len(r.Parameters) == 0 {
		return nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(r.Parameters, &object); err != nil {
		r.Parameters = nil
		return fmt.Errorf("parameters: %w", err)
	}
	changed := false
	for name, value := range object {
		if !hidden(name) {
			continue
		}
		changed = true
		if delete(object, name); h.l.redact[fieldParameter+name] {
			continue
		}
		var s string
		if json.Unmarshal(value, &s) == nil { // 42 and "42" have one hash, as they are one sticky key
			value = []byte(s)
		}
		object[name] = json.RawMessage(`"` + h.hash(value) + `"`)
	}
	if !changed {
		return nil
	}
	var err error
	r.Parameters, err = json.Marshal(object)
	return err
}

// tensors replaces the elements of hashed tensors.
func (h *hider) tensors(field string, list []infer.Tensor) {
	for i := range list {
		t := &list[i]
		if !h.l.hash[field+t.Name] {
			continue
		}
		var data []byte
		for rest := t.Data; len(rest) > 0; {
			var element []byte
			if size := t.DType.Size(); size > 0 && len(rest) >= size {
				element, rest = rest[:size], rest[size:]
			} else if e, r, ok := infer.NextElement(rest); size == 0 && ok {
				element, rest = e, r
			} else {
				break
			}
			data = infer.AppendElement(data, h.hash(element))
		}
		t.DType, t.Data = infer.Bytes, data
	}
}

// built is a finished file.
type built struct {
	data        []byte
	rows        int
	first, last time.Time
	broken      int    // records that could not be written
	schema      string // the digest of the layout
}

// buildRequests makes a file of records. A record that cannot be written is left out and counted.
func buildRequests(l *layout, key []byte, records [][]byte) (b built, err error) {
	var buf bytes.Buffer
	w, h := newWriter(&buf, l), hider{l, key}
	for _, record := range records {
		r := decodeRecord(record, l.model)
		if err := h.hide(r); err != nil {
			b.broken++
			continue
		}
		if err := w.add(r); err != nil {
			b.broken++
			continue
		}
		b.cover(r.Time)
	}
	if err := w.close(); err != nil {
		return b, err
	}
	b.data, b.rows, b.schema = buf.Bytes(), w.rows, l.digest
	return b, nil
}

func (b *built) cover(at time.Time) {
	if b.first.IsZero() || at.Before(b.first) {
		b.first = at
	}
	if at.After(b.last) {
		b.last = at
	}
}
