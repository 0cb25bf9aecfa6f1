package grpcapi_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/grpcapi"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// protobuf reads of an answer what was written, and its size is the one that was reserved.
func FuzzReply(f *testing.F) {
	f.Add("double", "", "double@0", "default", int64(1), "y", int64(2), []byte{1, 2, 3, 4}, byte(1), true)
	f.Add(strings.Repeat("m", 200), "id", "", "sticky", int64(-1), "", int64(1<<62), make([]byte, 300), byte(3), false)
	f.Add("", "", "", "", int64(0), "", int64(0), []byte(nil), byte(0), true)
	f.Fuzz(func(t *testing.T, model, id, route, reason string, number int64, name string, dim int64, data []byte, outputs byte, stream bool) {
		for _, s := range []*string{&model, &id, &route, &reason, &name} {
			*s = strings.ToValidUTF8(*s, "")
		}
		served := infer.Served{Version: infer.Version{Model: model, Number: number}, Route: route, Reason: infer.Reason(reason)}
		text := func(s string) *pb.InferParameter {
			return &pb.InferParameter{ParameterChoice: &pb.InferParameter_StringParam{StringParam: s}}
		}
		want := &pb.ModelInferResponse{
			ModelName: model, ModelVersion: strconv.FormatInt(number, 10), Id: id,
			Parameters: map[string]*pb.InferParameter{
				"sluice_version": {ParameterChoice: &pb.InferParameter_Int64Param{Int64Param: number}},
				"sluice_route":   text(route), "sluice_reason": text(reason),
			},
		}
		if stream {
			want.Parameters["triton_final_response"] = &pb.InferParameter{ParameterChoice: &pb.InferParameter_BoolParam{BoolParam: true}}
		}
		var list []infer.Tensor
		for i := range int(outputs % 4) {
			shape := make([]int64, i)
			for j := range shape {
				shape[j] = dim << j
			}
			list = append(list, infer.Tensor{Name: name, DType: infer.FP32, Shape: shape, Data: data})
			want.Outputs = append(want.Outputs, &pb.ModelInferResponse_InferOutputTensor{Name: name, Datatype: "FP32", Shape: shape})
			want.RawOutputContents = append(want.RawOutputContents, data)
		}
		answer, size := grpcapi.Reply(model, id, &served, list, stream)
		if size != len(answer) {
			t.Errorf("%d bytes were foretold, %d written", size, len(answer))
		}
		got := &pb.ModelInferResponse{}
		var into proto.Message = got
		if stream {
			into = &pb.ModelStreamInferResponse{}
		}
		if err := proto.Unmarshal(answer, into); err != nil {
			t.Fatal(err)
		}
		if stream {
			got = into.(*pb.ModelStreamInferResponse).GetInferResponse()
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	})
}
