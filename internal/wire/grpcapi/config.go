package grpcapi

import (
	"context"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// ModelConfig implements pb.GRPCInferenceServiceServer: the model and its settings in the
// form of Triton's config.pbtxt.
func (s *Server) ModelConfig(_ context.Context, in *pb.ModelConfigRequest) (*pb.ModelConfigResponse, error) {
	version, err := parseVersion(in.GetName(), in.GetVersion())
	if err != nil {
		return nil, err
	}
	model, err := s.front.Model(in.GetName(), version)
	if err != nil {
		return nil, err
	}
	serving, err := s.opts.Describer.Serving(in.GetName(), version)
	if err != nil {
		return nil, err
	}
	return &pb.ModelConfigResponse{Config: modelConfig(in.GetName(), model, &serving)}, nil
}

//nolint:gosec // all of it is far below 2^31, as the configuration bounds it
func modelConfig(name string, m *infer.Model, v *Serving) *pb.ModelConfig {
	skip := 0 // dimensions that dims leave out
	if v.MaxBatch > 0 {
		skip = 1
	}
	c := &pb.ModelConfig{
		Name: name, Platform: front.Platform, Backend: "onnxruntime", DefaultModelFilename: "model.onnx", MaxBatchSize: int32(v.MaxBatch), VersionPolicy: policy(v),
		InstanceGroup: []*pb.ModelInstanceGroup{{Name: name, Count: int32(v.Instances), Kind: pb.ModelInstanceGroup_KIND_CPU}},
	}
	for i := range m.Inputs {
		t := &m.Inputs[i]
		c.Input = append(c.Input, &pb.ModelInput{Name: t.Name, DataType: dataType(t.DType), Dims: t.Shape[min(skip, len(t.Shape)):], Optional: t.Optional})
	}
	for i := range m.Outputs {
		t := &m.Outputs[i]
		c.Output = append(c.Output, &pb.ModelOutput{Name: t.Name, DataType: dataType(t.DType), Dims: t.Shape[min(skip, len(t.Shape)):]})
	}
	if v.MaxBatch > 0 {
		c.SchedulingChoice = &pb.ModelConfig_DynamicBatching{DynamicBatching: &pb.ModelDynamicBatching{
			PreferredBatchSize: []int32{int32(v.MaxBatch)}, MaxQueueDelayMicroseconds: uint64(v.MaxDelay.Microseconds()),
			PriorityLevels: uint64(v.PriorityLevels), DefaultPriorityLevel: uint64(v.DefaultPriority),
			DefaultQueuePolicy: &pb.ModelQueuePolicy{
				DefaultTimeoutMicroseconds: uint64(v.Timeout.Microseconds()), AllowTimeoutOverride: true, MaxQueueSize: uint32(v.MaxQueue),
			},
		}}
	}
	return c
}

//nolint:gosec // a number of versions
func policy(v *Serving) *pb.ModelVersionPolicy {
	switch {
	case v.Latest > 0:
		return &pb.ModelVersionPolicy{PolicyChoice: &pb.ModelVersionPolicy_Latest_{Latest: &pb.ModelVersionPolicy_Latest{NumVersions: uint32(v.Latest)}}}
	case len(v.Versions) > 0:
		return &pb.ModelVersionPolicy{PolicyChoice: &pb.ModelVersionPolicy_Specific_{Specific: &pb.ModelVersionPolicy_Specific{Versions: v.Versions}}}
	default:
		return &pb.ModelVersionPolicy{PolicyChoice: &pb.ModelVersionPolicy_All_{All: &pb.ModelVersionPolicy_All{}}}
	}
}

// dataType returns what Triton's configurations call a datatype.
func dataType(d infer.DType) pb.DataType {
	if d == infer.Bytes {
		return pb.DataType_TYPE_STRING
	}
	return pb.DataType(pb.DataType_value["TYPE_"+d.String()])
}
