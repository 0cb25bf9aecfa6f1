package app_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// TestSoakGRPC is TestSoak over gRPC: callers that cancel, with deadlines that pass, broken messages,
// streams that are left, half closed or answered to the end, and connections that are cut. What is
// answered must be right, and afterwards all is as before.
func TestSoakGRPC(t *testing.T) {
	g := start(t, demo(t))
	soakGRPC(t, g, time.Second)
	goroutines, memory, heap := settled(t), runtimeMemory(t, g), heapInUse()
	good, left := soakGRPC(t, g, *soakTime)
	t.Logf("%d answers were right, %d calls were left or refused", good, left)
	if good == 0 || left == 0 {
		t.Fatalf("nothing was tested: %d good, %d left", good, left)
	}
	noMore(t, goroutines)
	if after := runtimeMemory(t, g); after > memory+256<<10 {
		t.Errorf("memory of the runtime: %d bytes before, %d after", memory, after)
	}
	if after := heapInUse(); after > heap+32<<20 {
		t.Errorf("heap: %d bytes before, %d after", heap, after)
	}
	if text := g.must(t, http.MethodGet, g.admin+"/metrics", ""); !strings.Contains(text, "sluice_requests_in_flight 0\n") {
		t.Error("requests are still in progress")
	}
}

func heapInUse() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc) //nolint:gosec // far below
}

// soaker is a caller with a connection.
type soaker struct {
	t    *testing.T
	rng  *rand.Rand
	conn *grpc.ClientConn
	pb.GRPCInferenceServiceClient

	good, left *atomic.Int64
}

func soakGRPC(t *testing.T, g *gateway, d time.Duration) (good, left int64) {
	t.Helper()
	stop := time.Now().Add(d)
	var goods, lefts atomic.Int64
	var wg sync.WaitGroup
	for i, act := range []func(*soaker, context.Context){
		(*soaker).single, (*soaker).single, (*soaker).cancelled, (*soaker).cancelled, (*soaker).cancelled, (*soaker).broken,
		(*soaker).stream, (*soaker).stream, (*soaker).abandoned, (*soaker).cut,
	} {
		wg.Go(func() {
			s := &soaker{t: t, rng: rand.New(rand.NewPCG(3, uint64(i))), good: &goods, left: &lefts}
			s.dial(g)
			defer func() { _ = s.conn.Close() }()
			for time.Now().Before(stop) && !t.Failed() {
				act(s, t.Context())
				if s.conn.GetState().String() == "SHUTDOWN" {
					s.dial(g)
				}
			}
		})
	}
	wg.Wait()
	return goods.Load(), lefts.Load()
}

func (s *soaker) dial(g *gateway) {
	conn, err := grpc.NewClient(g.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		s.t.Error(err)
		return
	}
	s.conn, s.GRPCInferenceServiceClient = conn, pb.NewGRPCInferenceServiceClient(conn)
}

// ask is a request for the model "double", and what it must be answered.
func (s *soaker) ask(id string) (m *pb.ModelInferRequest, want []byte) {
	rows := 1 + s.rng.IntN(4)
	if s.rng.IntN(4) == 0 { // its buffer is grpc-go's pool's; it may come in several frames
		rows += s.rng.IntN(4000)
	}
	var data []byte
	for range 3 * rows {
		v := float32(s.rng.NormFloat64())
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		want = binary.LittleEndian.AppendUint32(want, math.Float32bits(2*v))
	}
	return &pb.ModelInferRequest{
		ModelName: "double", Id: id, RawInputContents: [][]byte{data},
		Inputs: []*pb.ModelInferRequest_InferInputTensor{{Name: "x", Datatype: "FP32", Shape: []int64{int64(rows), 3}}},
	}, want
}

// check checks an answer. One of few codes may be in its place.
func (s *soaker) check(m *pb.ModelInferResponse, err error, want []byte, or ...codes.Code) {
	if err == nil {
		if raw := m.GetRawOutputContents(); len(raw) != 1 || string(raw[0]) != string(want) {
			s.t.Errorf("got %v, want %x", m, want)
		}
		s.good.Add(1)
		return
	}
	s.left.Add(1)
	for _, code := range or {
		if status.Code(err) == code {
			return
		}
	}
	s.t.Errorf("got %v, want an answer or one of %v", err, or)
}

func (s *soaker) single(ctx context.Context) {
	m, want := s.ask("")
	var options []grpc.CallOption
	if s.rng.IntN(4) == 0 {
		options = append(options, grpc.UseCompressor(gzip.Name))
	}
	answer, err := s.ModelInfer(ctx, m, options...)
	s.check(answer, err, want)
}

