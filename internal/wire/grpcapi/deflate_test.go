package grpcapi_test

import (
	"io"
	"testing"

	"github.com/klauspost/compress/zlib"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// deflate packs messages as gRPC for C++ and Python does.
type deflate struct{}

func (deflate) Type() string { return "deflate" }

func (deflate) Do(w io.Writer, p []byte) error {
	z := zlib.NewWriter(w)
	if _, err := z.Write(p); err != nil {
		return err
	}
	return z.Close()
}

// broken says that it packs, and does not.
type broken struct{ deflate }

func (broken) Do(w io.Writer, p []byte) error {
	_, err := w.Write(p)
	return err
}

func packing(c grpc.Compressor) grpc.DialOption { //nolint:staticcheck // the other way is a global
	return grpc.WithCompressor(c) //nolint:staticcheck // as above
}

func TestDeflate(t *testing.T) {
	r := start(t, &stub{}, func(o *options) { o.Limits.MaxMessageBytes = 1 << 20 })
	c := r.dial(t, packing(deflate{}))
	if _, err := c.ModelInfer(t.Context(), raw("", 1, 2, 3, 4)); err != nil {
		t.Error(err)
	}
	stream, err := c.ModelStreamInfer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(raw("", 1, 2, 3, 4)); err != nil {
		t.Fatal(err)
	}
	if answer, err := stream.Recv(); err != nil || answer.GetErrorMessage() != "" {
		t.Errorf("got %v, %v", answer, err)
	}

	// A short message that becomes longer than a message may be.
	_, err = c.ModelInfer(t.Context(), contents("BYTES", 1, &pb.InferTensorContents{BytesContents: [][]byte{make([]byte, 16<<20)}}))
	wantCode(t, err, codes.ResourceExhausted)
	_, err = r.dial(t, packing(broken{})).ModelInfer(t.Context(), raw("", 1, 2, 3, 4))
	wantCode(t, err, codes.Internal)
	if _, err := c.ModelInfer(t.Context(), raw("", 1, 2, 3, 4)); err != nil {
		t.Error(err)
	}
}
