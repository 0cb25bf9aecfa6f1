package infer

import (
	"math"
	"math/bits"
	"slices"
	"strconv"
)

// Shape is the dimensions of a tensor, outermost first. An empty shape is a scalar of rank 0.
// In a model's signature -1 stands for a dimension that varies.
type Shape []int64

// Elements returns the product of the dimensions. ok is false if a dimension is negative or the
// product of the dimensions other than 0 is beyond 2^63-1, so that a caller can refuse before
// memory is allocated.
func (s Shape) Elements() (n int64, ok bool) {
	product := uint64(1)
	zero := false
	for _, d := range s {
		if d < 0 {
			return 0, false
		}
		if d == 0 {
			zero = true // no return yet: a later dimension may be negative
			continue
		}
		hi, lo := bits.Mul64(product, uint64(d))
		if hi != 0 || lo > math.MaxInt64 {
			return 0, false
		}
		product = lo
	}
	if zero {
		return 0, true
	}
	return int64(product), true
}

// ByteSize returns Elements times the size of d. For Bytes, whose elements vary, it is the
// smallest size of the wire format (a 4-byte length for each element).
func (s Shape) ByteSize(d DType) (n int64, ok bool) {
	elements, ok := s.Elements()
	if !ok {
		return 0, false
	}
	size := d.Size()
	if d == Bytes {
		size = bytesPrefix
	}
	hi, lo := bits.Mul64(uint64(elements), uint64(size))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, false
	}
	return int64(lo), true
}

// Equal reports whether both shapes have the same dimensions.
func (s Shape) Equal(t Shape) bool { return slices.Equal(s, t) }

// Fixed returns the shape with rows for a first dimension that varies, and 1 for other
// dimensions that vary.
func (s Shape) Fixed(rows int64) Shape {
	fixed := make(Shape, len(s))
	for i, d := range s {
		switch {
		case d >= 0:
			fixed[i] = d
		case i == 0:
			fixed[i] = rows
		default:
			fixed[i] = 1
		}
	}
	return fixed
}

// String returns the shape as the protocol prints it: "[-1,16]".
func (s Shape) String() string { return string(s.Append(nil)) }

// Append appends String to dst.
func (s Shape) Append(dst []byte) []byte {
	dst = append(dst, '[')
	for i, d := range s {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, d, 10)
	}
	return append(dst, ']')
}