// cancelled calls are cancelled, or their deadline passes, at any time.
func (s *soaker) cancelled(ctx context.Context) {
	m, want := s.ask("")
	within := time.Duration(s.rng.Int64N(int64(2 * time.Millisecond)))
	if s.rng.IntN(2) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, within)
		defer cancel()
	} else {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer time.AfterFunc(within, cancel).Stop()
		defer cancel()
	}
	answer, err := s.ModelInfer(ctx, m)
	s.check(answer, err, want, codes.Canceled, codes.DeadlineExceeded)
}

// broken messages have bytes that are wrong.
func (s *soaker) broken(ctx context.Context) {
	m, _ := s.ask("id")
	data, err := proto.Marshal(m)
	if err != nil {
		s.t.Error(err)
		return
	}
	for range 1 + s.rng.IntN(3) {
		data[s.rng.IntN(len(data))] = byte(s.rng.UintN(256))
	}
	if s.rng.IntN(4) == 0 {
		data = data[:s.rng.IntN(len(data))]
	}
	err = s.conn.Invoke(ctx, pb.GRPCInferenceService_ModelInfer_FullMethodName, &data, new([]byte), grpc.ForceCodec(asIs{}))
	switch s.left.Add(1); status.Code(err) {
	case codes.OK, codes.InvalidArgument, codes.NotFound, codes.Unimplemented, codes.DeadlineExceeded: // a timeout of a microsecond
	default:
		s.t.Errorf("%q: %v", data, err)
	}
}

// asIs is a codec that sends bytes.
type asIs struct{}

func (asIs) Name() string                    { return "proto" }
func (asIs) Marshal(v any) ([]byte, error)   { return *v.(*[]byte), nil }
func (asIs) Unmarshal(b []byte, v any) error { *v.(*[]byte) = append([]byte(nil), b...); return nil }

// sendSome sends requests on a stream, some for a model that does not exist, and returns what they must be
// answered by id.
func (s *soaker) sendSome(st pb.GRPCInferenceService_ModelStreamInferClient) (wants map[string][]byte, err error) {
	wants = map[string][]byte{}
	for i := range 1 + s.rng.IntN(30) {
		id := strconv.Itoa(i)
		m, want := s.ask(id)
		if s.rng.IntN(8) == 0 {
			m.ModelName, want = "nope", nil
		}
		wants[id] = want
		if err := st.Send(m); err != nil {
			return nil, err
		}
	}
	return wants, nil
}

// stream is answered to its end.
func (s *soaker) stream(ctx context.Context) {
	if err := s.streamed(ctx); err != nil {
		s.t.Error(err)
	}
}

func (s *soaker) streamed(ctx context.Context) error {
	st, err := s.ModelStreamInfer(ctx)
	if err != nil {
		return err
	}
	wants, err := s.sendSome(st)
	if err != nil {
		return err
	}
	if err := st.CloseSend(); err != nil {
		return err
	}
	for len(wants) > 0 {
		m, err := st.Recv()
		if err != nil {
			return err
		}
		id := m.GetInferResponse().GetId()
		want, ok := wants[id]
		delete(wants, id)
		switch {
		case !ok || (want == nil) != (m.GetErrorMessage() != ""):
			return fmt.Errorf("answer %q: %v", id, m)
		case want != nil:
			s.check(m.GetInferResponse(), nil, want)
		}
	}
	if _, err := st.Recv(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("got %w, want the end of the stream", err)
	}
	return nil
}

// abandoned streams are left with requests in progress.
func (s *soaker) abandoned(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := s.ModelStreamInfer(ctx)
	if err != nil {
		s.t.Error(err)
		return
	}
	wants, err := s.sendSome(st)
	if err != nil {
		s.t.Error(err)
		return
	}
	for range s.rng.IntN(len(wants)) {
		if _, err := st.Recv(); err != nil {
			s.t.Error(err)
		}
	}
	s.left.Add(1)
}

// cut closes the connection under a call.
func (s *soaker) cut(ctx context.Context) {
	m, want := s.ask("")
	conn := s.conn
	defer time.AfterFunc(time.Duration(s.rng.Int64N(int64(3*time.Millisecond))), func() { _ = conn.Close() }).Stop()
	for conn.GetState().String() != "SHUTDOWN" {
		answer, err := s.ModelInfer(ctx, m)
		s.check(answer, err, want, codes.Canceled, codes.Unavailable)
	}
}
