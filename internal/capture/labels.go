package capture

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"sluice.io/sluice/internal/infer"
)

// Label is the label of a row of a request.
type Label struct {
	RequestID string
	Row       int
	Version   int64   // that answered the request
	Text      string  // the name of a class, or the shortest form of a number
	Number    float64 // if Numeric
	Numeric   bool
	Requested time.Time // when the request arrived
	Time      time.Time // when the truth became known
	// Contradictory says that it replaces another label of its row.
	Contradictory bool
	Hidden        Hidden
}

// Hidden says what is kept of the text and the number of a label.
type Hidden int

// The kinds of Hidden.
const (
	Shown    Hidden = iota
	Redacted        // neither
	Hashed          // the hash of the text, as of an element of a tensor of texts
)

// FieldLabel is the name of the label among the fields that are redacted or hashed.
const FieldLabel = "label"

// The results of labels, as the answer to their sender has them.
const (
	labelJoined        = "joined"
	labelContradictory = "contradictory"
)

// The columns of a file of labels. Those of the id and of the request's time have the places that they
// have in files of requests, where a deletion looks for them.
const (
	labelRequest = iota // columnRequest
	labelVersion
	labelRow
	labelResult
	labelRequested // columnTime
	labelTime
	labelReceived
	labelText
	labelNumber
)

// labelMeta returns the metadata of a new file of labels, some of which may be hidden.
func labelMeta(model, gateway string, hidden [2]bool) [][2]string {
	meta := [][2]string{{keyFormat, formatVersion}, {keyKind, kindLabels}, {keyModel, model}, {keyGateway, gateway}}
	for i, key := range []string{keyRedact, keyHash} {
		if hidden[i] {
			meta = append(meta, [2]string{key, FieldLabel})
		}
	}
	return meta
}

// newLabelLayout returns the layout of labels in a file with this metadata.
func newLabelLayout(model string, meta [][2]string) (*layout, error) {
	at := func() parquet.Node { return parquet.Timestamp(parquet.Microsecond) }
	l := &layout{model: &infer.Model{Name: model}, meta: meta}
	return l, l.finish([]column{
		{name: "request_id", node: parquet.String()},
		{name: "version", node: parquet.Int(64)},
		{name: "row", node: parquet.Int(32)},
		{name: "result", node: parquet.Encoded(parquet.String(), &parquet.RLEDictionary)},
		{name: "request_time", node: at()},
		{name: "label_time", node: at()},
		{name: "received", node: at()},
		{name: "label", node: parquet.String()},
		{name: "label_number", node: parquet.Optional(parquet.Leaf(parquet.DoubleType))},
	})
}

// Label captures a label of a model, if there is room. What is hidden of it is never kept, and without a
// key for hashes nothing is kept of a label that would be hashed.
func (s *Store) Label(model string, label *Label) {
	c := s.counts(model)
	if label.Hidden != Shown {
		kept := *label
		kept.Text, kept.Number, kept.Numeric = "", 0, false
		if label.Hidden == Hashed && len(s.o.HashKey) > 0 {
			h := hider{key: s.o.HashKey}
			kept.Text = h.hash([]byte(label.Text))
		}
		label = &kept
	}
	size := labelHead + len(label.RequestID) + len(label.Text)
	if !s.reserve(size + recordBeside) {
		c.labels.full.Add(1)
		return
	}
	c.labels.captured.Add(1)
	s.push(s.labelQueue(model, c), appendLabel(make([]byte, 0, size), label, c.now()))
}

// now returns a time for each label that is later than that of the one before, so that readers can tell
// which one is the last.
func (c *counts) now() time.Time {
	for {
		last, now := c.received.Load(), time.Now().UnixMicro()
		if now = max(now, last+1); c.received.CompareAndSwap(last, now) {
			return time.UnixMicro(now)
		}
	}
}

