package grpcapi

import (
	"context"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

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
	err = x.infer(ctx, func(m *pb.ModelInferResponse) proto.Message { return m })
	x.end(err, true)
	x.memory.End()
	return x.answer, err
}
