package infer

import (
	"encoding/binary"
	"math"
)

// bytesPrefix is the width of the length before each element of a Bytes tensor.
const bytesPrefix = 4

// Tensor is a named array. Data has its elements row-major and little-endian, Bool as one byte
// 0 or 1. A Bytes tensor's Data is the sequence of its elements, each a 4-byte little-endian
// length and then the bytes. This is also the format of the protocol's binary extension, so all
// types are one slice of bytes from the wire to the runtime and back.
type Tensor struct {
	Name  string
	DType DType
	Shape Shape
	Data  []byte
	// Index is the tensor's index in the model's Inputs or Outputs. Model.Check sets it for
	// inputs, the runtime for outputs.
	Index int
}

// Rows returns the first dimension, or 1 for a tensor of rank 0.
func (t *Tensor) Rows() int64 {
	if len(t.Shape) == 0 {
		return 1
	}
	return t.Shape[0]
}

// AppendElement appends one element of a Bytes tensor to its Data. It panics if the element's
// length does not fit into 4 bytes; every limit on a request is far below that.
func AppendElement(data []byte, element string) []byte {
	if uint64(len(element)) > math.MaxUint32 {
		panic("BUG: a string element of more than 4 GiB")
	}
	data = binary.LittleEndian.AppendUint32(data, uint32(len(element)))
	return append(data, element...)
}

// NextElement splits the first element off the Data of a Bytes tensor. ok is false if the
// length is cut off or exceeds the data.
func NextElement(data []byte) (element, rest []byte, ok bool) {
	if len(data) < bytesPrefix {
		return nil, data, false
	}
	n := uint64(binary.LittleEndian.Uint32(data))
	data = data[bytesPrefix:]
	if n > uint64(len(data)) {
		return nil, data, false
	}
	return data[:n:n], data[n:], true
}

// checkData returns an error if Data does not have exactly the elements of Shape and DType.
func (t *Tensor) checkData() error {
	want, ok := t.Shape.ByteSize(t.DType)
	if !ok {
		return Errorf(Invalid, "shape %v of tensor '%s' is negative or too large", t.Shape, t.Name)
	}
	if t.DType != Bytes {
		if int64(len(t.Data)) != want {
			return Errorf(Invalid, "tensor '%s' of shape %v and datatype %v needs %d bytes, got %d", t.Name, t.Shape, t.DType, want, len(t.Data))
		}
		return nil
	}
	rest := t.Data
	for i, n := int64(0), want/bytesPrefix; i < n; i++ {
		if _, rest, ok = NextElement(rest); !ok {
			return Errorf(Invalid, "incomplete string element %d of tensor '%s', expected %d elements", i, t.Name, n)
		}
	}
	if len(rest) > 0 {
		return Errorf(Invalid, "tensor '%s' has %d bytes beyond its %d string elements", t.Name, len(rest), want/bytesPrefix)
	}
	return nil
}
