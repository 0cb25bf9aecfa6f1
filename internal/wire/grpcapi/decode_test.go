package grpcapi_test

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"sluice.io/sluice/internal/wire/grpcapi"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// Whatever the bytes are, the decoder reads what protobuf reads, and refuses what it refuses.
func FuzzDecode(f *testing.F) {
	whole := &pb.InferParameter{ParameterChoice: &pb.InferParameter_Int64Param{Int64Param: -7}}
	for _, m := range []*pb.ModelInferRequest{
		raw("id", 1, 2, 3, 4),
		contents("INT8", 1, &pb.InferTensorContents{IntContents: []int32{1}}),
		contents("BYTES", 2, &pb.InferTensorContents{BytesContents: [][]byte{nil, {'a'}}}),
		{
			ModelName: "m", ModelVersion: "3", Parameters: map[string]*pb.InferParameter{"timeout": whole, "": {}},
			Outputs: []*pb.ModelInferRequest_InferRequestedOutputTensor{{Name: "y", Parameters: map[string]*pb.InferParameter{"classification": whole}}},
			Inputs:  []*pb.ModelInferRequest_InferInputTensor{{Shape: []int64{-1, 1 << 40}, Parameters: map[string]*pb.InferParameter{"p": whole}}},
		},
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(append(data, data...)) // fields that come twice
		f.Add(data[:len(data)-1])
	}
	unpacked := protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), 4)
	group := protowire.AppendTag(protowire.AppendTag(nil, 9, protowire.StartGroupType), 9, protowire.EndGroupType)
	f.Add(protowire.AppendBytes(protowire.AppendTag(group, 5, protowire.BytesType), append(unpacked, group...)))
	f.Add(protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 4)) // of another kind
	f.Add([]byte{0x0a, 1, 0xff})                                                        // not UTF-8
	f.Fuzz(func(t *testing.T, data []byte) {
		want := &pb.ModelInferRequest{}
		err := proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, want)
		got, err2 := grpcapi.DecodeRequest(data)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("protobuf says %v, the decoder %v", err, err2)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); err == nil && diff != "" {
			t.Error(diff)
		}
	})
}

// How long the decoder and protobuf take for a request of a small model, and for one of 600 KB.
func BenchmarkDecode(b *testing.B) {
	for _, rows := range []int{4, 37_500} {
		data, err := proto.Marshal(raw("", make([]float32, 4*rows)...))
		if err != nil {
			b.Fatal(err)
		}
		b.Run("ours/"+strconv.Itoa(len(data)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := grpcapi.Decode(data); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("protobuf/"+strconv.Itoa(len(data)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := proto.Unmarshal(data, &pb.ModelInferRequest{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
