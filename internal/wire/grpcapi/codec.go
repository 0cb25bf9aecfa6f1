package grpcapi

import (
	"net"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/oip"
)

// codec is grpc-go's for Protocol Buffers. An exchange is read and written with its memory
// counted.
type codec struct{}

// Name implements encoding.CodecV2.
func (codec) Name() string { return proto.Name }

// Unmarshal implements encoding.CodecV2. A refusal is the exchange's to answer: grpc-go
// would call it an internal error.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch m := v.(type) {
	case *exchange:
		m.message = data.MaterializeToBuffer(mem.DefaultBufferPool())
		m.refused = m.read(m.message.ReadOnlyData())
	case labelMessage:
		m.x.message = data.MaterializeToBuffer(mem.DefaultBufferPool())
		m.x.refused = m.x.readLabels(m.x.message.ReadOnlyData())
	default:
		return encoding.GetCodecV2(proto.Name).Unmarshal(data, v)
	}
	return nil
}

// Marshal implements encoding.CodecV2. The answer is the connection's until it was written.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	x, ok := v.(*exchange)
	if !ok {
		return encoding.GetCodecV2(proto.Name).Marshal(v)
	}
	if !x.conn.hold(x) {
		x.memory.End()
		return nil, net.ErrClosed
	}
	return mem.BufferSlice{mem.NewBuffer(&x.answer, x)}, nil
}

// Get implements mem.BufferPool, of which an exchange needs Put only.
func (x *exchange) Get(n int) *[]byte { return mem.DefaultBufferPool().Get(n) }

// Put implements mem.BufferPool: the answer was written.
func (x *exchange) Put(*[]byte) {
	x.conn.written(x)
	x.memory.End()
	if cap(x.answer) == minAnswer {
		smallAnswers.Put((*[minAnswer]byte)(x.answer[:minAnswer]))
	}
	x.answer = nil
}

// read decodes a request. It aliases data until forget.
func (x *exchange) read(data []byte) error {
	x.received = len(data)
	size, err := decodedSize(data, &x.srv.opts.Limits.Tensors)
	if err != nil {
		return err
	}
	if err := x.memory.Reserve(len(data) + size); err != nil {
		return err
	}
	x.decoded = len(data) + size
	return x.request.decode(data)
}

// forget gives back the request's data, which nobody reads any more.
func (x *exchange) forget() {
	if x.message == nil {
		return
	}
	x.message.Free()
	x.message, x.request.inputs, x.request.raw = nil, nil, nil
	x.memory.Release(x.decoded)
	x.decoded = 0
}

// The fields of contents whose elements have a size of their own.
const (
	fieldFP32  = 6
	fieldFP64  = 7
	fieldBytes = 8
)

// Upper bounds of the bytes that decoding takes. Lists double as they grow.
const (
	grown   = 32  // for a byte of names, shapes and parameters
	entry   = 256 // for an input, output, parameter or raw contents beside that
	number  = 16  // for a byte of contents that may be a whole element
	element = 64  // for an element of bytes_contents beside its bytes
)

func errMalformed() error {
	return infer.Errorf(infer.Invalid, "the message is not a valid ModelInferRequest")
}

// decodedSize returns an upper bound of the bytes that a message takes once it is decoded, without
// decoding it, and refuses one with more entries than the limits.
func decodedSize(data []byte, lim *oip.Limits) (size int, err error) {
	left := [...]int{fieldParameters: lim.MaxParameters, fieldInputs: lim.MaxInputs, fieldOutputs: lim.MaxOutputs, fieldRaw: lim.MaxInputs}
	err = eachField(data, func(field protowire.Number, value []byte) error {
		if fieldParameters <= field && int(field) < len(left) {
			if left[field]--; left[field] < 0 {
				return infer.Errorf(infer.Invalid, "the message has more inputs, outputs or parameters than the limit")
			}
		}
		size += entry
		switch field {
		case fieldRaw: // an alias
		case fieldInputs:
			return eachField(value, func(field protowire.Number, value []byte) error {
				if field != fieldContents {
					size += entry + grown*len(value)
					return nil
				}
				return eachField(value, func(field protowire.Number, value []byte) error {
					switch field {
					case fieldBytes:
						size += element + len(value)
					case fieldFP32, fieldFP64:
						size += number + 2*len(value)
					default:
						size += number + number*len(value)
					}
					return nil
				})
			})
		default:
			size += grown * len(value)
		}
		return nil
	})
	return size, err
}

// eachField calls f with the fields of a message; those of other kinds than bytes without
// their value.
func eachField(data []byte, f func(field protowire.Number, value []byte) error) error {
	for len(data) > 0 {
		field, kind, value, rest, err := nextField(data)
		if err != nil {
			return err
		}
		if data = rest; kind != protowire.BytesType {
			value = nil
		}
		if err := f(field, value); err != nil {
			return err
		}
	}
	return nil
}

// nextField returns the first field of a message and what comes after it. The value of bytes is without
// their length.
func nextField(data []byte) (field protowire.Number, kind protowire.Type, value, rest []byte, err error) {
	field, kind, tag := protowire.ConsumeTag(data)
	if tag < 0 || field > protowire.MaxValidNumber {
		return 0, 0, nil, nil, errMalformed()
	}
	n := protowire.ConsumeFieldValue(field, kind, data[tag:])
	if n < 0 {
		return 0, 0, nil, nil, errMalformed()
	}
	value, rest = data[tag:tag+n], data[tag+n:]
	if kind == protowire.BytesType {
		value, _ = protowire.ConsumeBytes(value)
	}
	return field, kind, value, rest, nil
}
