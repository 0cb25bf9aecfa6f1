package labels

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"sluice.io/sluice/internal/infer"
)

// A prediction is what is stored of a request under its id:
//
//	1 | form u64 | time i64 | version i64 | role u8+text | segment u16+text | rows u32 | rows
//
// A row has the scores as float32, the value as float64, or the class as u16+text, as its form
// says. Numbers are little endian. After the rows of values there may be the losses that a loss
// model expects, see expected.go. An alias, the id of a V2 body, has 2 and the request id.
const (
	recordPrediction = 1
	recordAlias      = 2
	recordExpected   = 3 // only in the queue
)

// maxClassText is the max length of the text of a predicted class in bytes.
const maxClassText = 256

type prediction struct {
	form    uint64
	time    time.Time
	version int64
	role    string
	segment string
	rows    int
	data    []byte
}

func appendPrediction(dst []byte, p *prediction) []byte {
	dst = append(dst, recordPrediction)
	dst = binary.LittleEndian.AppendUint64(dst, p.form)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(p.time.UnixNano())) //nolint:gosec // read back as int64
	dst = binary.LittleEndian.AppendUint64(dst, uint64(p.version))         //nolint:gosec // read back as int64
	dst = append(dst, byte(len(p.role)))                                   //nolint:gosec // roles are short words
	dst = append(dst, p.role...)
	dst = appendText(dst, p.segment)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(p.rows)) //nolint:gosec // bounded by the settings
	return append(dst, p.data...)
}

func appendText(dst []byte, s string) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(s))) //nolint:gosec // callers bound it
	return append(dst, s...)
}

// parsePrediction parses a stored prediction. The result has views of b.
func parsePrediction(b []byte) (p prediction, ok bool) {
	r := reader{b: b}
	if r.byte() != recordPrediction {
		return p, false
	}
	p.form = r.uint64()
	p.time = time.Unix(0, int64(r.uint64()))     //nolint:gosec // was an int64
	p.version = int64(r.uint64())                //nolint:gosec // was an int64
	p.role = string(r.bytes(int(r.byte())))      // a copy, since it becomes part of a key
	p.segment = string(r.bytes(int(r.uint16()))) // likewise
	p.rows = int(r.uint32())
	p.data = r.b
	return p, !r.failed && p.rows >= 0
}

// row is one predicted row.
type row struct {
	scores []float64
	value  float64
	class  string
}

// at returns the i-th row. ok is false if it is not there.
func (p *prediction) at(f *Form, i int) (x row, ok bool) {
	if i < 0 || i >= p.rows {
		return x, false
	}
	r := reader{b: p.data}
	switch f.Kind {
	case kindScores, kindScore:
		r.bytes(4 * f.Width * i)
		x.scores = make([]float64, f.Width)
		for k := range x.scores {
			x.scores[k] = float64(math.Float32frombits(r.uint32()))
		}
	case kindValue:
		r.bytes(8 * i)
		x.value = math.Float64frombits(r.uint64())
	default:
		for range i {
			r.bytes(int(r.uint16()))
		}
		x.class = string(r.bytes(int(r.uint16())))
	}
	return x, !r.failed
}

// reader reads from bytes that may be cut off.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.failed, r.b = true, nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// appendRows appends n rows of an output in the stored form, and returns false if the output does
// not have them. read reads a number of the output.
func (f *Form) appendRows(dst []byte, t *infer.Tensor, n int, read func([]byte) float64) ([]byte, bool) {
	if t.DType == infer.Bytes {
		rest := t.Data
		for range n {
			element, left, ok := infer.NextElement(rest)
			if !ok {
				return dst, false
			}
			rest = left
			dst = appendText(dst, string(element[:min(len(element), maxClassText)]))
		}
		return dst, true
	}
	size := t.DType.Size()
	elements := n * f.Width
	if read == nil || elements*size > len(t.Data) {
		return dst, false
	}
	if t.DType == infer.FP32 && f.Kind != kindValue && f.Kind != kindClass {
		return append(dst, t.Data[:elements*size]...), true
	}
	for i := range elements {
		switch x := read(t.Data[i*size : (i+1)*size]); f.Kind {
		case kindClass:
			text := strconv.FormatFloat(x, 'f', -1, 64)
			if t.DType == infer.Bool {
				text = strconv.FormatBool(x != 0)
			}
			dst = appendText(dst, text)
		case kindValue:
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(x))
		default:
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(x)))
		}
	}
	return dst, true
}
