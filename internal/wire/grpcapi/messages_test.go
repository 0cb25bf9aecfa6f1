package grpcapi_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"

	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// The generated code is of the same protocol as the Python client, whose tests compare it with
// api/inference.proto.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	text, err := os.ReadFile("../../../clients/python/src/sluice/inference.binpb")
	if err != nil {
		t.Fatal(err)
	}
	var want descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	got := protodesc.ToFileDescriptorProto(pb.File_inference_proto)
	if diff := cmp.Diff(want.GetFile(), []*descriptorpb.FileDescriptorProto{got}, protocmp.Transform()); diff != "" {
		t.Errorf("run make proto (-Python +Go):\n%s", diff)
	}
}
