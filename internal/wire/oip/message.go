package oip

import (
	"sluice.io/sluice/internal/infer"
)

// Begin empties the Call for a request that its front has as a message with fields: the
// protocol's gRPC form. The front then adds what the message holds, with the checks and
// the texts that Decode has. Strings and shapes stay the message's.
func (c *Call) Begin(id string, lim *Limits) error {
	c.begin()
	c.lim = *lim
	if len(id) > c.lim.MaxIDBytes {
		return invalid("longer than %d bytes", c.lim.MaxIDBytes).in("id").err()
	}
	c.ID = id
	return nil
}

// AddInput adds an input without its data, which SetData gives.
func (c *Call) AddInput(name, datatype string, shape []int64) error {
	i := len(c.Inputs)
	if i >= c.lim.MaxInputs {
		return invalid("more than %d inputs", c.lim.MaxInputs).in("inputs").err()
	}
	var p *problem
	if c.Inputs, p = push(c, c.Inputs, infer.Tensor{Name: name, Shape: shape}); p != nil {
		return p.err()
	}
	t := &c.Inputs[i]
	if p = c.checkName(len(name)).in("name"); p == nil {
		if t.DType, p = parseDType(datatype); p != nil {
			p = p.in("datatype")
		} else {
			p = c.checkShape(t.Shape).in("shape")
		}
	}
	return p.at(i).in("inputs").err()
}

// SetData makes data, in the binary form, that of input i. The input aliases it.
func (c *Call) SetData(i int, data []byte) error {
	t := &c.Inputs[i]
	t.Data = data
	return c.checkBlob(t).at(i).in("inputs").err()
}

// Room returns n bytes for the data of an input, which are the request's until Drop or
// Reset.
func (c *Call) Room(n int) ([]byte, error) {
	if int64(n) > c.lim.MaxTensorBytes {
		return nil, c.tooLarge(int64(n)).err()
	}
	buf, p := c.room(n)
	return buf, p.err()
}

// AddOutput asks for an output: for its values, or for so many classes if that is not 0.
func (c *Call) AddOutput(name string, classes int) error {
	i := len(c.Outputs)
	if i >= c.lim.MaxOutputs {
		return invalid("more than %d outputs", c.lim.MaxOutputs).in("outputs").err()
	}
	var p *problem
	if c.Outputs, p = push(c, c.Outputs, infer.OutputRef{Name: name, Classes: classes}); p == nil {
		p = c.checkName(len(name)).in("name").at(i).in("outputs")
	}
	return p.err()
}

// CheckParameter checks the name of a parameter, the n-th of its object, counted from 1.
// Errors are Invalid, and Unsupported for what belongs to an extension that is not there.
func (c *Call) CheckParameter(n int, name string) error {
	return c.checkParameter(n, []byte(name)).in("parameters").err()
}
