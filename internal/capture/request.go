package capture

import (
	"encoding/binary"
	"time"

	"sluice.io/sluice/internal/infer"
)

// Request is a captured request with its answer.
type Request struct {
	ID         string // X-Request-Id
	ClientID   string // the id of its V2 body; empty if it has none, or the same
	Time       time.Time
	Duration   time.Duration
	Role       string
	Reason     string
	Caller     string
	Parameters []byte // a JSON object; nil for none
	Rows       int    // 1 if the request is not split into rows
	// Index is that of the tensor in the version's signature. Data that was redacted is missing,
	// data that was hashed has the datatype BYTES.
	Inputs, Outputs []infer.Tensor
}

// A record is a request in memory. It has no names of tensors, since the layout has them.
const (
	recordHead   = 6*4 + 2*8 + 2*2 // lengths of texts and parameters, times, counts of tensors
	tensorHead   = 2 + 2 + 8       // index, rank, bytes
	recordBeside = 128             // what a record costs in memory besides its bytes
)

// texts are the texts of a record.
type texts [5]string

func textsOf(req *infer.Request, role string) texts {
	id := req.ID
	if id == req.RequestID {
		id = ""
	}
	return texts{req.RequestID, id, role, string(req.Served.Reason), req.Caller}
}

func tensorsSize(tensors []infer.Tensor, left []bool) (n int) {
	for i := range tensors {
		if t := &tensors[i]; !left[t.Index] {
			n += tensorHead + 8*len(t.Shape) + len(t.Data)
		}
	}
	return n
}

func appendTensors(b []byte, tensors []infer.Tensor, left []bool) []byte {
	le, count := binary.LittleEndian, len(b)
	b = append(b, 0, 0)
	n := 0
	for i := range tensors {
		t := &tensors[i]
		if left[t.Index] {
			continue
		}
		n++
		b = le.AppendUint16(b, uint16(t.Index))      //nolint:gosec // a model has fewer tensors
		b = le.AppendUint16(b, uint16(len(t.Shape))) //nolint:gosec // at most server.limits.max_rank
		b = le.AppendUint64(b, uint64(len(t.Data)))
		for _, d := range t.Shape {
			b = le.AppendUint64(b, uint64(d)) //nolint:gosec // not negative
		}
		b = append(b, t.Data...)
	}
	le.PutUint16(b[count:], uint16(n)) //nolint:gosec // at most all tensors of the model
	return b
}

// appendRecord appends a request. Tensors whose index is in the left sets are left out.
func appendRecord(b []byte, of *texts, parameters []byte, req *infer.Request, resp *infer.Response, elapsed time.Duration, left *[2][]bool) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, uint64(req.Arrived.UnixNano())) //nolint:gosec // the bits
	b = le.AppendUint64(b, uint64(elapsed))                //nolint:gosec // the bits
	for _, text := range of {
		b = le.AppendUint32(b, uint32(len(text))) //nolint:gosec // far below
		b = append(b, text...)
	}
	b = le.AppendUint32(b, uint32(len(parameters))) //nolint:gosec // far below
	b = append(b, parameters...)
	b = appendTensors(b, req.Inputs, left[0])
	return appendTensors(b, resp.Outputs, left[1])
}

// cursor reads a record, which this process has made.
type cursor struct{ b []byte }

func (c *cursor) take(n int) []byte {
	taken := c.b[:n:n]
	c.b = c.b[n:]
	return taken
}

func (c *cursor) u16() int { return int(binary.LittleEndian.Uint16(c.take(2))) }
func (c *cursor) u32() int { return int(binary.LittleEndian.Uint32(c.take(4))) }
func (c *cursor) i64() int64 {
	return int64(binary.LittleEndian.Uint64(c.take(8))) //nolint:gosec // the bits
}
func (c *cursor) text() string { return string(c.take(c.u32())) }

func (c *cursor) tensors(specs []infer.TensorSpec) []infer.Tensor {
	list := make([]infer.Tensor, c.u16())
	for i := range list {
		t := &list[i]
		t.Index = c.u16()
		t.Name, t.DType = specs[t.Index].Name, specs[t.Index].DType
		t.Shape = make(infer.Shape, c.u16())
		size := int(c.i64())
		for d := range t.Shape {
			t.Shape[d] = c.i64()
		}
		t.Data = c.take(size)
	}
	return list
}

// recordTime returns when the request of a record arrived.
func recordTime(b []byte) time.Time { return time.Unix(0, (&cursor{b}).i64()).UTC() }

// decodeRecord returns the request of a record. Its tensors alias b.
func decodeRecord(b []byte, m *infer.Model) *Request {
	c := &cursor{b}
	r := &Request{Time: time.Unix(0, c.i64()).UTC(), Duration: time.Duration(c.i64())}
	var of texts
	for i := range of {
		of[i] = c.text()
	}
	r.ID, r.ClientID, r.Role, r.Reason, r.Caller = of[0], of[1], of[2], of[3], of[4]
	if n := c.u32(); n > 0 {
		r.Parameters = c.take(n)
	}
	r.Inputs, r.Outputs = c.tensors(m.Inputs), c.tensors(m.Outputs)
	return r
}

// recordID returns the id of the request of a record.
func recordID(b []byte) string {
	const times = 2 * 8
	return (&cursor{b[times:]}).text()
}
