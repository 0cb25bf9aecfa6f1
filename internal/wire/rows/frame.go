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

// Options say what a frame is decoded for. Model is required.
type Options struct {
	Model *infer.Model
	// Columns says what the columns are called; nil: as the inputs.
	Columns *infer.Columns
	Limits  Limits
	// Memory is what decoding reserves from before it allocates; nil if that is not counted.
	Memory infer.Memory

	v1 bool // by DecodeV1
}

// Frame is a decoded body. Its inputs do not alias the body.
type Frame struct {
	Inputs []infer.Tensor
	Rows   int
	// Columnar says that DecodeV1 read the column format, so that the answer is AppendOutputs'.
	Columnar bool

	memory   infer.Memory
	reserved int
}

// Release lets go of the inputs and gives back what was reserved for them. A second call
// does nothing.
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

// builder makes a Frame. The readers of JSON and of CSV tell it the columns and the number
// of rows, then the values.
type builder struct {
	*Frame
	model   *infer.Model
	columns *infer.Columns
	limits  Limits
	body    []byte

	// unit is the least text that a value takes in the body, with what follows it, and
	// plain appends a string that was escaped.
	unit  int
	plain func(dst, s []byte) []byte

	places []place
	byName map[string]int // of places
	inputs []*input       // that the frame has, in the model's order
	room   int            // rows for which there is room
}

// place is one column of the body.
type place struct {
	infer.Column
	name string // empty if the columns have none
	in   *input
	row  int // the last one that had it, counted from 1
}

// input is an input of the model on the way to a tensor.
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
			return nil, infer.Errorf(infer.Unsupported, "model '%s' takes no rows: its input '%s' is a single value; send tensors to the endpoint infer", o.Model.Name, spec.Name)
		}
	}
	return b, nil
}

// input returns what an input of the model becomes.
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

// setRows takes the number of rows.
func (b *builder) setRows(n int) error {
	if n > b.limits.MaxRows {
		return invalid("%d rows are more than the limit of %d", n, b.limits.MaxRows)
	}
	b.Rows = n
	return nil
}

// makeRoom reserves and allocates the room for all rows. A body that is too short for
// them has a row that is too short, and needs room only up to that one.
func (b *builder) makeRoom() error {
	if b.Rows == 0 {
		return b.makeEmpty()
	}
	perRow := 0
	for _, in := range b.inputs {
		perRow += in.elements
	}
	values := len(b.body)/b.unit + 1 // that the body can hold
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

// makeEmpty gives the inputs that are required no rows.
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

// join makes the data of a tensor of strings.
func (b *builder) join(in *input) error {
	const prefix = 4 // the length before each
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

// placed says in an error which value it is about.
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

// quoted lists names in a message.
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

// shortened cuts a name of the caller's.
func shortened(name string) string {
	const longest = 64
	if len(name) <= longest {
		return name
	}
	return strings.ToValidUTF8(name[:longest], "") + "…"
}
