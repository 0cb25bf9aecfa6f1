package grpcclient

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// Whatever a server answers, a result that Infer returns can be read.
func FuzzResult(f *testing.F) {
	add := func(datatype string, shape []int64, raw ...[]byte) {
		message, err := proto.Marshal(&pb.ModelInferResponse{
			ModelVersion: "3", RawOutputContents: raw,
			Outputs: []*pb.ModelInferResponse_InferOutputTensor{{Name: "y", Datatype: datatype, Shape: shape}},
		})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(message)
	}
	add("BYTES", []int64{2}, []byte("\x01\x00\x00\x00a\x00\x00\x00\x00"))
	add("BYTES", []int64{1}, []byte("\xff\xff\xff\xffa"))
	add("INT64", nil, make([]byte, 8))
	add("INT64", []int64{1 << 61, 8}, nil)
	add("BOOL", []int64{0, 1 << 62})
	add("BOOL", []int64{-1, -1}, []byte{1})
	f.Fuzz(func(t *testing.T, message []byte) {
		var m pb.ModelInferResponse
		if proto.Unmarshal(message, &m) != nil {
			return
		}
		r, err := new(Client).result(&m, "")
		if err != nil {
			return
		}
		for _, tensor := range r.Outputs {
			switch tensor.Datatype {
			case "BYTES":
				_, err = client.Elements[string](tensor)
			case "INT64":
				_, err = client.Elements[int64](tensor)
			case "BOOL":
				_, err = client.Elements[bool](tensor)
			}
			if err != nil {
				t.Errorf("%s %v of %d bytes: %v", tensor.Datatype, tensor.Shape, len(tensor.Data), err)
			}
		}
	})
}
