package grpcapi

import (
	"context"

	"google.golang.org/protobuf/encoding/protojson"

	"sluice.io/sluice/internal/wire/grpcapi/pb"
	"sluice.io/sluice/internal/wire/oip"
)

// ModelConfig implements pb.GRPCInferenceServiceServer: how a version is served in the form of
// Triton's config.pbtxt.
func (s *Server) ModelConfig(_ context.Context, in *pb.ModelConfigRequest) (*pb.ModelConfigResponse, error) {
	version, err := parseVersion(in.GetName(), in.GetVersion())
	if err != nil {
		return nil, err
	}
	doc, err := s.opts.Describer.ModelConfig(in.GetName(), version)
	if err != nil {
		return nil, err
	}
	// The document is the JSON form of the message. It has fields that always have their default,
	// which the message does not declare.
	config := &pb.ModelConfig{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(oip.AppendModelConfig(nil, &doc), config); err != nil {
		return nil, err
	}
	return &pb.ModelConfigResponse{Config: config}, nil
}
