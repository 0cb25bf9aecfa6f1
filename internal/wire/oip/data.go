package oip

import (
	"encoding/binary"
	"math"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// data reads the member "data" of an input whose shape and datatype are known,
// flat or nested as the shape says, into the Call's buffer. Strings apart, the
// room is taken once, after the number of elements was compared with the text
// that is left.
type data struct {
	c     *Call
	t     *infer.Tensor
	total int64 // elements
	flat  bool
	off   int // where in c.buf the next element of fixed size goes
}

// readData reads the array at the scanner's place into t.Data.
func (c *Call) readData(t *infer.Tensor) *problem {
	if c.s.space() != '[' {
		return invalid("must be an array, not %s", c.s.kind())
	}
	total, _ := t.Shape.Elements() // the reader of the shape has checked it
	// Each element takes a byte and a comma or bracket behind it.
	if left := len(c.s.text) - c.s.pos - 1; total > int64(left)/2 {
		return invalid("expected %d elements for shape %v, got fewer (the document ends %d bytes on)", total, t.Shape, left)
	}
	size, _ := t.Shape.ByteSize(t.DType)
	if size > c.lim.MaxTensorBytes {
		return c.tooLarge(size)
	}
	start := len(c.buf)
	c.buf = slices.Grow(c.buf, int(size))
	if t.DType != infer.Bytes {
		c.buf = c.buf[:start+int(size)]
	}
	d := data{c: c, t: t, total: total, flat: len(t.Shape) < 2 || !c.s.nested(), off: start}
	if p := d.read(0); p != nil {
		return p
	}
	t.Data = c.buf[start:len(c.buf):len(c.buf)]
	if size := int64(len(t.Data)); size > c.lim.MaxTensorBytes {
		return c.tooLarge(size)
	}
	return nil
}

func (c *Call) tooLarge(size int64) *problem {
	p := invalid("the tensor takes %d bytes, the limit is %d", size, c.lim.MaxTensorBytes)
	p.code = infer.TooLarge
	return p
}

// nested reports whether the array that follows begins with an array.
func (s *scanner) nested() bool {
	look := *s
	look.pos++
	return look.space() == '['
}

// read reads the array of the given dimension, or of all of them where the data
// is flat.
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
		more, p := s.next(i == 0, ']')
		if p != nil {
			return p
		}
		if !more {
			return invalid("expected %d elements for shape %v, got %d", n, d.t.Shape, i)
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

// element reads one element into the buffer.
func (d *data) element() (p *problem) {
	buf, le := d.c.buf, binary.LittleEndian
	switch d.t.DType {
	case infer.FP32:
		var bits uint32
		bits, p = d.float32()
		le.PutUint32(buf[d.off:], bits)
		d.off += 4
	case infer.FP64:
		var f float64
		f, p = d.float64()
		le.PutUint64(buf[d.off:], math.Float64bits(f))
		d.off += 8
	case infer.FP16, infer.BF16:
		var bits uint16
		bits, p = d.half()
		le.PutUint16(buf[d.off:], bits)
		d.off += 2
	case infer.Bytes:
		p = d.string()
	case infer.Bool:
		var b bool
		if b, p = d.c.s.bool(); b {
			buf[d.off] = 1
		} else {
			buf[d.off] = 0
		}
		d.off++
	default:
		p = d.integer()
	}
	return p
}

// token reads one of the tokens that are no JSON.
func (d *data) token() (f float64, ok bool) {
	s := &d.c.s
	switch {
	case s.word("NaN"):
		return math.NaN(), true
	case s.word("Infinity"):
		return math.Inf(1), true
	case s.word("-Infinity"):
		return math.Inf(-1), true
	default:
		return 0, false
	}
}

func (d *data) misfit(text []byte) *problem {
	return invalid("%s does not fit %v", excerpt(text), d.t.DType)
}

func (d *data) float32() (uint32, *problem) {
	if f, ok := d.tokenNext(); ok {
		return math.Float32bits(float32(f)), nil
	}
	n, text, p := d.c.s.decimal()
	if p != nil {
		return 0, p
	}
	bits, ok := n.float32(text)
	if !ok {
		return 0, d.misfit(text)
	}
	return bits, nil
}

func (d *data) float64() (float64, *problem) {
	if f, ok := d.tokenNext(); ok {
		return f, nil
	}
	n, text, p := d.c.s.decimal()
	if p != nil {
		return 0, p
	}
	f, ok := n.float64(text)
	if !ok {
		return 0, d.misfit(text)
	}
	return f, nil
}

func (d *data) half() (uint16, *problem) {
	round, infinity := infer.Float32ToFP16, uint16(0x7c00)
	if d.t.DType == infer.BF16 {
		round, infinity = infer.Float32ToBF16, 0x7f80
	}
	if f, ok := d.tokenNext(); ok {
		return round(float32(f)), nil
	}
	n, text, p := d.c.s.decimal()
	if p != nil {
		return 0, p
	}
	bits := n.half(text, round)
	if bits&0x7fff == infinity {
		return 0, d.misfit(text)
	}
	return bits, nil
}

// tokenNext is token behind a cheap look at the next byte.
func (d *data) tokenNext() (f float64, ok bool) {
	switch s := &d.c.s; s.space() {
	case 'N', 'I', '-':
		return d.token()
	default:
		return 0, false
	}
}

// integer reads an integer exactly and stores it in the width of the datatype.
func (d *data) integer() *problem {
	size := d.t.DType.Size()
	above := uint64(math.MaxUint64) >> (64 - 8*size) // the largest value
	below := uint64(0)                               // the magnitude of the smallest
	switch d.t.DType {
	case infer.Int8, infer.Int16, infer.Int32, infer.Int64:
		above >>= 1
		below = above + 1
	}
	v, p := d.c.s.integer(below, above, d.t.DType.String())
	if p != nil {
		return p
	}
	buf, le := d.c.buf[d.off:], binary.LittleEndian
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
	c := d.c
	raw, escaped, p := c.s.raw()
	if p != nil {
		return p
	}
	start := len(c.buf)
	c.buf = append(c.buf, 0, 0, 0, 0)
	if escaped {
		c.buf = unescape(c.buf, raw)
	} else {
		c.buf = append(c.buf, raw...)
	}
	binary.LittleEndian.PutUint32(c.buf[start:], uint32(len(c.buf)-start-4))
	return nil
}
