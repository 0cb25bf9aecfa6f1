package grpcapi

import (
	"context"
	"strconv"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
	"sluice.io/sluice/internal/wire/oip"
)

// ServerLive implements pb.GRPCInferenceServiceServer.
func (s *Server) ServerLive(context.Context, *pb.ServerLiveRequest) (*pb.ServerLiveResponse, error) {
	return &pb.ServerLiveResponse{Live: true}, nil
}

// ServerReady implements pb.GRPCInferenceServiceServer.
func (s *Server) ServerReady(context.Context, *pb.ServerReadyRequest) (*pb.ServerReadyResponse, error) {
	return &pb.ServerReadyResponse{Ready: s.front.Ready()}, nil
}

// ModelReady implements pb.GRPCInferenceServiceServer. A model that is not known is one
// that is not ready.
func (s *Server) ModelReady(_ context.Context, in *pb.ModelReadyRequest) (*pb.ModelReadyResponse, error) {
	version, err := parseVersion(in.GetName(), in.GetVersion())
	if err != nil {
		return nil, err
	}
	return &pb.ModelReadyResponse{Ready: s.front.ModelReady(in.GetName(), version) == nil}, nil
}

// ServerMetadata implements pb.GRPCInferenceServiceServer.
func (s *Server) ServerMetadata(context.Context, *pb.ServerMetadataRequest) (*pb.ServerMetadataResponse, error) {
	name := front.Name
	if s.opts.Triton {
		name = front.TritonName
	}
	return &pb.ServerMetadataResponse{Name: name, Version: s.opts.Version, Extensions: front.Extensions()}, nil
}

// ModelMetadata implements pb.GRPCInferenceServiceServer.
func (s *Server) ModelMetadata(_ context.Context, in *pb.ModelMetadataRequest) (*pb.ModelMetadataResponse, error) {
	version, err := parseVersion(in.GetName(), in.GetVersion())
	if err != nil {
		return nil, err
	}
	model, err := s.front.Model(in.GetName(), version)
	if err != nil {
		return nil, err
	}
	versions := []int64{version}
	if version == 0 {
		versions = s.front.Versions(in.GetName())
	}
	out := &pb.ModelMetadataResponse{Name: in.GetName(), Platform: front.Platform, Inputs: describe(model.Inputs), Outputs: describe(model.Outputs)}
	for _, v := range versions {
		out.Versions = append(out.Versions, strconv.FormatInt(v, 10))
	}
	return out, nil
}

func describe(specs []infer.TensorSpec) []*pb.ModelMetadataResponse_TensorMetadata {
	tensors := make([]*pb.ModelMetadataResponse_TensorMetadata, len(specs))
	for i := range specs {
		tensors[i] = &pb.ModelMetadataResponse_TensorMetadata{Name: specs[i].Name, Datatype: specs[i].DType.String(), Shape: specs[i].Shape}
	}
	return tensors
}

// ModelStatistics implements pb.GRPCInferenceServiceServer.
func (s *Server) ModelStatistics(ctx context.Context, in *pb.ModelStatisticsRequest) (*pb.ModelStatisticsResponse, error) {
	version, err := parseVersion(in.GetName(), in.GetVersion())
	if err != nil {
		return nil, err
	}
	models, err := s.opts.Describer.Statistics(in.GetName(), version)
	if err != nil {
		return nil, err
	}
	out, caller := &pb.ModelStatisticsResponse{}, exchangeOf(ctx).caller
	for i := range models {
		if in.GetName() == "" && !caller.Can(callers.Statistics, models[i].Name) {
			continue
		}
		out.ModelStats = append(out.ModelStats, statistics(&models[i]))
	}
	return out, nil
}

// statistics returns the message of a document.
func statistics(m *oip.ModelStatistics) *pb.ModelStatistics {
	total := func(t oip.StatisticDuration) *pb.StatisticDuration {
		return &pb.StatisticDuration{Count: t.Count, Ns: t.NS}
	}
	s := &m.InferenceStats
	out := &pb.ModelStatistics{
		Name: m.Name, Version: m.Version, LastInference: uint64(max(0, m.LastInference)),
		InferenceCount: m.InferenceCount, ExecutionCount: m.ExecutionCount,
		InferenceStats: &pb.InferStatistics{
			Success: total(s.Success), Fail: total(s.Fail), Queue: total(s.Queue), ComputeInput: total(s.ComputeInput),
			ComputeInfer: total(s.ComputeInfer), ComputeOutput: total(s.ComputeOutput), CacheHit: total(s.CacheHit), CacheMiss: total(s.CacheMiss),
		},
	}
	for _, b := range m.BatchStats {
		out.BatchStats = append(out.BatchStats, &pb.InferBatchStatistics{
			BatchSize: b.BatchSize, ComputeInput: total(b.ComputeInput), ComputeInfer: total(b.ComputeInfer), ComputeOutput: total(b.ComputeOutput),
		})
	}
	for _, u := range m.MemoryUsage {
		out.MemoryUsage = append(out.MemoryUsage, &pb.MemoryUsage{Type: u.Type, Id: u.ID, ByteSize: u.ByteSize})
	}
	return out
}
