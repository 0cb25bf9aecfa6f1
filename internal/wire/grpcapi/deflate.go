package grpcapi

import (
	"io"

	"github.com/klauspost/compress/zlib"

	"sluice.io/sluice/internal/infer"
)

// deflate unpacks messages that a client has compressed with deflate, which gRPC for C++ and
// Python has and grpc-go has not. Answers to these clients are plain. It is a grpc.Decompressor,
// since a compressor of grpc-go's registry would be a global of the whole program.
type deflate struct{ limit int }

// Type implements grpc.Decompressor.
func (deflate) Type() string { return "deflate" }

// Do implements grpc.Decompressor. It returns at most one byte more than the limit, at which
// grpc-go refuses the message.
func (d deflate) Do(r io.Reader) ([]byte, error) {
	z, err := zlib.NewReader(r)
	if err != nil {
		return nil, infer.Errorf(infer.Invalid, "the message is not valid deflate")
	}
	defer z.Close() //nolint:errcheck // it only reads
	return io.ReadAll(io.LimitReader(z, int64(d.limit)+1))
}
