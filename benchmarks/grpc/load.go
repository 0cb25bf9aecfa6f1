package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// load calls a running gateway with single calls or on a stream, or both at once: the model needs one input, of FP32.
func load(ctx context.Context, o *options, address string) error {
	names, err := regexp.Compile(o.only)
	if err != nil {
		return err
	}
	s := &server{grpc: address}
	conns, err := s.dial(o.conns)
	if err != nil {
		return err
	}
	request, err := requestFor(ctx, address, o.model)
	if err != nil {
		return err
	}
	var callers []caller
	if names.MatchString("calls") {
		callers = append(callers, singles(ctx, conns, o.flying, request)...)
	}
	if names.MatchString("stream") {
		callers = append(callers, streams(ctx, conns[:1], o.flying, request)...)
	}
	n, err := ask(callers, o.duration)
	fmt.Printf("%.0f requests/s\n", float64(n)/o.duration.Seconds())
	return err
}

// requestFor returns a request of one row.
func requestFor(ctx context.Context, address, model string) ([]byte, error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer conn.Close() //nolint:errcheck // only asked once
	meta, err := pb.NewGRPCInferenceServiceClient(conn).ModelMetadata(ctx, &pb.ModelMetadataRequest{Name: model})
	if err != nil {
		return nil, err
	}
	if len(meta.GetInputs()) != 1 || meta.GetInputs()[0].GetDatatype() != "FP32" {
		return nil, errors.New("the model needs one input, of FP32")
	}
	in, size := meta.GetInputs()[0], int64(4)
	for i, d := range in.GetShape() {
		in.Shape[i] = max(d, 1)
		size *= in.Shape[i]
	}
	return proto.Marshal(&pb.ModelInferRequest{
		ModelName: model, Inputs: []*pb.ModelInferRequest_InferInputTensor{{Name: in.GetName(), Datatype: "FP32", Shape: in.GetShape()}},
		RawInputContents: [][]byte{make([]byte, size)},
	})
}
