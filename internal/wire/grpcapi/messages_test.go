package grpcapi_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// The generated code is of the same protocol as the Python client, whose tests compare it with
// api/inference.proto and api/labels.proto.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	text, err := os.ReadFile("../../../clients/python/src/sluice/messages.binpb")
	if err != nil {
		t.Fatal(err)
	}
	var want descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	var got []*descriptorpb.FileDescriptorProto
	for _, file := range []protoreflect.FileDescriptor{pb.File_inference_proto, timestamppb.File_google_protobuf_timestamp_proto, pb.File_labels_proto} {
		got = append(got, protodesc.ToFileDescriptorProto(file))
	}
	if diff := cmp.Diff(want.GetFile(), got, protocmp.Transform()); diff != "" {
		t.Errorf("run make proto (-Python +Go):\n%s", diff)
	}
}