// labelQueue returns the queue of the labels of a model.
func (s *Store) labelQueue(model string, c *counts) *queue {
	return s.queue(queueKey{kind: kindLabels, model: model}, func() *queue {
		return &queue{
			counts: c, tally: &c.labels, model: model, dir: strings.TrimSuffix(labelDir(model), "/"),
			build: func(records [][]byte) (built, error) { return buildLabels(model, s.o.Version, records) },
			rows:  func([]byte) int64 { return 1 },
		}
	})
}

const labelHead = 5*8 + 3*4 + 1 // numbers, lengths of texts and the row, flags

// appendLabel appends a label as a record: like one of a request, it begins with a time, another number
// and the id.
func appendLabel(b []byte, l *Label, received time.Time) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, uint64(received.UnixNano()))    //nolint:gosec // the bits
	b = le.AppendUint64(b, uint64(l.Requested.UnixNano())) //nolint:gosec // the bits
	for _, text := range []string{l.RequestID, l.Text} {
		b = le.AppendUint32(b, uint32(len(text))) //nolint:gosec // far below
		b = append(b, text...)
	}
	b = le.AppendUint32(b, uint32(l.Row))             //nolint:gosec // less than the rows of the request
	b = le.AppendUint64(b, uint64(l.Version))         //nolint:gosec // the bits
	b = le.AppendUint64(b, uint64(l.Time.UnixNano())) //nolint:gosec // the bits
	b = le.AppendUint64(b, math.Float64bits(l.Number))
	flags := byte(0)
	if l.Numeric {
		flags |= 1
	}
	if l.Contradictory {
		flags |= 2
	}
	flags |= byte(l.Hidden) << 2
	return append(b, flags)
}

func decodeLabel(b []byte) (l *Label, received time.Time) {
	c := &cursor{b}
	at := func() time.Time { return time.Unix(0, c.i64()).UTC() }
	received = at()
	l = &Label{Requested: at(), RequestID: c.text(), Text: c.text(), Row: c.u32(), Version: c.i64(), Time: at()}
	l.Number = math.Float64frombits(uint64(c.i64())) //nolint:gosec // the bits
	flags := c.take(1)[0]
	l.Numeric, l.Contradictory, l.Hidden = flags&1 != 0, flags&2 != 0, Hidden(flags>>2)
	return l, received
}

// buildLabels makes a file of the records of labels.
func buildLabels(model, gateway string, records [][]byte) (b built, err error) {
	var hidden [2]bool
	for _, record := range records {
		if label, _ := decodeLabel(record); label.Hidden != Shown {
			hidden[label.Hidden-Redacted] = true
		}
	}
	l, err := newLabelLayout(model, labelMeta(model, gateway, hidden))
	if err != nil {
		return b, err
	}
	var buf bytes.Buffer
	w := newWriter(&buf, l)
	for _, record := range records {
		label, received := decodeLabel(record)
		if err := w.copy(w.label(label, received)); err != nil {
			return b, err
		}
		b.cover(label.Requested)
	}
	if err := w.close(); err != nil {
		return b, err
	}
	b.data, b.rows, b.schema = buf.Bytes(), w.rows, l.digest
	return b, nil
}

// label returns the row of a label.
func (w *writer) label(l *Label, received time.Time) parquet.Row {
	w.row = w.row[:0]
	at := func(column int, t time.Time) { w.value(column, 0, parquet.Int64Value(t.UnixMicro())) }
	text := func(column int, s string) { w.value(column, 0, parquet.ByteArrayValue([]byte(s))) }
	text(labelRequest, l.RequestID)
	w.value(labelVersion, 0, parquet.Int64Value(l.Version))
	w.value(labelRow, 0, parquet.Int32Value(int32(l.Row))) //nolint:gosec // less than the rows of the request
	if l.Contradictory {
		text(labelResult, labelContradictory)
	} else {
		text(labelResult, labelJoined)
	}
	at(labelRequested, l.Requested)
	at(labelTime, l.Time)
	at(labelReceived, received)
	text(labelText, l.Text)
	if l.Numeric {
		w.value(labelNumber, isPresent, parquet.DoubleValue(l.Number))
	} else {
		w.value(labelNumber, isNull, parquet.NullValue())
	}
	return w.row
}
