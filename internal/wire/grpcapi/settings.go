package grpcapi

import (
	"context"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// TraceSetting implements pb.GRPCInferenceServiceServer.
func (s *Server) TraceSetting(ctx context.Context, in *pb.TraceSettingRequest) (*pb.TraceSettingResponse, error) {
	model := in.GetModelName()
	if model != "" {
		if _, err := s.front.Model(model, 0); err != nil {
			return nil, err
		}
	}
	err := s.changeSetting(ctx, len(in.GetSettings()), func(by api.Actor, requestID []byte) error {
		var change front.TraceChange
		for name, setting := range in.GetSettings() {
			if err := change.Read(front.TraceSetting{Name: name, Values: setting.GetValue()}); err != nil {
				return err
			}
		}
		return s.front.ChangeTraces(model, change, by, requestID)
	})
	if err != nil {
		return nil, err
	}
	out := &pb.TraceSettingResponse{Settings: map[string]*pb.TraceSettingResponse_SettingValue{}}
	for _, setting := range s.front.CurrentTraces(model).List() {
		out.Settings[setting.Name] = &pb.TraceSettingResponse_SettingValue{Value: setting.Values}
	}
	return out, nil
}

// LogSettings implements pb.GRPCInferenceServiceServer.
func (s *Server) LogSettings(ctx context.Context, in *pb.LogSettingsRequest) (*pb.LogSettingsResponse, error) {
	err := s.changeSetting(ctx, len(in.GetSettings()), func(by api.Actor, requestID []byte) error {
		var change front.LogChange
		for name, setting := range in.GetSettings() {
			if err := change.Read(name, logValue(setting)); err != nil {
				return err
			}
		}
		return s.front.ChangeLogs(change, by, requestID)
	})
	if err != nil {
		return nil, err
	}
	on := func(is bool) *pb.LogSettingsResponse_SettingValue {
		return &pb.LogSettingsResponse_SettingValue{ParameterChoice: &pb.LogSettingsResponse_SettingValue_BoolParam{BoolParam: is}}
	}
	text := func(value string) *pb.LogSettingsResponse_SettingValue {
		return &pb.LogSettingsResponse_SettingValue{ParameterChoice: &pb.LogSettingsResponse_SettingValue_StringParam{StringParam: value}}
	}
	now := s.front.CurrentLogs()
	return &pb.LogSettingsResponse{Settings: map[string]*pb.LogSettingsResponse_SettingValue{
		"log_error": on(now.Error), "log_warning": on(now.Warning), "log_info": on(now.Info), "log_format": text(now.Format), "log_file": text(""),
		"log_verbose_level": {ParameterChoice: &pb.LogSettingsResponse_SettingValue_Uint32Param{Uint32Param: now.Verbose}},
	}}, nil
}

// logValue returns a setting as front.LogChange reads it; nil if it has none.
func logValue(s *pb.LogSettingsRequest_SettingValue) any {
	switch v := s.GetParameterChoice().(type) {
	case *pb.LogSettingsRequest_SettingValue_BoolParam:
		return v.BoolParam
	case *pb.LogSettingsRequest_SettingValue_Uint32Param:
		return v.Uint32Param
	case *pb.LogSettingsRequest_SettingValue_StringParam:
		return v.StringParam
	default:
		return nil
	}
}

// changeSetting calls change for a caller that may change settings. A call without settings only
// reads them.
func (s *Server) changeSetting(ctx context.Context, settings int, change func(by api.Actor, requestID []byte) error) error {
	if settings == 0 {
		return nil
	}
	x := exchangeOf(ctx)
	by, err := front.Actor(x.caller, x.field)
	if err != nil {
		return err
	}
	defer s.front.EndControl()
	if err := s.front.BeginControl(); err != nil {
		return err
	}
	return change(by, []byte(x.id))
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
