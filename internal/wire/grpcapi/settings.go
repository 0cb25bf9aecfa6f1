package grpcapi

import (
	"context"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// TraceSetting implements pb.GRPCInferenceServiceServer: nothing is traced. Clients that
// clear a setting send it without a value.
func (s *Server) TraceSetting(_ context.Context, in *pb.TraceSettingRequest) (*pb.TraceSettingResponse, error) {
	if in.GetModelName() != "" {
		if _, err := s.front.Model(in.GetModelName(), 0); err != nil {
			return nil, err
		}
	}
	for name, setting := range in.GetSettings() {
		if len(setting.GetValue()) > 0 {
			return nil, infer.Errorf(infer.Unsupported, "trace setting '%s' cannot be changed: traces are not supported", name)
		}
	}
	value := func(text string) *pb.TraceSettingResponse_SettingValue {
		return &pb.TraceSettingResponse_SettingValue{Value: []string{text}}
	}
	return &pb.TraceSettingResponse{Settings: map[string]*pb.TraceSettingResponse_SettingValue{
		"trace_level": value("OFF"), "trace_rate": value("1000"), "trace_count": value("-1"), "log_frequency": value("0"),
	}}, nil
}

// LogSettings implements pb.GRPCInferenceServiceServer: what is logged, as far as Triton's
// settings can tell.
func (s *Server) LogSettings(_ context.Context, in *pb.LogSettingsRequest) (*pb.LogSettingsResponse, error) {
	for name := range in.GetSettings() {
		return nil, infer.Errorf(infer.Unsupported, "log setting '%s' cannot be changed by a call: set log.level in the configuration and reload it", name)
	}
	on := func(is bool) *pb.LogSettingsResponse_SettingValue {
		return &pb.LogSettingsResponse_SettingValue{ParameterChoice: &pb.LogSettingsResponse_SettingValue_BoolParam{BoolParam: is}}
	}
	level := s.opts.LogLevel()
	verbose := uint32(0)
	if level == "debug" {
		verbose = 1
	}
	return &pb.LogSettingsResponse{Settings: map[string]*pb.LogSettingsResponse_SettingValue{
		"log_error": on(true), "log_warning": on(level != "error"), "log_info": on(level == "info" || level == "debug"),
		"log_verbose_level": {ParameterChoice: &pb.LogSettingsResponse_SettingValue_Uint32Param{Uint32Param: verbose}},
		"log_format":        {ParameterChoice: &pb.LogSettingsResponse_SettingValue_StringParam{StringParam: "default"}},
		"log_file":          {ParameterChoice: &pb.LogSettingsResponse_SettingValue_StringParam{}},
	}}, nil
}

// SystemSharedMemoryStatus implements pb.GRPCInferenceServiceServer: there is none.
func (s *Server) SystemSharedMemoryStatus(_ context.Context, in *pb.SystemSharedMemoryStatusRequest) (*pb.SystemSharedMemoryStatusResponse, error) {
	if in.GetName() != "" {
		return nil, front.NoRegion("system", in.GetName())
	}
	return &pb.SystemSharedMemoryStatusResponse{}, nil
}

// SystemSharedMemoryRegister implements pb.GRPCInferenceServiceServer.
func (s *Server) SystemSharedMemoryRegister(context.Context, *pb.SystemSharedMemoryRegisterRequest) (*pb.SystemSharedMemoryRegisterResponse, error) {
	return nil, front.NoSharedMemory()
}

// SystemSharedMemoryUnregister implements pb.GRPCInferenceServiceServer: clients clean up
// by it before they register.
func (s *Server) SystemSharedMemoryUnregister(context.Context, *pb.SystemSharedMemoryUnregisterRequest) (*pb.SystemSharedMemoryUnregisterResponse, error) {
	return &pb.SystemSharedMemoryUnregisterResponse{}, nil
}

// CudaSharedMemoryStatus implements pb.GRPCInferenceServiceServer: there is none.
func (s *Server) CudaSharedMemoryStatus(_ context.Context, in *pb.CudaSharedMemoryStatusRequest) (*pb.CudaSharedMemoryStatusResponse, error) {
	if in.GetName() != "" {
		return nil, front.NoRegion("CUDA", in.GetName())
	}
	return &pb.CudaSharedMemoryStatusResponse{}, nil
}

// CudaSharedMemoryRegister implements pb.GRPCInferenceServiceServer.
func (s *Server) CudaSharedMemoryRegister(context.Context, *pb.CudaSharedMemoryRegisterRequest) (*pb.CudaSharedMemoryRegisterResponse, error) {
	return nil, front.NoSharedMemory()
}

// CudaSharedMemoryUnregister implements pb.GRPCInferenceServiceServer.
func (s *Server) CudaSharedMemoryUnregister(context.Context, *pb.CudaSharedMemoryUnregisterRequest) (*pb.CudaSharedMemoryUnregisterResponse, error) {
	return &pb.CudaSharedMemoryUnregisterResponse{}, nil
}
