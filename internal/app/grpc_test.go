package app_test

import (
	"encoding/binary"
	"math"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// dialGRPC returns a client of a gateway.
func dialGRPC(t *testing.T, g *gateway) pb.GRPCInferenceServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(g.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return pb.NewGRPCInferenceServiceClient(conn)
}

// linRequest is a request of one row for the model "lin".
func linRequest() *pb.ModelInferRequest {
	row := make([]byte, 0, 4*len(linWeights))
	for range linWeights {
		row = binary.LittleEndian.AppendUint32(row, math.Float32bits(0.5))
	}
	return &pb.ModelInferRequest{
		ModelName: "lin", Inputs: []*pb.ModelInferRequest_InferInputTensor{{Name: "input", Datatype: "FP32", Shape: []int64{1, 16}}}, RawInputContents: [][]byte{row},
	}
}

// A route picks by metadata as it does by headers, and says over gRPC what it does over HTTP.
func TestRouteOverGRPC(t *testing.T) {
	g := start(t, tritonModels(t), "routes: {lin: {variants: [{version: 1, weight: 100%}], sticky: {header: X-User-Id}}}")
	m, err := dialGRPC(t, g).ModelInfer(metadata.AppendToOutgoingContext(t.Context(), "x-user-id", "u1"), linRequest())
	if err != nil {
		t.Fatal(err)
	}
	if p := m.GetParameters(); p["sluice_reason"].GetStringParam() != "sticky" || p["sluice_route"].GetStringParam() != "lin@1" {
		t.Errorf("parameters %v", p)
	}
	if text := g.must(t, http.MethodGet, g.url+"/v2/models/lin/stats", ""); !strings.Contains(text, `"inference_count":1`) {
		t.Errorf("the call was not counted: %s", text)
	}
}

// A stop under load answers what was accepted: callers see answers, and then that it stops.
func TestStopUnderGRPCLoad(t *testing.T) {
	g := start(t, tritonModels(t))
	var callers sync.WaitGroup
	var answered atomic.Int64
	busy := make(chan struct{})
	for range 4 {
		c := dialGRPC(t, g)
		callers.Go(func() {
			for {
				if _, err := c.ModelInfer(t.Context(), linRequest()); err != nil {
					if status.Code(err) != codes.Unavailable {
						t.Error(err)
					}
					return
				}
				if answered.Add(1) == 100 {
					close(busy)
				}
			}
		})
	}
	<-busy
	if err := g.stop(); err != nil {
		t.Error(err)
	}
	callers.Wait()
}
