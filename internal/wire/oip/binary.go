package oip

import (
	"encoding/binary"
	"math"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// attach gives each input with a binary_data_size its part of blobs, in order. The sizes must add
// up to len(blobs). Clients of Triton know the texts of the problems.
func (c *Call) attach(blobs []byte) *problem {
	for i, size := range c.sizes {
		if size < 0 {
			continue
		}
		t := &c.Inputs[i]
		if have := int64(len(blobs)); size > have {
			return invalid("unexpected size for input '%s', expecting %d additional bytes%s", t.Name, size-have, c.forModel())
		}
		t.Data, blobs = blobs[:size:size], blobs[size:]
	}
	if len(blobs) > 0 {
		return invalid("unexpected additional input data%s: %d bytes beyond the sizes of all inputs", c.forModel(), len(blobs))
	}
	for i, size := range c.sizes {
		if size < 0 {
			continue
		}
		if p := c.checkBlob(&c.Inputs[i]); p != nil {
			return p.at(i).in("inputs")
		}
	}
	return nil
}

// forModel ends a message with the called name, if the listener has set it.
func (c *Call) forModel() string {
	if c.Model == "" {
		return ""
	}
	return " for model '" + c.Model + "'"
}

// checkBlob checks the data of a binary input against its shape and datatype.
func (c *Call) checkBlob(t *infer.Tensor) *problem {
	want, ok := t.Shape.ByteSize(t.DType)
	var p *problem
	switch {
	case !ok:
		return invalid("%v of %v takes more bytes than can be counted", t.Shape, t.DType).in("shape")
	case t.DType == infer.Bytes:
		elements, _ := t.Shape.Elements()
		p = c.checkStrings(t, elements)
	case int64(len(t.Data)) != want:
		p = invalid("input byte size mismatch for input '%s'%s. Expected %d, got %d", t.Name, c.forModel(), want, len(t.Data))
	}
	if p == nil && int64(len(t.Data)) > c.lim.MaxTensorBytes {
		p = c.tooLarge(int64(len(t.Data)))
	}
	if p == nil && t.DType == infer.Bool {
		p = c.normaliseBools(t)
	}
	return p
}

// checkStrings checks that the data has exactly as many elements as the shape.
func (c *Call) checkStrings(t *infer.Tensor, want int64) *problem {
	n := int64(0)
	for rest := t.Data; len(rest) > 0; n++ {
		if n == want {
			return invalid("unexpected number of string elements %d for inference input '%s'%s, expecting %d", n+1, t.Name, c.forModel(), want)
		}
		if len(rest) < 4 {
			return invalid("incomplete string length indicator for inference input '%s'%s, expecting 4 bytes but only %d bytes available", t.Name, c.forModel(), len(rest))
		}
		var ok bool
		length, have := binary.LittleEndian.Uint32(rest), len(rest)-4
		if _, rest, ok = infer.NextElement(rest); !ok {
			return invalid("incomplete string data for inference input '%s', expecting string of length %d but only %d bytes available", t.Name, length, have)
		}
	}
	if n < want {
		return invalid("expected %d string elements for inference input '%s'%s, got %d", want, t.Name, c.forModel(), n)
	}
	return nil
}

// normaliseBools sets every byte other than 0 to 1. If there is a byte above 1 it changes a copy,
// since the body must not be changed.
func (c *Call) normaliseBools(t *infer.Tensor) *problem {
	above := func(b byte) bool { return b > 1 }
	if slices.IndexFunc(t.Data, above) < 0 {
		return nil
	}
	buf, p := c.room(len(t.Data))
	if p != nil {
		return p
	}
	for i, b := range t.Data {
		buf[i] = min(b, 1)
	}
	t.Data = buf
	return nil
}

// DecodeRaw takes the body as the data of m's only input, as the header
// Inference-Header-Content-Length: 0 asks. The shape is that of the signature; its one free
// dimension follows from the size. A string input gets one element, the body without a length. All
// outputs are binary. The data aliases body as with Decode.
func (c *Call) DecodeRaw(body []byte, m *infer.Model, lim *Limits) error {
	c.begin()
	c.lim = *lim
	c.binaryDefault = true
	if len(m.Inputs) != 1 {
		return infer.Errorf(infer.Invalid, "Raw request must only have 1 input (found 1) to be deduced but got %d inputs in '%s' model configuration", len(m.Inputs), m.Name)
	}
	spec := &m.Inputs[0]
	c.Inputs = append(c.Inputs, infer.Tensor{Name: spec.Name, DType: spec.DType, Data: body})
	t := &c.Inputs[0]
	if p := c.rawShape(t, spec); p != nil {
		return p.err()
	}
	if spec.DType == infer.Bytes {
		return c.rawString(t, body).err()
	}
	return c.checkBlob(t).err()
}

// rawShape sets the shape that follows from the size of the data.
func (c *Call) rawShape(t *infer.Tensor, spec *infer.TensorSpec) *problem {
	c.dims = append(c.dims, spec.Shape...)
	t.Shape = slices.Clip(c.dims)
	free := -1
	for i, d := range t.Shape {
		if d >= 0 {
			continue
		}
		if free >= 0 {
			return invalid("a raw request needs an input with at most one dimension that varies, but input '%s'%s is %v", spec.Name, c.forModel(), spec.Shape)
		}
		free = i
		t.Shape[i] = 1
	}
	row, ok := t.Shape.ByteSize(spec.DType) // with 1 as the free dimension
	if free < 0 || !ok || row == 0 || spec.DType == infer.Bytes {
		return nil
	}
	size := int64(len(t.Data))
	if size%row != 0 {
		return invalid("input byte size mismatch for input '%s'%s. Expected a multiple of %d, got %d", spec.Name, c.forModel(), row, size)
	}
	t.Shape[free] = size / row
	return nil
}

// rawString takes the body as the only element of a string tensor.
func (c *Call) rawString(t *infer.Tensor, body []byte) *problem {
	if n, ok := t.Shape.Elements(); !ok || n != 1 {
		return invalid("a raw request takes one string, but input '%s' has shape %v", t.Name, t.Shape)
	}
	if size := int64(len(body)) + 4; size > c.lim.MaxTensorBytes || size > math.MaxUint32 {
		return c.tooLarge(size)
	}
	buf, p := c.room(len(body) + 4)
	if p != nil {
		return p
	}
	binary.LittleEndian.PutUint32(buf, uint32(len(body)))
	copy(buf[4:], body)
	t.Data = buf
	return nil
}
