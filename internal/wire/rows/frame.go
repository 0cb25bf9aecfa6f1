package rows

import (
	"encoding/binary"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// Limits bound a frame. All are at least 1.
type Limits struct {
	MaxRows        int
	MaxColumns     int
	MaxNesting     int   // depth of arrays and objects in JSON
	MaxTensorBytes int64 // data of one input in memory
}

// Options describe the target of a frame. Model is required.
type Options struct {
	Model *infer.Model
	// Columns are the names of the columns; nil means the names of the inputs.
	Columns *infer.Columns
	Limits  Limits
	// Memory is the memory that decoding reserves before it allocates; nil means no limit.
	Memory infer.Memory

	v1 bool // set by DecodeV1
}

// Frame is a decoded body. Its inputs do not alias the body.
type Frame struct {
	Inputs []infer.Tensor
	Rows   int
	// Columnar is true if DecodeV1 read the column format; then AppendOutputs writes the answer.
	Columnar bool

	memory   infer.Memory
	reserved int
}

// Release releases the inputs and returns their reserved memory. A second call does nothing.
func (t *Frame) Release() {
	if t.memory != nil {
		t.memory.Release(t.reserved)
	}
	t.Inputs, t.reserved = nil, 0
}

func (t *Frame) reserve(n int) error {
	if t.memory == nil {
		return nil
	}
	err := t.memory.Reserve(n)
	if err == nil {
		t.reserved += n
	}
	return err
}

// builder builds a Frame. The readers of JSON and of CSV set the columns and the number of rows,
// and then store the values.
type builder struct {
	*Frame
	model   *infer.Model
	columns *infer.Columns
	limits  Limits
	body    []byte

	// unit is the min length of a value in the body with its separator, and plain appends an
	// unescaped string.
	unit  int
	plain func(dst, s []byte) []byte

	places []place
	byName map[string]int // of places
	inputs []*input       // that the frame has, in the model's order
	room   int            // rows that fit into the allocated memory
}

// place is one column of the body.
type place struct {
	infer.Column
	name string // empty if the columns have no names
	in   *input
	row  int // the last row that had it, counted from 1
}

// input collects the data of an input of the model.
type input struct {
	spec     *infer.TensorSpec
	index    int
	inner    infer.Shape // of one row
	elements int         // of one row; -1 until it is known
	data     []byte
	strings  []span // of BYTES
}

// span is a string in the body.
type span struct {
	at, length uint32
	escaped    bool
	base64     bool
}

func newBuilder(body []byte, o *Options) (*builder, error) {
	b := &builder{Frame: &Frame{memory: o.Memory}, model: o.Model, columns: o.Columns, limits: o.Limits, body: body}
	if b.columns == nil {
		var err error
		if b.columns, err = infer.NewColumns(o.Model, nil); err != nil {
			return nil, err
		}
	}
	for i := range o.Model.Inputs {
		if spec := &o.Model.Inputs[i]; !spec.Optional && len(spec.Shape) == 0 {
			return nil, infer.Errorf(infer.Unsupported, "model '%s' does not accept rows: its input '%s' is a single value; send tensors to the endpoint infer", o.Model.Name, spec.Name)
		}
	}
	return b, nil
}

// input returns the input at an index of the model, and adds it if it is new.
func (b *builder) input(index int) *input {
	for _, in := range b.inputs {
		if in.index == index {
			return in
		}
	}
	in := &input{spec: &b.model.Inputs[index], index: index, elements: -1}
	if n, free := in.spec.RowElements(); n >= 0 && !free {
		in.elements, in.inner = int(n), in.spec.Shape[1:]
	}
	b.inputs = append(b.inputs, in)
	return in
}

// setRows sets the number of rows.
func (b *builder) setRows(n int) error {
	if n > b.limits.MaxRows {
		return invalid("%d rows are more than the limit of %d", n, b.limits.MaxRows)
	}
	b.Rows = n
	return nil
}

// makeRoom reserves and allocates the memory for all rows. If the body is too short for them, one
// of its rows is too short, and only the rows up to that one need memory.
func (b *builder) makeRoom() error {
	if b.Rows == 0 {
		return b.makeEmpty()
	}
	perRow := 0
	for _, in := range b.inputs {
		perRow += in.elements
	}
	values := len(b.body)/b.unit + 1 // the max number in the body
	if perRow > values {
		return invalid("the body is too short for one row, which has %d values", perRow)
	}
	b.room = b.Rows
	if perRow > 0 {
		b.room = min(b.Rows, values/perRow+1)
	}
	for _, in := range b.inputs {
		n, size := b.room*in.elements, in.spec.DType.Size()
		if size == 0 {
			const spanBytes = 12
			if err := b.reserve(n * spanBytes); err != nil {
				return err
			}
			in.strings = make([]span, n)
			continue
		}
		if err := b.fits(in, n*size); err != nil {
			return err
		}
		in.data = make([]byte, n*size)
	}
	return nil
}

// fits reserves n bytes for the data of an input.
func (b *builder) fits(in *input, n int) error {
	if int64(n) > b.limits.MaxTensorBytes {
		return infer.Errorf(infer.TooLarge, "input '%s' takes %d bytes, more than the limit of %d", in.spec.Name, n, b.limits.MaxTensorBytes)
	}
	return b.reserve(n)
}

// makeEmpty sets the required inputs to no rows.
func (b *builder) makeEmpty() error {
	for i := range b.model.Inputs {
		if !b.model.Inputs[i].Optional {
			b.input(i)
		}
	}
	for _, in := range b.inputs {
		in.inner = in.spec.Shape.Fixed(0)[1:]
	}
	return nil
}

// store writes one value.
func (b *builder) store(in *input, row, element int, v value) error {
	if row >= b.room {
		return invalid("the body is too short for %d rows as wide as the first one", b.Rows)
	}
	at, d := row*in.elements+element, in.spec.DType
	if d != infer.Bytes {
		return put(in.data[at*d.Size():], d, v)
	}
	if v.kind != text {
		return mismatch(v, d)
	}
	in.strings[at] = span{at: uint32(v.at), length: uint32(len(v.text)), escaped: v.escaped, base64: v.base64} //nolint:gosec // a body is less than 2 GiB
	return nil
}

// finish makes the tensors.
func (b *builder) finish() (*Frame, error) {
	for _, in := range b.inputs {
		if in.spec.DType == infer.Bytes {
			if err := b.join(in); err != nil {
				return nil, err
			}
		}
		b.Inputs = append(b.Inputs, infer.Tensor{
			Name: in.spec.Name, DType: in.spec.DType, Shape: append(infer.Shape{int64(b.Rows)}, in.inner...), Data: in.data, Index: in.index,
		})
	}
	return b.Frame, nil
}

// join makes the data of a string tensor.
func (b *builder) join(in *input) error {
	const prefix = 4 // the length before each string
	n := prefix * len(in.strings)
	for _, s := range in.strings {
		n += int(s.length)
	}
	if err := b.fits(in, n); err != nil {
		return err
	}
	in.data = make([]byte, 0, n)
	for i, s := range in.strings {
		text := b.body[s.at : s.at+s.length]
		if s.base64 {
			if err := b.joinBase64(in, i, text, s.escaped); err != nil {
				return err
			}
			continue
		}
		if !s.escaped {
			in.data = infer.AppendElement(in.data, view(text))
			continue
		}
		start := len(in.data)
		in.data = b.plain(infer.AppendElement(in.data, ""), text)
		binary.LittleEndian.PutUint32(in.data[start:], uint32(len(in.data)-start-prefix)) //nolint:gosec // of a body
	}
	return nil
}

// placed adds to an error the row and column of its value.
func placed(err error, row int, p *place) error {
	message := infer.Message(err)
	switch {
	case p.name != "":
		return invalid("row %d, column '%s': %s", row, shortened(p.name), message)
	case p.Element == infer.WholeRow:
		return invalid("row %d, input '%s': %s", row, p.in.spec.Name, message)
	default:
		return invalid("row %d, value %d of input '%s': %s", row, p.Element, p.in.spec.Name, message)
	}
}

// quoted lists names for a message.
func quoted(names []string) string {
	const most = 10
	var s strings.Builder
	for i, name := range names {
		if i == most {
			s.WriteString(", …")
			break
		}
		if i > 0 {
			s.WriteString(", ")
		}
		s.WriteString("'" + shortened(name) + "'")
	}
	return s.String()
}

// shortened shortens a caller's name for a message.
func shortened(name string) string {
	const longest = 64
	if len(name) <= longest {
		return name
	}
	return strings.ToValidUTF8(name[:longest], "") + "…"
}
