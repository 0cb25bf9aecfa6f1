package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// echoModel is a gateway over gRPC with the model iris, which answers its input.
type echoModel struct {
	pb.UnimplementedGRPCInferenceServiceServer
}

func (echoModel) ModelMetadata(context.Context, *pb.ModelMetadataRequest) (*pb.ModelMetadataResponse, error) {
	return &pb.ModelMetadataResponse{Name: "iris", Inputs: []*pb.ModelMetadataResponse_TensorMetadata{{Name: "x", Datatype: "INT64", Shape: []int64{-1, 2}}}}, nil
}

func (echoModel) ModelInfer(_ context.Context, m *pb.ModelInferRequest) (*pb.ModelInferResponse, error) {
	if m.GetModelName() != "iris" {
		return nil, status.Error(codes.NotFound, "unknown model")
	}
	out := &pb.ModelInferResponse{
		ModelName: "iris", ModelVersion: "2", RawOutputContents: m.GetRawInputContents(),
		Parameters: map[string]*pb.InferParameter{
			"sluice_version": {ParameterChoice: &pb.InferParameter_Int64Param{Int64Param: 2}},
			"sluice_route":   {ParameterChoice: &pb.InferParameter_StringParam{StringParam: "iris@7"}},
			"sluice_reason":  {ParameterChoice: &pb.InferParameter_StringParam{StringParam: "sticky"}},
		},
	}
	for _, in := range m.GetInputs() {
		out.Outputs = append(out.Outputs, &pb.ModelInferResponse_InferOutputTensor{Name: in.GetName(), Datatype: in.GetDatatype(), Shape: in.GetShape()})
	}
	return out, nil
}

func TestInferOverGRPC(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	pb.RegisterGRPCInferenceServiceServer(s, echoModel{})
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-ended; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	address := l.Addr().String()
	const body = `{"inputs":[{"name":"x","shape":[1,2],"datatype":"INT64","data":[[1,-2]]}]}`
	const answer = `{"model_name":"iris","model_version":"2","outputs":[{"name":"x","datatype":"INT64","shape":[1,2],"data":[1,-2]}]}` + "\n"
	f := func(code int, out, errOut string, args []string, env ...string) {
		t.Helper()
		got := command(t, "", append([]string{"infer"}, args...), env...)
		if got.code != code || got.out != out && out != "" || !strings.Contains(got.errOut, errOut) {
			t.Errorf("%v: %+v, want %d, %q and %q", args, got, code, out, errOut)
		}
	}
	f(exitOK, answer, "", []string{"iris", "--json", body, "--grpc-address", address})
	f(exitOK, answer, "", []string{"iris", "--json", body, "--grpc"}, "SLUICE_GRPC", address)
	f(exitOK, "", "ModelInfer "+address+"\n{\"inputs\":[{\"name\":\"x\",\"shape\":[3,2]", []string{"iris", "--example", "--rows", "3", "--grpc-address", address})
	f(exitOK, "", "\nversion 2, route iris@7 (sticky)\n", []string{"iris", "--example", "--grpc-address", address})
	f(exitFailed, "", "unknown model (NOT_FOUND)", []string{"none", "--json", body, "--grpc-address", address})
	f(exitFailed, "", "input 'x' has no data", []string{"iris", "--json", `{"inputs":[{"name":"x"}]}`, "--grpc-address", address})
	f(exitUsage, "", "is not a valid address", []string{"iris", "--json", body, "--grpc-address", "nowhere"})
}
