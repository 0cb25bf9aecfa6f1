package grpcapi_test

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/testing/protocmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/testing/access"
	"sluice.io/sluice/internal/testing/pki"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

func TestMetadata(t *testing.T) {
	c := start(t, &stub{}, nil).dial(t)
	server, err := c.ServerMetadata(t.Context(), &pb.ServerMetadataRequest{})
	if err != nil || server.GetName() != "sluice" || server.GetVersion() != "1.2.3" || len(server.GetExtensions()) == 0 {
		t.Errorf("got %v, %v", server, err)
	}
	model, err := c.ModelMetadata(t.Context(), &pb.ModelMetadataRequest{Name: "double"})
	if err != nil || model.GetPlatform() != "onnxruntime_onnx" || !cmp.Equal(model.GetVersions(), []string{"1", "2"}) || !cmp.Equal(model.GetInputs()[0].GetShape(), []int64{-1, 4}) {
		t.Errorf("got %v, %v", model, err)
	}
	_, err = c.ModelMetadata(t.Context(), &pb.ModelMetadataRequest{Name: "nope"})
	wantCode(t, err, codes.NotFound)
	stats, err := c.ModelStatistics(t.Context(), &pb.ModelStatisticsRequest{Name: "double"})
	if err != nil || stats.GetModelStats()[0].GetInferenceCount() != 7 || stats.GetModelStats()[0].GetInferenceStats().GetCacheHit() == nil {
		t.Errorf("got %v, %v", stats, err)
	}
}

