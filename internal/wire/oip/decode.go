package oip

import (
	"math"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// Decode decodes the body of an infer request. jsonLen is the value of the header
// Inference-Header-Content-Length: the length of the JSON document before the binary tensors, or -1
// if there is none. Then the whole body is JSON. (For a header of 0, which means a raw body, use
// DecodeRaw.)
//
// The data of binary inputs aliases body, which must not change until the call is over. All other
// data, and every string, belongs to the Call.
func (c *Call) Decode(body []byte, jsonLen int, lim *Limits) error {
	c.begin()
	c.lim = *lim
	text, blobs := body, body[len(body):]
	if jsonLen != -1 {
		if jsonLen < 0 || jsonLen > len(body) {
			return infer.Errorf(infer.Invalid, "inference header size should be in range (0, %d), got: %d", len(body), jsonLen)
		}
		text, blobs = body[:jsonLen], body[jsonLen:]
	}
	if c.recall(text) {
		return c.attach(blobs).err()
	}
	c.s.text, c.s.maxDepth = text, c.lim.MaxNesting
	if p := c.s.document(c.request); p != nil {
		if c.s.depth == 0 && slices.ContainsFunc(c.sizes, func(size int64) bool { return size >= 0 }) {
			p.msg += "; with binary tensors the header Inference-Header-Content-Length says where the document ends"
		}
		return p.err()
	}
	c.memorise(text)
	return c.attach(blobs).err()
}

const (
	fieldID fields = 1 << iota
	fieldName
	fieldShape
	fieldDatatype
	fieldData
	fieldParameters
	fieldInputs
	fieldOutputs
)

// request reads the top level. It skips unknown members.
func (c *Call) request() *problem {
	var seen fields
	p := c.s.object(func(key []byte) *problem {
		switch string(key) {
		case "id":
			return seen.once(fieldID, c.id).in("id")
		case "inputs":
			return seen.once(fieldInputs, c.inputs).in("inputs")
		case "outputs":
			return seen.once(fieldOutputs, c.outputs).in("outputs")
		case "parameters":
			return seen.once(fieldParameters, c.requestParameters).in("parameters")
		default:
			return c.s.skip(false)
		}
	})
	if p == nil && seen&fieldInputs == 0 {
		return invalid("missing; a request needs an array of inputs").in("inputs")
	}
	return p
}

func (c *Call) id() *problem {
	id, p := c.s.str()
	if p != nil {
		return p
	}
	if len(id) > c.lim.MaxIDBytes {
		return invalid("longer than %d bytes", c.lim.MaxIDBytes)
	}
	c.ID = string(id)
	return nil
}

// name reads the name of a tensor.
func (c *Call) name(name *string) *problem {
	b, p := c.s.str()
	if p != nil {
		return p
	}
	if p = c.checkName(len(b)); p != nil {
		return p
	}
	*name, p = c.intern(b)
	return p
}

// checkName checks the length of the name of a tensor.
func (c *Call) checkName(n int) *problem {
	if n > c.lim.MaxNameBytes {
		return invalid("longer than %d bytes", c.lim.MaxNameBytes)
	}
	return nil
}

func (c *Call) inputs() *problem {
	return c.s.array(func(i int) *problem {
		if i >= c.lim.MaxInputs {
			return invalid("more than %d inputs", c.lim.MaxInputs)
		}
		var p *problem
		if c.Inputs, p = push(c, c.Inputs, infer.Tensor{}); p == nil {
			c.sizes, p = push(c, c.sizes, -1)
		}
		if p != nil {
			return p
		}
		return c.input(&c.Inputs[i], &c.sizes[i])
	})
}

// input reads one input. Its data is read directly into the tensor if shape and datatype came
// before, as most clients write them. Otherwise the data is skipped and read at the end.
func (c *Call) input(t *infer.Tensor, size *int64) *problem {
	var seen fields
	later := -1 // the position of data that came before shape and datatype
	p := c.s.object(func(key []byte) *problem {
		switch string(key) {
		case "name":
			return seen.once(fieldName, func() *problem { return c.name(&t.Name) }).in("name")
		case "shape":
			return seen.once(fieldShape, func() *problem { return c.shape(t) }).in("shape")
		case "datatype":
			return seen.once(fieldDatatype, func() *problem { return c.datatype(t) }).in("datatype")
		case "data":
			return seen.once(fieldData, func() *problem {
				const before = fieldShape | fieldDatatype
				if seen&before == before {
					return c.readData(t)
				}
				later = c.s.pos
				return c.s.skip(true)
			}).in("data")
		case "parameters":
			return seen.once(fieldParameters, func() (p *problem) {
				*size, p = c.inputParameters()
				return p
			}).in("parameters")
		default:
			return c.s.skip(false)
		}
	})
	if p == nil {
		p = complete(seen, *size)
	}
	if p == nil && later >= 0 {
		end := c.s.pos
		c.s.pos = later
		p = c.readData(t).in("data")
		c.s.pos = end
	}
	return p
}

// complete checks that an input has all required members.
func complete(seen fields, size int64) *problem {
	switch data := seen&fieldData != 0; {
	case seen&fieldName == 0:
		return invalid("missing").in("name")
	case seen&fieldShape == 0:
		return invalid("missing").in("shape")
	case seen&fieldDatatype == 0:
		return invalid("missing").in("datatype")
	case data && size >= 0:
		return invalid("an input has either 'data' or 'binary_data_size' in 'parameters', this one has both")
	case !data && size < 0:
		return invalid("an input has either 'data' or 'binary_data_size' in 'parameters', this one has neither")
	default:
		return nil
	}
}

func (c *Call) shape(t *infer.Tensor) *problem {
	start := len(c.dims)
	p := c.s.array(func(i int) *problem {
		if i >= c.lim.MaxRank {
			return invalid("more than %d dimensions", c.lim.MaxRank)
		}
		n, p := c.s.integer(0, math.MaxInt64, "a dimension (0 to 9223372036854775807)")
		if p == nil {
			c.dims, p = push(c, c.dims, int64(n))
		}
		return p
	})
	t.Shape = c.dims[start:len(c.dims):len(c.dims)]
	if p != nil {
		return p
	}
	return c.checkShape(t.Shape)
}

// checkShape checks a shape as a request states it. JSON is not read beyond a dimension
// that is wrong; a message is, so the first two checks are for messages.
func (c *Call) checkShape(s infer.Shape) *problem {
	if len(s) > c.lim.MaxRank {
		return invalid("more than %d dimensions", c.lim.MaxRank)
	}
	for i, d := range s {
		if d < 0 {
			return invalid("%d is not a dimension (0 to %d)", d, math.MaxInt64).at(i)
		}
	}
	switch n, ok := s.Elements(); {
	case !ok:
		return invalid("%v holds more elements than can be counted", s)
	case n == 0 && extent(s) > c.lim.MaxTensorBytes:
		return invalid("%v has no elements, but its other dimensions multiply to more than the limit of %d bytes for a tensor", s, c.lim.MaxTensorBytes)
	}
	return nil
}

// extent is the product of the dimensions other than 0. Empty rows take no bytes, but a model may
// make outputs from them that do.
func extent(s infer.Shape) int64 {
	n := int64(1)
	for _, d := range s {
		n *= max(1, d)
	}
	return n
}

func (c *Call) datatype(t *infer.Tensor) *problem {
	name, p := c.s.str()
	if p != nil {
		return p
	}
	t.DType, p = parseDType(string(name))
	return p
}

func parseDType(name string) (infer.DType, *problem) {
	d, ok := infer.ParseDType(name)
	if !ok {
		return d, invalid("'%s' is not a valid datatype: expected one of the protocol, such as BOOL, UINT8, FP32 or BYTES", excerpt([]byte(name)))
	}
	return d, nil
}

func (c *Call) outputs() *problem {
	return c.s.array(func(i int) *problem {
		if i >= c.lim.MaxOutputs {
			return invalid("more than %d outputs", c.lim.MaxOutputs)
		}
		var p *problem
		if c.Outputs, p = push(c, c.Outputs, infer.OutputRef{}); p == nil {
			c.binary, p = push(c, c.binary, unset)
		}
		if p != nil {
			return p
		}
		return c.output(&c.Outputs[i], &c.binary[i])
	})
}

func (c *Call) output(out *infer.OutputRef, own *choice) *problem {
	var seen fields
	p := c.s.object(func(key []byte) *problem {
		switch string(key) {
		case "name":
			return seen.once(fieldName, func() *problem { return c.name(&out.Name) }).in("name")
		case "parameters":
			return seen.once(fieldParameters, func() (p *problem) {
				*own, p = c.outputParameters(&out.Classes)
				return p
			}).in("parameters")
		default:
			return c.s.skip(false)
		}
	})
	if p == nil && seen&fieldName == 0 {
		return invalid("missing").in("name")
	}
	return p
}
