package grpcapi

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	protobuf "google.golang.org/protobuf/proto"

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
	x, ok := v.(*exchange)
	if !ok {
		return encoding.GetCodecV2(proto.Name).Unmarshal(data, v)
	}
	whole := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer whole.Free()
	x.refused = x.read(whole.ReadOnlyData())
	return nil
}

// Marshal implements encoding.CodecV2.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	x, ok := v.(*exchange)
	if !ok {
		return encoding.GetCodecV2(proto.Name).Marshal(v)
	}
	if mem.IsBelowBufferPoolingThreshold(cap(x.answer)) || !x.conn.hold(x, x.srv.opts.Limits.WriteTimeout) {
		x.memory.End() // too little to be told of, or nobody will read it
		return mem.BufferSlice{mem.SliceBuffer(x.answer)}, nil
	}
	return mem.BufferSlice{mem.NewBuffer(&x.answer, x)}, nil
}

// Get implements mem.BufferPool, of which an exchange needs Put only.
func (x *exchange) Get(n int) *[]byte { return mem.DefaultBufferPool().Get(n) }

// Put implements mem.BufferPool: the answer was written.
func (x *exchange) Put(*[]byte) {
	x.conn.release(x)
	x.memory.End()
}

// read decodes a request from bytes that are the caller's.
func (x *exchange) read(data []byte) error {
	x.received = len(data)
	size, err := decodedSize(data, &x.srv.opts.Limits.Tensors)
	if err != nil {
		return err
	}
	if err := x.memory.Reserve(len(data) + size); err != nil {
		return err
	}
	x.decoded = size
	err = protobuf.Unmarshal(data, &x.request)
	x.memory.Release(len(data))
	if err != nil {
		return infer.Errorf(infer.Invalid, "the message is not a valid ModelInferRequest")
	}
	return nil
}

// The fields of ModelInferRequest that are repeated.
const (
	fieldParameters = 4
	fieldInputs     = 5
	fieldOutputs    = 6
	fieldRaw        = 7
)

const (
	// grown is how many bytes a byte of a message becomes at the most beside raw contents:
	// an empty element of bytes_contents takes two, and a slice in a list that has doubled.
	grown = 32
	// entry is what an input, output or parameter takes beside that.
	entry = 256
)

// decodedSize returns how many bytes a message takes at the most once it is decoded, without
// decoding it, and refuses one with more entries than the limits.
func decodedSize(data []byte, lim *oip.Limits) (size int, err error) {
	most := [...]struct {
		n    int
		what string
	}{fieldParameters: {lim.MaxParameters, "parameters"}, fieldInputs: {lim.MaxInputs, "inputs"}, fieldOutputs: {lim.MaxOutputs, "outputs"}, fieldRaw: {lim.MaxInputs, "raw_input_contents"}}
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeField(data)
		if n < 0 {
			return 0, infer.Errorf(infer.Invalid, "the message is not a valid ModelInferRequest")
		}
		_ = kind
		if number == fieldRaw {
			size += entry + n
		} else {
			size += entry + grown*n
		}
		data = data[n:]
		if int(number) < len(most) && most[number].what != "" {
			if most[number].n--; most[number].n < 0 {
				return 0, infer.Errorf(infer.Invalid, "%s: more than the limit", most[number].what)
			}
		}
	}
	return size, nil
}