func TestModelConfig(t *testing.T) {
	c := start(t, &stub{}, nil).dial(t)
	got, err := c.ModelConfig(t.Context(), &pb.ModelConfigRequest{Name: "double", Version: "2"})
	if err != nil {
		t.Fatal(err)
	}
	pinned := &pb.ModelOptimizationPolicy_PinnedMemoryBuffer{Enable: true}
	want := &pb.ModelConfig{
		Name: "double", Platform: "onnxruntime_onnx", Backend: "onnxruntime", DefaultModelFilename: "model.onnx", MaxBatchSize: 8,
		VersionPolicy: &pb.ModelVersionPolicy{PolicyChoice: &pb.ModelVersionPolicy_Specific_{Specific: &pb.ModelVersionPolicy_Specific{Versions: []int64{1, 2}}}},
		Input:         []*pb.ModelInput{{Name: "x", DataType: pb.DataType_TYPE_FP32, Dims: []int64{4}}},
		Output:        []*pb.ModelOutput{{Name: "y", DataType: pb.DataType_TYPE_FP32, Dims: []int64{4}}},
		Optimization: &pb.ModelOptimizationPolicy{
			Graph: &pb.ModelOptimizationPolicy_Graph{Level: -1}, InputPinnedMemory: pinned, OutputPinnedMemory: pinned,
		},
		SchedulingChoice: &pb.ModelConfig_DynamicBatching{DynamicBatching: &pb.ModelDynamicBatching{
			PreferredBatchSize: []int32{8}, MaxQueueDelayMicroseconds: 1000, PriorityLevels: 3, DefaultPriorityLevel: 3,
			DefaultQueuePolicy: &pb.ModelQueuePolicy{DefaultTimeoutMicroseconds: 1e6, AllowTimeoutOverride: true, MaxQueueSize: 9},
		}},
		InstanceGroup: []*pb.ModelInstanceGroup{{Name: "double", Kind: pb.ModelInstanceGroup_KIND_CPU, Count: 2}},
	}
	if diff := cmp.Diff(want, got.GetConfig(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	_, err = c.ModelConfig(t.Context(), &pb.ModelConfigRequest{Name: "nope"})
	wantCode(t, err, codes.NotFound)
	_, err = c.ModelConfig(t.Context(), &pb.ModelConfigRequest{Name: "double", Version: "x"})
	wantCode(t, err, codes.InvalidArgument)
}

func TestReadiness(t *testing.T) {
	s := &stub{}
	r := start(t, s, nil)
	c, h := r.dial(t), grpc_health_v1.NewHealthClient(r.connect(t))
	f := func(ready bool, status grpc_health_v1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		if got, err := c.ServerReady(t.Context(), &pb.ServerReadyRequest{}); err != nil || got.GetReady() != ready {
			t.Errorf("got %v, %v", got, err)
		}
		if got, err := h.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "any"}); err != nil || got.GetStatus() != status {
			t.Errorf("got %v, %v", got, err)
		}
	}
	f(true, grpc_health_v1.HealthCheckResponse_SERVING)
	s.notReady = true
	f(false, grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	if got, err := c.ModelReady(t.Context(), &pb.ModelReadyRequest{Name: "nope"}); err != nil || got.GetReady() {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := c.ModelReady(t.Context(), &pb.ModelReadyRequest{Name: "double", Version: "2"}); err != nil || !got.GetReady() {
		t.Errorf("got %v, %v", got, err)
	}
}

// A watcher is told the status at once, and leaves with the stop.
func TestHealthWatch(t *testing.T) {
	r := start(t, &stub{}, nil)
	w, err := grpc_health_v1.NewHealthClient(r.connect(t)).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := w.Recv(); err != nil || m.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("got %v, %v", m, err)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	_, err = w.Recv()
	wantCode(t, err, codes.Unavailable)
}

func TestRepository(t *testing.T) {
	s := &stub{explicit: true}
	r := start(t, s, func(o *options) { o.front.Callers = access.Keys(map[string]string{"alice": "0123456789abcdef"}) })
	c := r.dial(t)
	index, err := c.RepositoryIndex(t.Context(), &pb.RepositoryIndexRequest{Ready: true})
	if err != nil || len(index.GetModels()) != 1 || index.GetModels()[0].GetVersion() != "1" {
		t.Errorf("got %v, %v", index, err)
	}
	_, err = c.RepositoryModelLoad(t.Context(), &pb.RepositoryModelLoadRequest{ModelName: "m"})
	wantCode(t, err, codes.Unauthenticated)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer 0123456789abcdef", "sluice-change-reason", "a test")
	if _, err := c.RepositoryModelLoad(ctx, &pb.RepositoryModelLoadRequest{ModelName: "m"}); err != nil {
		t.Error(err)
	}
	// KServe's messages have the name of the model where Triton's have that of a repository.
	if m, err := c.RepositoryModelUnload(ctx, &pb.RepositoryModelUnloadRequest{RepositoryName: "m"}); err != nil || m.GetModelName() != "m" || !m.GetIsUnloaded() {
		t.Errorf("got %v, %v", m, err)
	}
	_, err = c.RepositoryModelLoad(ctx, &pb.RepositoryModelLoadRequest{ModelName: "m", Parameters: map[string]*pb.ModelRepositoryParameter{"config": {}}})
	wantCode(t, err, codes.Unimplemented)
	_, err = c.RepositoryModelLoad(ctx, &pb.RepositoryModelLoadRequest{ModelName: "../m"})
	wantCode(t, err, codes.InvalidArgument)
	if want := []string{"load m", "unload m"}; !cmp.Equal(s.loaded, want) {
		t.Errorf("got %v, want %v", s.loaded, want)
	}
	if want := (api.Actor{Actor: "alice", Verified: true, Reason: "a test"}); !cmp.Equal(s.by[0], want) {
		t.Errorf("by %+v", s.by[0])
	}
}

// Settings are read by anyone, and changed by who may load a model. What is not there says so, and
// what clients ask before they use it succeeds.
func TestSettings(t *testing.T) {
	s := &stub{}
	c := start(t, s, func(o *options) { o.front.Callers = access.Keys(map[string]string{"alice": "0123456789abcdef"}) }).dial(t)
	alice := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer 0123456789abcdef")
	logs, err := c.LogSettings(t.Context(), &pb.LogSettingsRequest{})
	if err != nil || !logs.GetSettings()["log_info"].GetBoolParam() {
		t.Errorf("got %v, %v", logs, err)
	}
	_, err = c.LogSettings(t.Context(), &pb.LogSettingsRequest{Settings: map[string]*pb.LogSettingsRequest_SettingValue{"log_info": {}}})
	wantCode(t, err, codes.Unauthenticated)
	_, err = c.LogSettings(alice, &pb.LogSettingsRequest{Settings: map[string]*pb.LogSettingsRequest_SettingValue{"log_info": {}}})
	wantCode(t, err, codes.InvalidArgument)
	off := &pb.LogSettingsRequest_SettingValue{ParameterChoice: &pb.LogSettingsRequest_SettingValue_BoolParam{}}
	if _, err = c.LogSettings(alice, &pb.LogSettingsRequest{Settings: map[string]*pb.LogSettingsRequest_SettingValue{"log_info": off}}); err != nil {
		t.Error(err)
	}
	traces, err := c.TraceSetting(t.Context(), &pb.TraceSettingRequest{ModelName: "double"})
	if err != nil || !cmp.Equal(traces.GetSettings()["trace_level"].GetValue(), []string{"OFF"}) {
		t.Errorf("got %v, %v", traces, err)
	}
	_, err = c.TraceSetting(alice, &pb.TraceSettingRequest{ModelName: "nope"})
	wantCode(t, err, codes.NotFound)
	level := &pb.TraceSettingRequest{ModelName: "double", Settings: map[string]*pb.TraceSettingRequest_SettingValue{"trace_level": {Value: []string{"TIMESTAMPS"}}}}
	_, err = c.TraceSetting(t.Context(), level)
	wantCode(t, err, codes.Unauthenticated)
	if _, err = c.TraceSetting(alice, level); err != nil {
		t.Error(err)
	}
	if want := []string{"logs by alice", "traces of double by alice"}; !cmp.Equal(s.settings.done, want) {
		t.Errorf("what was set is %q", s.settings.done)
	}
	if m, err := c.SystemSharedMemoryStatus(t.Context(), &pb.SystemSharedMemoryStatusRequest{}); err != nil || len(m.GetRegions()) != 0 {
		t.Errorf("got %v, %v", m, err)
	}
	_, err = c.CudaSharedMemoryStatus(t.Context(), &pb.CudaSharedMemoryStatusRequest{Name: "r"})
	wantCode(t, err, codes.NotFound)
	if _, err := c.CudaSharedMemoryUnregister(t.Context(), &pb.CudaSharedMemoryUnregisterRequest{}); err != nil {
		t.Error(err)
	}
	_, err = c.SystemSharedMemoryRegister(t.Context(), &pb.SystemSharedMemoryRegisterRequest{Name: "r"})
	wantCode(t, err, codes.Unimplemented)
}

func TestReflection(t *testing.T) {
	st, err := grpc_reflection_v1.NewServerReflectionClient(start(t, &stub{}, nil).connect(t)).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range []string{"inference.GRPCInferenceService", "sluice.v1.Labels"} {
		ask := &grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service}}
		if err := st.Send(ask); err != nil {
			t.Fatal(err)
		}
		if m, err := st.Recv(); err != nil || len(m.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
			t.Errorf("%s: got %v, %v", service, m, err)
		}
	}
	if err := st.CloseSend(); err != nil {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	ca := pki.New(t)
	r := start(t, &stub{}, func(o *options) {
		o.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Valid(t, "server").TLS(t)}, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}
	})
	trusting := ca.Client(t)
	trusting.ServerName = "localhost"
	conn, err := grpc.NewClient(r.at, grpc.WithTransportCredentials(credentials.NewTLS(trusting)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the calls have ended
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := pb.NewGRPCInferenceServiceClient(conn).ModelInfer(ctx, raw("", make([]float32, 4<<10)...)); err != nil {
		t.Error(err)
	}
	plain, err := net.Dial("tcp", r.at)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close() //nolint:errcheck // the server has closed it
	if _, err := plain.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	for r.FailedHandshakes() == 0 {
		time.Sleep(time.Millisecond)
	}
}
