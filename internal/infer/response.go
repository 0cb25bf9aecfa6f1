package infer

import (
	"cmp"
	"sync"
)

// maxPooledBytes is the largest buffer in bytes that a released Response keeps. A larger one
// goes to the garbage collector, so one huge answer does not stay in memory for ever.
const maxPooledBytes = 1 << 20

// smallBytes is the size in bytes up to which a buffer may be larger than needed.
const smallBytes = 64 << 10

// Response is the answer to a Request. Its outputs live in its own buffer and
// are valid until Release.
type Response struct {
	// Outputs are in the order asked for.
	Outputs []Tensor
	buf     []byte
	kept    []byte // the buffer of an earlier answer, for the first output that it is large enough for
	dims    []int64

	memory   Memory // the budget of the buffers; nil if they are not counted
	reserved int    // bytes reserved from memory
	err      error  // of the first output that could not be reserved
}

var responses = sync.Pool{New: func() any { return new(Response) }}

// NewResponse returns an empty response from the pool.
func NewResponse() *Response { return responses.Get().(*Response) }

// ReserveFrom makes Add reserve the bytes of the outputs from m before it allocates them, and
// Release give them back. It must be called before the first Add; m may be nil.
func (r *Response) ReserveFrom(m Memory) { r.memory = m }

// Err returns the error of Memory.Reserve for the first output that it refused. The response is
// then incomplete.
func (r *Response) Err() error { return r.err }

// ByteSize returns the bytes of all outputs together.
func (r *Response) ByteSize() (n int) {
	for i := range r.Outputs {
		n += len(r.Outputs[i].Data)
	}
	return n
}

// Release frees the response's memory. Neither it nor its outputs may be used afterwards.
func (r *Response) Release() {
	if r.memory != nil {
		r.memory.Release(r.reserved)
	}
	clear(r.Outputs)
	kept := r.kept
	if cap(r.buf) > cap(kept) && cap(r.buf) <= maxPooledBytes {
		kept = r.buf
	}
	*r = Response{Outputs: r.Outputs[:0], kept: kept[:0], dims: r.dims[:0]}
	responses.Put(r)
}

// Add appends an output and returns its Data, n bytes to be filled. The shape is copied. A
// slice that it returned earlier stays valid. If the bytes cannot be reserved, Err returns the
// error and the output has no data.
func (r *Response) Add(name string, index int, dtype DType, shape Shape, n int) []byte {
	data := r.alloc(n)
	r.add(name, index, dtype, shape, data)
	return data
}

// AddCopy appends an output with a copy of data. The shape is copied too. If the bytes cannot
// be reserved, Err returns the error.
func (r *Response) AddCopy(name string, index int, dtype DType, shape Shape, data []byte) {
	if len(data) > maxPooledBytes {
		// It would not be kept with the buffer. append, unlike make, does not clear bytes that
		// it then overwrites.
		if err := r.reserve(len(data)); err != nil {
			r.err = cmp.Or(r.err, err)
			return
		}
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

// alloc takes n bytes of the buffer. If they do not fit it starts a new buffer and leaves the
// old one to the outputs that use it.
func (r *Response) alloc(n int) []byte {
	start := len(r.buf)
	if cap(r.buf)-start < n {
		if !r.renew(n) {
			return nil
		}
		start = 0
	}
	r.buf = r.buf[:start+n]
	return r.buf[start : start+n : start+n]
}

// renew starts a buffer for n bytes: the kept one, unless it is much too large, or a new one. A
// small new one has room for more than one output.
func (r *Response) renew(n int) bool {
	if size := cap(r.kept); size >= n && size <= max(smallBytes, 4*n) && r.reserve(size) == nil {
		r.buf, r.kept = r.kept[:0], nil
		return true
	}
	size := max(n, min(2*cap(r.buf), smallBytes))
	if err := r.reserve(size); err != nil {
		r.err = cmp.Or(r.err, err)
		return false
	}
	r.buf = make([]byte, 0, size)
	return true
}

// reserve reserves n bytes from the memory.
func (r *Response) reserve(n int) error {
	if r.memory == nil {
		return nil
	}
	err := r.memory.Reserve(n)
	if err == nil {
		r.reserved += n
	}
	return err
}
