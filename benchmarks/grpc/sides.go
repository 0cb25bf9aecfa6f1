package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"sluice.io/sluice/benchmarks/models"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// raw is a codec for bytes.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// caller asks one request after another until the time is up, and returns how many were answered.
type caller func(until time.Time) (int64, error)

// side is a way to ask a server.
type side struct {
	name    string
	server  *server
	callers []caller
	rates   []float64 // requests a second, by round
	cpu     []float64 // µs of the server for a request, by round
}

// echoName is that of the server that answers a constant, over gRPC only.
const echoName = "echo"

// sides returns the ways to ask a server of that name.
func (s *server) sides(ctx context.Context, o *options, m models.Model, name string) (sides []*side, err error) {
	add := func(how string, callers []caller) {
		sides = append(sides, &side{name: how + ", " + name, server: s, callers: callers})
	}
	request, err := proto.Marshal(message(m))
	if err != nil {
		return nil, err
	}
	conns, err := s.dial(o.conns)
	if err != nil {
		return nil, err
	}
	if s.key != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+s.key)
	}
	add("gRPC", singles(ctx, conns, o.flying, request))
	add("gRPC stream", streams(ctx, conns[:1], o.flying, request))
	if name != echoName {
		posts, err := posts(ctx, s, o.flying, post(m, s.key))
		if err != nil {
			return nil, err
		}
		add("HTTP", posts)
	}
	return sides, nil
}

// message is a request of one row over gRPC.
func message(m models.Model) *pb.ModelInferRequest {
	n := int64(4)
	for _, d := range m.Shape {
		n *= d
	}
	return &pb.ModelInferRequest{
		ModelName: m.Name, Inputs: []*pb.ModelInferRequest_InferInputTensor{{Name: models.Input, Datatype: "FP32", Shape: m.Shape}},
		RawInputContents: [][]byte{make([]byte, n)},
	}
}

// post is the same over HTTP, with a key unless that is empty.
func post(m models.Model, key string) string {
	n, dims := int64(4), make([]string, len(m.Shape))
	for i, d := range m.Shape {
		n *= d
		dims[i] = strconv.FormatInt(d, 10)
	}
	head := fmt.Sprintf(`{"inputs":[{"name":%q,"shape":[%s],"datatype":"FP32","parameters":{"binary_data_size":%d}}],"parameters":{"binary_data_output":true}}`,
		models.Input, strings.Join(dims, ","), n)
	authorization := ""
	if key != "" {
		authorization = "Authorization: Bearer " + key + "\r\n"
	}
	return fmt.Sprintf("POST /v2/models/%s/infer HTTP/1.1\r\nHost: gateway\r\n%sInference-Header-Content-Length: %d\r\nContent-Length: %d\r\n\r\n%s%s",
		m.Name, authorization, len(head), int64(len(head))+n, head, make([]byte, n))
}

// dial returns connections of gRPC.
func (s *server) dial(n int) (list []*grpc.ClientConn, err error) {
	creds := insecure.NewCredentials()
	if s.tls {
		creds = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}) //nolint:gosec // of this program
	}
	for range n {
		c, err := grpc.NewClient(s.grpc, grpc.WithTransportCredentials(creds), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})))
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// firstAnswer is what a gateway answers.
func firstAnswer(ctx context.Context, s *server, m models.Model) (answer []byte, err error) {
	conns, err := s.dial(1)
	if err != nil {
		return nil, err
	}
	defer conns[0].Close() //nolint:errcheck // only asked once
	request, err := proto.Marshal(message(m))
	if err != nil {
		return nil, err
	}
	err = conns[0].Invoke(ctx, pb.GRPCInferenceService_ModelInfer_FullMethodName, &request, &answer)
	return answer, err
}

// singles are callers of ModelInfer, n of them on all connections.
func singles(ctx context.Context, conns []*grpc.ClientConn, n int, request []byte) (list []caller) {
	for i := range n {
		c := conns[i%len(conns)]
		list = append(list, func(until time.Time) (n int64, err error) {
			for ; err == nil && time.Now().Before(until); n++ {
				var answer []byte
				err = c.Invoke(ctx, pb.GRPCInferenceService_ModelInfer_FullMethodName, &request, &answer)
			}
			return n, err
		})
	}
	return list
}

// streams are callers of ModelStreamInfer, one for each connection, that keep n requests in flight.
func streams(ctx context.Context, conns []*grpc.ClientConn, n int, request []byte) (list []caller) {
	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	for _, c := range conns {
		list = append(list, func(until time.Time) (int64, error) {
			st, err := c.NewStream(ctx, desc, pb.GRPCInferenceService_ModelStreamInfer_FullMethodName)
			if err != nil {
				return 0, err
			}
			return pump(st, n, request, until)
		})
	}
	return list
}

// pump sends requests on a stream, n of them before the first answer, and then one for each.
func pump(st grpc.ClientStream, n int, request []byte, until time.Time) (answered int64, err error) {
	window := make(chan struct{}, n)
	sent := make(chan error, 1)
	stop := make(chan struct{})
	go func() { // it ends before pump does
		for time.Now().Before(until) {
			select {
			case window <- struct{}{}:
			case <-stop:
				sent <- nil
				return
			}
			if err := st.SendMsg(&request); err != nil {
				sent <- err
				return
			}
		}
		sent <- st.CloseSend()
	}()
	for {
		var answer []byte
		if err = st.RecvMsg(&answer); err != nil {
			break
		}
		<-window
		answered++
	}
	close(stop)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return answered, errors.Join(err, <-sent)
}

// posts are callers over HTTP, each with a connection.
func posts(ctx context.Context, s *server, n int, request string) (list []caller, err error) {
	for range n {
		c, err := net.Dial("tcp", s.http)
		if err != nil {
			return nil, err
		}
		if s.tls { // the handshake is made now: the other sides come first, and a server does not wait for it
			secure := tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // of this program
			if err := secure.HandshakeContext(ctx); err != nil {
				return nil, err
			}
			c = secure
		}
		r := bufio.NewReader(c)
		list = append(list, func(until time.Time) (n int64, err error) {
			for ; err == nil && time.Now().Before(until); n++ {
				err = once(c, r, request)
			}
			return n, err
		})
	}
	return list, nil
}

// once sends a request and reads its answer.
func once(c io.Writer, r *bufio.Reader, request string) error {
	if _, err := io.WriteString(c, request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	return err
}

// measure lets all callers ask for a time.
func (s *side) measure(d time.Duration, counted bool) error {
	before, err := s.server.process.OwnUsage()
	if err != nil {
		return err
	}
	begun := time.Now()
	n, err := ask(s.callers, d)
	took := time.Since(begun)
	after, err2 := s.server.process.OwnUsage()
	if err := errors.Join(err, err2); err != nil || !counted {
		return err
	}
	s.rates = append(s.rates, float64(n)/took.Seconds())
	s.cpu = append(s.cpu, float64((after.CPU-before.CPU).Microseconds())/float64(n))
	return nil
}

// ask lets all callers ask for a time, and returns how many requests were answered.
func ask(callers []caller, d time.Duration) (int64, error) {
	var wg sync.WaitGroup
	var n atomic.Int64
	failures := make(chan error, len(callers))
	until := time.Now().Add(d)
	for _, call := range callers {
		wg.Go(func() {
			done, err := call(until)
			if n.Add(done); err != nil {
				failures <- err
			}
		})
	}
	wg.Wait()
	close(failures)
	return n.Load(), <-failures
}
