package grpcapi

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc/mem"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// DecodedSize is decodedSize, for tests.
var DecodedSize = decodedSize

// InferBytes answers the bytes of a ModelInferRequest without a connection.
func (s *Server) InferBytes(ctx context.Context, data []byte) (answer []byte, err error) {
	x := s.newExchange(ctx, pb.GRPCInferenceService_ModelInfer_FullMethodName)
	if err := (codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, x); err != nil {
		return nil, err
	}
	err = x.infer(ctx)
	x.end(err, true)
	x.memory.End()
	return x.answer, err
}

// Book is the book of a connection without a network.
type Book struct{ c *conn }

// NewBook returns a Book whose memory is f's.
func NewBook(f *front.Front) *Book {
	raw, _ := net.Pipe()
	c := newConn(raw, &listener{front: f, limits: &Limits{MaxMessageBytes: 1 << 10}})
	c.frames.preface = 0
	return &Book{c}
}

// Follow reads bytes from a caller as grpc-go does: a call begins once its HEADERS have come. It
// is false once the connection must end.
func (b *Book) Follow(p []byte) bool {
	if !b.c.follow(p) {
		return false
	}
	f := &b.c.frames
	if f.left == 0 && f.got == 0 && f.head[3] == frameHeaders && b.c.calls[f.opened] == nil {
		k := &call{conn: b.c, Context: context.Background()}
		return b.c.begin(k, callBytes)
	}
	return true
}

// Write writes to the caller, who never reads, until Close.
func (b *Book) Write(p []byte) {
	b.c.listener.next.Store(time.Now().UnixNano())
	_, _ = b.c.Write(p)
}

// Close ends the connection.
func (b *Book) Close() { _ = b.c.Close() }

// Messages returns how many whole messages the calls have sent that are in progress.
func (b *Book) Messages() (n int) {
	for _, k := range b.c.calls {
		n += k.messages
	}
	return n
}

// End reads all that has come and ends the calls, and returns what the connection still holds.
func (b *Book) End() (held int) {
	for _, k := range b.c.calls {
		for len(k.whole) > 0 {
			k.wasRead()
		}
		k.end()
	}
	b.c.turnWaste(time.Now())
	b.c.turnWaste(time.Now())
	return b.c.held + b.c.lent + b.c.memory.Held()
}

// Reply returns the answer to an inference, and the size that was foretold.
func Reply(model, id string, served *infer.Served, outputs []infer.Tensor, stream bool) (answer []byte, size int) {
	r := newReply(model, id, served, outputs, stream)
	return r.append(nil), r.size()
}

// DecodeRequest decodes a message, and returns it as protobuf would.
func DecodeRequest(data []byte) (*pb.ModelInferRequest, error) {
	var r request
	if err := r.decode(data); err != nil {
		return nil, err
	}
	m := &pb.ModelInferRequest{ModelName: r.model, ModelVersion: r.version, Id: r.id, Parameters: r.parameters, RawInputContents: r.raw}
	for _, in := range r.inputs {
		m.Inputs = append(m.Inputs, &pb.ModelInferRequest_InferInputTensor{Name: in.name, Datatype: in.datatype, Shape: in.shape, Parameters: in.parameters, Contents: in.contents})
	}
	for _, out := range r.outputs {
		m.Outputs = append(m.Outputs, &pb.ModelInferRequest_InferRequestedOutputTensor{Name: out.name, Parameters: out.parameters})
	}
	return m, nil
}

// Decode decodes a message.
func Decode(data []byte) error { return new(request).decode(data) }
