package grpcapi_test

import (
	"cmp"
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/limits"
	"sluice.io/sluice/internal/wire/grpcapi"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// stalling dials connections that are read no further once a large answer comes, and written
// to no further in a large request, until done.
func stalling(done <-chan struct{}) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		return &stalled{Conn: c, done: done}, err
	}
}

type stalled struct {
	net.Conn

	done          <-chan struct{}
	sends         int64 // so many bytes, the others never arrive; 0: 32 KiB
	read, written atomic.Int64
}

const enough = 8 << 10 // the handshake of HTTP/2 takes less

func (c *stalled) Write(p []byte) (int, error) {
	if c.written.Load() > cmp.Or(c.sends, 4*enough) && c.done == nil {
		return len(p), nil // it never arrives
	}
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

func (c *stalled) Read(p []byte) (int, error) {
	if c.read.Load() > enough && c.done != nil {
		<-c.done
	}
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// A client that does not send the message that it began loses its call.
func TestMessageThatNeverArrives(t *testing.T) {
	r := start(t, &stub{}, func(o *options) { o.Limits.ReadTimeout = 300 * time.Millisecond })
	_, err := r.dial(t, grpc.WithContextDialer(stalling(nil))).ModelInfer(t.Context(), raw("", make([]float32, 1<<17)...))
	wantCode(t, err, codes.DeadlineExceeded)
}

// raws is a codec that sends bytes as they are.
type raws struct{}

func (raws) Name() string                    { return "proto" }
func (raws) Marshal(v any) ([]byte, error)   { return *v.(*[]byte), nil }
func (raws) Unmarshal(b []byte, v any) error { *v.(*[]byte) = append([]byte(nil), b...); return nil }

func TestGarbage(t *testing.T) {
	r := start(t, &stub{}, nil)
	conn := r.connect(t)
	f := func(message []byte, want codes.Code) {
		t.Helper()
		var answer []byte
		err := conn.Invoke(t.Context(), pb.GRPCInferenceService_ModelInfer_FullMethodName, &message, &answer, grpc.ForceCodec(raws{}))
		wantCode(t, err, want)
	}
	f(nil, codes.NotFound)
	f([]byte("garbage"), codes.InvalidArgument)
	f([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, codes.InvalidArgument)
	f(many(5, 2000), codes.InvalidArgument) // inputs
	f(many(6, 2000), codes.InvalidArgument)
	f(many(7, 2000), codes.InvalidArgument)
	f(many(4, 2000), codes.InvalidArgument)
	f(append(many(99, 2000), 0x0a, 4, 'n', 'o', 'p', 'e'), codes.NotFound) // unknown fields mean nothing
	f([]byte{0x0a, 1, 0xff}, codes.InvalidArgument)                        // a name that is not UTF-8
	if err := conn.Invoke(t.Context(), "/inference.GRPCInferenceService/Nope", &pb.ServerLiveRequest{}, &pb.ServerLiveResponse{}); err == nil {
		t.Error("an unknown method was answered")
	}
}

// many is a message of n empty fields.
func many(field protowire.Number, n int) (b []byte) {
	for range n {
		b = protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), nil)
	}
	return b
}

// Bytes on the port that are not HTTP/2 end their connection, and nothing else.
func TestNotHTTP2(t *testing.T) {
	r := start(t, &stub{}, nil)
	conn, err := net.Dial("tcp", r.at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the server has closed it
	if _, err := conn.Write([]byte("GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	for buf := make([]byte, 1024); err == nil; {
		_, err = conn.Read(buf)
	}
	if _, err := r.dial(t).ServerLive(t.Context(), &pb.ServerLiveRequest{}); err != nil {
		t.Error(err)
	}
}

func TestLimits(t *testing.T) {
	f := func(change func(*grpcapi.Limits), m *pb.ModelInferRequest, want codes.Code) {
		t.Helper()
		r := start(t, &stub{}, func(o *options) { change(&o.Limits) })
		_, err := r.dial(t).ModelInfer(metadata.AppendToOutgoingContext(t.Context(), "x-long", strings.Repeat("9", 2000)), m)
		wantCode(t, err, want)
	}
	large := raw("", make([]float32, 1<<12)...) // 16 KiB
	f(func(*grpcapi.Limits) {}, large, codes.OK)
	f(func(l *grpcapi.Limits) { l.MaxMessageBytes = 8 << 10 }, large, codes.ResourceExhausted)
	f(func(l *grpcapi.Limits) { l.MaxResponseBytes = 8 << 10 }, large, codes.InvalidArgument)
	f(func(l *grpcapi.Limits) { l.Tensors.MaxTensorBytes = 8 << 10 }, large, codes.InvalidArgument)
	f(func(l *grpcapi.Limits) { l.MaxHeaderBytes = 1 << 10 }, large, codes.Internal) // the client itself refuses to send so much
}

func TestTooManyConnections(t *testing.T) {
	r := start(t, &stub{}, func(o *options) { o.Limits.MaxConnections = 1 })
	live := func(c pb.GRPCInferenceServiceClient) error {
		_, err := c.ServerLive(t.Context(), &pb.ServerLiveRequest{})
		return err
	}
	if err := live(r.dial(t)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, live(r.dial(t)), codes.Unavailable)
}

func TestMemoryIsBounded(t *testing.T) {
	r := start(t, &stub{}, func(o *options) { o.front.Bounds.MaxMemory = 1 << 20; o.Limits.MaxMessageBytes = 64 << 20 })
	c := r.dial(t)
	_, err := c.ModelInfer(t.Context(), raw("", make([]float32, 1<<20)...))
	wantCode(t, err, codes.Unavailable) // it could never have room: the connection ends before it has come
	// A message of a few hundred bytes that would become many MB.
	m := contents("BYTES", 1<<17, &pb.InferTensorContents{BytesContents: make([][]byte, 1<<17)})
	_, err = c.ModelInfer(t.Context(), m, grpc.UseCompressor(gzip.Name))
	wantCode(t, err, codes.InvalidArgument)
	// One that does so before it is decoded.
	_, err = c.ModelInfer(t.Context(), raw("", make([]float32, 1<<19)...), grpc.UseCompressor(gzip.Name))
	wantCode(t, err, codes.Unavailable)
	if _, err := c.ModelInfer(t.Context(), raw("", 1, 2, 3, 4), grpc.UseCompressor(gzip.Name)); err != nil {
		t.Error(err)
	}
}

// Messages that never become whole take no more memory than there is, and end their own
// connections: a caller of small messages is served meanwhile.
func TestArrivalsAreBounded(t *testing.T) {
	const limit = 8 << 20
	r := start(t, &stub{}, func(o *options) {
		o.front.Bounds.MaxMemory = limit
		o.Limits.MaxMessageBytes = 64 << 20
		o.Limits.ReadTimeout = 3 * time.Second
	})
	polite := r.dial(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	var cut atomic.Int64 // connections
	for range 8 {
		c := r.dial(t, grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			return &stalled{Conn: c, sends: 3 << 20}, err
		}))
		wg.Go(func() {
			_, err := c.ModelInfer(ctx, raw("", make([]float32, 1<<20)...))
			if err == nil {
				t.Error("a message that did not arrive was answered")
			}
			if status.Code(err) == codes.Unavailable {
				cut.Add(1)
			}
		})
	}
	most := int64(0)
	for most < limit/2 || cut.Load() == 0 {
		if _, err := polite.ModelInfer(t.Context(), raw("", 1, 2, 3, 4)); err != nil && status.Code(err) != codes.ResourceExhausted {
			t.Error(err)
		}
		most = max(most, r.front.Memory())
	}
	cancel()
	wg.Wait()
	if most > limit {
		t.Errorf("%d bytes were reserved, the limit is %d", most, limit)
	}
	for range 500 { // what the connections held comes back
		if r.front.Memory() == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if held := r.front.Memory(); held != 0 {
		t.Errorf("%d bytes stay reserved", held)
	}
	if _, err := polite.ModelInfer(t.Context(), raw("", 1, 2, 3, 4)); err != nil {
		t.Error(err)
	}
}

// Whatever the bytes are, what decoding allocates was reserved before.
func FuzzMessage(f *testing.F) {
	for _, m := range []*pb.ModelInferRequest{
		raw("id", 1, 2, 3, 4),
		contents("INT8", 1, &pb.InferTensorContents{IntContents: []int32{1}}),
		contents("BYTES", 2, &pb.InferTensorContents{BytesContents: [][]byte{nil, {'a'}}}),
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(many(5, 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		tensors := limits.Tensors()
		if _, err := grpcapi.DecodedSize(data, &tensors); err != nil && infer.CodeOf(err) != infer.Invalid {
			t.Fatal(err)
		}
	})
}

// What a message takes is known before it is decoded, and is not far more than it does: ten
// million strings fit into the memory of all requests as it is by default.
func TestDecodedSize(t *testing.T) {
	f := func(m *pb.ModelInferRequest, least, most int) {
		t.Helper()
		data, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		tensors := limits.Tensors()
		if got, err := grpcapi.DecodedSize(data, &tensors); err != nil || got < least || got > most {
			t.Errorf("%d bytes: got %d, %v, want %d to %d", len(data), got, err, least, most)
		}
	}
	f(raw("", make([]float32, 1<<20)...), 0, 4<<10) // it aliases the message
	f(contents("FP32", 1<<20, &pb.InferTensorContents{Fp32Contents: make([]float32, 1<<20)}), 4<<20, 9<<20)
	f(contents("BOOL", 1<<20, &pb.InferTensorContents{BoolContents: make([]bool, 1<<20)}), 1<<20, 17<<20)
	f(contents("INT64", 1<<20, &pb.InferTensorContents{Int64Contents: make([]int64, 1<<20)}), 8<<20, 17<<20)
	f(contents("BYTES", 1<<20, &pb.InferTensorContents{BytesContents: make([][]byte, 1<<20)}), 24<<20, 65<<20)
}

// A message that is not read is the caller's mistake, not a failure of the server.
func TestTooLargeIsNoFailure(t *testing.T) {
	r := start(t, &stub{}, func(o *options) { o.Limits.MaxMessageBytes = 1 << 10 })
	_, err := r.dial(t).ModelInfer(t.Context(), raw("", make([]float32, 1<<12)...))
	wantCode(t, err, codes.ResourceExhausted)
	// grpc-go answers while it reads, and the call is counted after that.
	for n := 0; r.front.Unrouted()["too_large"] == 0 && n < 1000; n++ {
		time.Sleep(10 * time.Millisecond)
	}
	if got := r.front.Unrouted(); got["too_large"] != 1 || got["internal"] != 0 {
		t.Errorf("counted %v", got)
	}
}
