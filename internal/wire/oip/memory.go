package oip

import (
	"unsafe"

	"sluice.io/sluice/internal/infer"
)

// scratch is the memory for tensor data that does not alias the body. Small tensors share a buffer.
// A large one has its own, of exactly its size: a growing buffer would leave its earlier copies
// behind with their tensors, and would have unused room.
type scratch struct {
	buf      []byte
	used     int // by all tensors of the request
	usual    int // by the last request, unless that is too much to keep
	reserved int // bytes of the request's Memory
}

const (
	smallTensor = 2 << 10  // tensors up to this size share a buffer
	sharedBytes = 16 << 10 // the size of a shared buffer
)

func (s *scratch) begin() {
	if s.used > 0 {
		s.usual = 0
		if s.used <= maxPooledBytes {
			s.usual = s.used
		}
	}
	s.buf, s.used = s.buf[:0], 0
}

// reserve reserves n bytes of the request's Memory.
func (c *Call) reserve(n int) *problem {
	if c.Memory == nil {
		return nil
	}
	if err := c.Memory.Reserve(n); err != nil {
		return &problem{cause: err}
	}
	c.reserved += n
	return nil
}

// room returns n bytes that belong to the request until Drop or Reset.
func (c *Call) room(n int) ([]byte, *problem) {
	free := cap(c.buf) - len(c.buf)
	if free < n {
		size := n
		if n <= smallTensor {
			size = sharedBytes
		}
		if c.used == 0 {
			size = max(size, c.usual)
		}
		if p := c.reserve(size); p != nil {
			return nil, p
		}
		c.used += n
		fresh := make([]byte, n, size)
		if c.used > n && free > smallTensor {
			return fresh[:n:n], nil // keep the shared buffer, since other tensors still fit into it
		}
		c.buf = fresh
		return c.buf[:n:n], nil
	}
	c.used += n
	start := len(c.buf)
	c.buf = c.buf[:start+n]
	return c.buf[start : start+n : start+n], nil
}

// push appends v to a list. It reserves the memory before the list grows.
func push[T any](c *Call, list []T, v T) ([]T, *problem) {
	if len(list) == cap(list) {
		n := max(16, 2*cap(list))
		if p := c.reserve(n * int(unsafe.Sizeof(v))); p != nil {
			return list, p
		}
		list = append(make([]T, 0, n), list...)
	}
	return append(list, v), nil
}

// Kept returns the bytes that the Call holds before it decodes: the buffers of earlier requests.
// They are not reserved from Memory.
func (c *Call) Kept() int {
	return cap(c.buf) + cap(c.s.tmp) + cap(c.key) + 8*(cap(c.dims)+cap(c.sizes)) + cap(c.binary) + cap(c.best)*int(unsafe.Sizeof(ranked{})) +
		cap(c.Inputs)*int(unsafe.Sizeof(infer.Tensor{})) + cap(c.Outputs)*int(unsafe.Sizeof(infer.OutputRef{}))
}

// Drop releases the inputs and returns their reserved memory, after their last use. It keeps what
// AppendResponse needs. It does nothing for small requests; Reset returns their memory.
func (c *Call) Drop() {
	if c.reserved <= maxPooledBytes {
		return
	}
	c.Inputs, c.sizes, c.dims, c.buf, c.s.tmp = nil, nil, nil, nil, nil
	c.giveBack()
}

func (c *Call) giveBack() {
	if c.Memory != nil {
		c.Memory.Release(c.reserved)
	}
	c.reserved = 0
}

// trim drops the buffers that a large request has made large.
func (c *Call) trim() {
	if cap(c.buf) > maxPooledBytes {
		c.buf = nil
	}
	if cap(c.key) > maxPooledBytes {
		c.key = nil
	}
	if cap(c.s.tmp) > maxPooledBytes {
		c.s.tmp = nil
	}
	if cap(c.best) > maxPooledRanked {
		c.best = nil
	}
	if cap(c.dims) > maxPooledDims {
		c.dims = nil
	}
	if cap(c.Inputs) > maxPooledTensors {
		c.Inputs, c.sizes = nil, nil
	}
	if cap(c.Outputs) > maxPooledTensors {
		c.Outputs, c.binary = nil, nil
	}
}
