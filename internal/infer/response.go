package infer

import "sync"

// maxPooledBytes is the largest buffer that a released Response keeps; above it
// the buffer goes to the garbage collector, so one huge answer is not held for ever.
const maxPooledBytes = 1 << 20

// Response is the answer to a Request. Its outputs live in its own buffer and
// are valid until Release.
type Response struct {
	// Outputs are in the order asked for.
	Outputs []Tensor
	buf     []byte
	dims    []int64
}

var responses = sync.Pool{New: func() any { return new(Response) }}

// NewResponse returns an empty response from the pool.
func NewResponse() *Response { return responses.Get().(*Response) }

// Release returns the response's memory. Neither it nor its outputs may be used
// afterwards.
func (r *Response) Release() {
	clear(r.Outputs)
	r.Outputs = r.Outputs[:0]
	r.buf, r.dims = r.buf[:0], r.dims[:0]
	if cap(r.buf) > maxPooledBytes {
		r.buf = nil
	}
	responses.Put(r)
}

// Add appends an output and returns its Data, n bytes to be filled. The shape
// is copied. A slice returned earlier stays valid.
func (r *Response) Add(name string, index int, dtype DType, shape Shape, n int) []byte {
	data := r.alloc(n)
	r.add(name, index, dtype, shape, data)
	return data
}

// AddCopy appends an output with a copy of data. The shape is copied too.
func (r *Response) AddCopy(name string, index int, dtype DType, shape Shape, data []byte) {
	if len(data) > maxPooledBytes {
		// It would not be kept with the buffer. append, unlike make, does not clear what
		// is overwritten at once.
		r.add(name, index, dtype, shape, append([]byte(nil), data...))
		return
	}
	copy(r.Add(name, index, dtype, shape, len(data)), data)
}

func (r *Response) add(name string, index int, dtype DType, shape Shape, data []byte) {
	start := len(r.dims)
	r.dims = append(r.dims, shape...)
	r.Outputs = append(r.Outputs, Tensor{
		Name: name, DType: dtype, Shape: Shape(r.dims[start:len(r.dims):len(r.dims)]), Data: data, Index: index,
	})
}

// alloc cuts n bytes off the buffer. Where they do not fit it starts a new
// buffer and leaves the old one to the outputs that use it.
func (r *Response) alloc(n int) []byte {
	start := len(r.buf)
	if cap(r.buf)-start < n {
		start, r.buf = 0, make([]byte, 0, max(n, 2*cap(r.buf)))
	}
	r.buf = r.buf[:start+n]
	return r.buf[start : start+n : start+n]
}
