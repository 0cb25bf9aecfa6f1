package oip

import (
	"encoding/binary"
	"math"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// data reads the member "data" of an input with a known shape and datatype, flat or nested like the
// shape, into memory of the Call. It reserves the memory once, after it has compared the number of
// elements with the length of the remaining text.
type data struct {
	c     *Call
	t     *infer.Tensor
	total int64 // elements
	flat  bool
	buf   []byte // the room for the data; strings are appended
	off   int    // the offset in buf of the next element of fixed size
}

// readData reads the array at the scanner's position into t.Data.
func (c *Call) readData(t *infer.Tensor) *problem {
	if c.s.space() != '[' {
		return c.s.wrong("an array")
	}
	total, _ := t.Shape.Elements() // the reader of the shape has checked it
	// Each element takes at least a byte, and a comma or bracket after it.
	if left := len(c.s.text) - c.s.pos - 1; total > int64(left)/2 {
		return invalid("expected %d elements for shape %v, got fewer (the document ends %d bytes on)", total, t.Shape, left)
	}
	size, _ := t.Shape.ByteSize(t.DType)
	if size > c.lim.MaxTensorBytes {
		return c.tooLarge(size)
	}
	room := int(size)
	if t.DType == infer.Bytes {
		room += c.s.extent() // a length before each element, and at most the text between the quotes
	}
	buf, p := c.room(room)
	if p != nil {
		return p
	}
	if t.DType == infer.Bytes {
		buf = buf[:0]
	}
	d := data{c: c, t: t, total: total, flat: len(t.Shape) < 2 || !c.s.nested(), buf: buf}
	if p := d.read(0); p != nil {
		return p
	}
	t.Data = slices.Clip(d.buf)
	if size := int64(len(t.Data)); size > c.lim.MaxTensorBytes {
		return c.tooLarge(size)
	}
	return nil
}

// extent returns an upper bound for the length of the next value in the text.
func (s *scanner) extent() int {
	const little = 4 << 10 // texts that are too short to look ahead
	left := len(s.text) - s.pos
	if left <= little {
		return left
	}
	look := *s
	_ = look.skip(true) // if it is not JSON, reading will stop there too
	return look.pos - s.pos
}

func (c *Call) tooLarge(size int64) *problem {
	p := invalid("the tensor takes %d bytes, the limit is %d", size, c.lim.MaxTensorBytes)
	p.code = infer.TooLarge
	return p
}

// nested reports whether the next array begins with an array.
func (s *scanner) nested() bool {
	look := *s
	look.pos++
	return look.space() == '['
}

// read reads the array of the given dimension, or all elements if the data is flat.
func (d *data) read(dim int) *problem {
	s := &d.c.s
	if p := s.open('[', "an array"); p != nil {
		return p
	}
	n := d.total
	if !d.flat {
		n = d.t.Shape[dim]
	}
	leaf := d.flat || dim == len(d.t.Shape)-1
	for i := int64(0); i < n; i++ {
		var p *problem
		if i > 0 && s.pos < len(s.text) && s.text[s.pos] == ',' {
			s.pos++
		} else if p = d.more(i, n); p != nil {
			return p
		}
		if leaf {
			p = d.element()
		} else {
			p = d.read(dim + 1)
		}
		if p != nil {
			return p.at(int(i))
		}
	}
	more, p := s.next(n == 0, ']')
	if more {
		return invalid("expected %d elements for shape %v, got more", n, d.t.Shape)
	}
	return p
}

// more reads the separator before element i of n.
func (d *data) more(i, n int64) *problem {
	more, p := d.c.s.next(i == 0, ']')
	if p == nil && !more {
		return invalid("expected %d elements for shape %v, got %d", n, d.t.Shape, i)
	}
	return p
}

// element reads one element into the buffer.
func (d *data) element() *problem {
	switch d.t.DType {
	case infer.FP32, infer.FP64, infer.FP16, infer.BF16:
		return d.float()
	case infer.Bytes:
		return d.string()
	case infer.Bool:
		return d.bool()
	default:
		return d.integer()
	}
}

// float reads a number, or a word for one.
func (d *data) float() *problem {
	s := &d.c.s
	if s.pos < len(s.text) && s.text[s.pos] <= ' ' {
		s.space()
	}
	start := s.pos
	n := scanDecimal(s.text, start)
	if n.has(broken) {
		return d.token()
	}
	s.pos = n.end
	text := s.text[start:n.end]
	var ok bool
	buf, le := d.buf[d.off:], binary.LittleEndian
	switch d.t.DType {
	case infer.FP32:
		var bits uint32
		bits, ok = n.float32(text)
		le.PutUint32(buf, bits)
		d.off += 4
	case infer.FP64:
		var f float64
		f, ok = n.float64(text)
		le.PutUint64(buf, math.Float64bits(f))
		d.off += 8
	case infer.FP16:
		bits := n.half(text, infer.Float32ToFP16)
		ok = bits&0x7fff != 0x7c00
		le.PutUint16(buf, bits)
		d.off += 2
	default:
		bits := n.half(text, infer.Float32ToBF16)
		ok = bits&0x7fff != 0x7f80
		le.PutUint16(buf, bits)
		d.off += 2
	}
	if !ok {
		return invalid("%s does not fit %v", excerpt(text), d.t.DType)
	}
	return nil
}

// token reads NaN, an infinity, or null, which means a missing value and becomes NaN. Anything else
// is a problem.
func (d *data) token() *problem {
	s := &d.c.s
	var f float64
	switch {
	case s.word("NaN"), s.word("null"):
		f = math.NaN()
	case s.word("Infinity"):
		f = math.Inf(1)
	case s.word("-Infinity"):
		f = math.Inf(-1)
	default:
		_, _, p := s.decimal()
		return p
	}
	buf, le := d.buf[d.off:], binary.LittleEndian
	switch d.t.DType {
	case infer.FP32:
		le.PutUint32(buf, math.Float32bits(float32(f)))
	case infer.FP64:
		le.PutUint64(buf, math.Float64bits(f))
	case infer.FP16:
		le.PutUint16(buf, infer.Float32ToFP16(float32(f)))
	default:
		le.PutUint16(buf, infer.Float32ToBF16(float32(f)))
	}
	d.off += d.t.DType.Size()
	return nil
}

func (d *data) bool() *problem {
	b, p := d.c.s.bool()
	d.buf[d.off] = 0
	if b {
		d.buf[d.off] = 1
	}
	d.off++
	return p
}

// integer reads an integer exactly and stores it in the width of the datatype.
func (d *data) integer() *problem {
	size := d.t.DType.Size()
	above := uint64(math.MaxUint64) >> (64 - 8*size) // the largest value
	below := uint64(0)                               // the magnitude of the smallest
	if infer.Int8 <= d.t.DType && d.t.DType <= infer.Int64 {
		above >>= 1
		below = above + 1
	}
	v, p := d.c.s.integer(below, above, d.t.DType.String())
	if p != nil {
		return p
	}
	buf, le := d.buf[d.off:], binary.LittleEndian
	switch size {
	case 1:
		buf[0] = byte(v)
	case 2:
		le.PutUint16(buf, uint16(v))
	case 4:
		le.PutUint32(buf, uint32(v))
	default:
		le.PutUint64(buf, v)
	}
	d.off += size
	return nil
}

// string reads a string and appends it with its length.
func (d *data) string() *problem {
	raw, escaped, p := d.c.s.raw()
	if p != nil {
		return p
	}
	start := len(d.buf)
	d.buf = append(d.buf, 0, 0, 0, 0)
	if escaped {
		d.buf = unescape(d.buf, raw)
	} else {
		d.buf = append(d.buf, raw...)
	}
	binary.LittleEndian.PutUint32(d.buf[start:], uint32(len(d.buf)-start-4))
	return nil
}
