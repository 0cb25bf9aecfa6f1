package grpcapi

import (
	"cmp"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// needs has what each method needs of its callers. Nobody may use one without an entry, and Listen
// panics. The model of an inference, or of labels, is in its message: Some is checked before that is read, and the
// model after.
var needs = [...]callers.Endpoint{
	{Name: pb.GRPCInferenceService_ServerLive_FullMethodName, Need: callers.Need{Scope: callers.Open}},
	{Name: pb.GRPCInferenceService_ServerReady_FullMethodName, Need: callers.Need{Scope: callers.Open}},
	{Name: grpc_health_v1.Health_Check_FullMethodName, Need: callers.Need{Scope: callers.Open}},
	{Name: grpc_health_v1.Health_List_FullMethodName, Need: callers.Need{Scope: callers.Open}},
	{Name: grpc_health_v1.Health_Watch_FullMethodName, Need: callers.Need{Scope: callers.Open}},
	{Name: grpc_reflection_v1.ServerReflection_ServerReflectionInfo_FullMethodName, Need: callers.OnSome(callers.Metadata)},
	{Name: grpc_reflection_v1alpha.ServerReflection_ServerReflectionInfo_FullMethodName, Need: callers.OnSome(callers.Metadata)},
	{Name: pb.GRPCInferenceService_ServerMetadata_FullMethodName, Need: callers.OnSome(callers.Metadata)},
	{Name: pb.GRPCInferenceService_ModelReady_FullMethodName, Need: callers.On(callers.Metadata)},
	{Name: pb.GRPCInferenceService_ModelMetadata_FullMethodName, Need: callers.On(callers.Metadata)},
	{Name: pb.GRPCInferenceService_ModelConfig_FullMethodName, Need: callers.On(callers.Metadata)},
	{Name: pb.GRPCInferenceService_RepositoryIndex_FullMethodName, Need: callers.OnSome(callers.Metadata)},
	{Name: pb.GRPCInferenceService_ModelStatistics_FullMethodName, Need: callers.OnSome(callers.Statistics)}, // and of the model, if it names one
	{Name: pb.GRPCInferenceService_ModelInfer_FullMethodName, Need: callers.OnSome(callers.Infer)},
	{Name: pb.GRPCInferenceService_ModelStreamInfer_FullMethodName, Need: callers.OnSome(callers.Infer)},
	{Name: pb.Labels_Send_FullMethodName, Need: callers.OnSome(callers.Label)},
	{Name: pb.GRPCInferenceService_RepositoryModelLoad_FullMethodName, Need: callers.On(callers.Load)},
	{Name: pb.GRPCInferenceService_RepositoryModelUnload_FullMethodName, Need: callers.On(callers.Load)},
	{Name: pb.GRPCInferenceService_TraceSetting_FullMethodName, Need: callers.OnSome(callers.Metadata)}, // a change needs Admin
	{Name: pb.GRPCInferenceService_LogSettings_FullMethodName, Need: callers.OnSome(callers.Metadata)},  // a change needs Admin
	{Name: pb.GRPCInferenceService_SystemSharedMemoryStatus_FullMethodName, Need: callers.OnSome(callers.Metadata)},
	{Name: pb.GRPCInferenceService_SystemSharedMemoryRegister_FullMethodName, Need: callers.OnSome(callers.Infer)},
	{Name: pb.GRPCInferenceService_SystemSharedMemoryUnregister_FullMethodName, Need: callers.OnSome(callers.Infer)},
	{Name: pb.GRPCInferenceService_CudaSharedMemoryStatus_FullMethodName, Need: callers.OnSome(callers.Metadata)},
	{Name: pb.GRPCInferenceService_CudaSharedMemoryRegister_FullMethodName, Need: callers.OnSome(callers.Infer)},
	{Name: pb.GRPCInferenceService_CudaSharedMemoryUnregister_FullMethodName, Need: callers.OnSome(callers.Infer)},
}

// Endpoints returns the methods, and what each needs of its callers.
func Endpoints() []callers.Endpoint { return slices.Clone(needs[:]) }

// needsOf returns the needs of all methods of a server.
func needsOf(services map[string]grpc.ServiceInfo) map[string]callers.Need {
	all := make(map[string]callers.Need, len(needs))
	for _, n := range needs {
		all[n.Name] = n.Need
	}
	for service, info := range services {
		for _, m := range info.Methods {
			if name := "/" + service + "/" + m.Name; all[name].Scope == callers.Undeclared {
				panic("BUG: " + name + " is not in the table of needs")
			}
		}
	}
	return all
}

// overrideHeader names the version that a caller chooses.
const overrideHeader = "sluice-override"

// identify checks that the caller may use a method, on the model that its request names.
func (x *exchange) identify(need callers.Need, model string) error {
	authorization, err := x.field("authorization")
	if err != nil {
		return err
	}
	x.caller, err = x.srv.front.Authorize(callers.Credentials{Authorization: authorization, Names: x.names, Remote: x.remote}, need, model)
	return err
}

// admitInference checks that the caller may make the inference that was read, and that its limits
// admit it.
func (x *exchange) admitInference() error {
	model := x.request.model
	if x.caller == nil { // a request of a stream, whose caller may have lost its rights since the stream began
		if err := x.identify(callers.Need{Action: callers.Infer, Scope: callers.Model}, model); err != nil {
			return err
		}
	} else if err := x.caller.May(callers.Infer, model); err != nil {
		return err
	}
	if x.request.version == "" && len(x.header.Get(overrideHeader)) > 0 {
		if err := x.caller.May(callers.Override, model); err != nil {
			return err
		}
	}
	return x.srv.front.Admit(x.caller, model, x.arrived, &x.memory)
}

// admitCall checks that the caller may make a call that is not an inference, and that its limits
// admit it.
func (x *exchange) admitCall(message any) error {
	need, model := x.srv.needs[x.method], modelOf(message)
	switch {
	case changesSettings(message):
		need = callers.Need{Action: callers.Admin, Scope: callers.Every}
	case model != "" && need.Scope == callers.Some: // one model instead of all
		need.Scope = callers.Model
	}
	if err := x.identify(need, model); err != nil {
		return err
	}
	return x.srv.front.Admit(x.caller, model, x.arrived, &x.memory)
}

// modelOf returns the model that a message names, "" if it names none.
func modelOf(message any) string {
	switch m := message.(type) {
	case *pb.ModelReadyRequest:
		return m.GetName()
	case *pb.ModelMetadataRequest:
		return m.GetName()
	case *pb.ModelConfigRequest:
		return m.GetName()
	case *pb.ModelStatisticsRequest:
		return m.GetName()
	case *pb.TraceSettingRequest:
		return m.GetModelName()
	case *pb.RepositoryModelLoadRequest: // KServe has the name in the field of Triton's repository_name
		return cmp.Or(m.GetModelName(), m.GetRepositoryName())
	case *pb.RepositoryModelUnloadRequest:
		return cmp.Or(m.GetModelName(), m.GetRepositoryName())
	default:
		return ""
	}
}

// changesSettings reports whether a message changes what is logged or traced.
func changesSettings(message any) bool {
	switch m := message.(type) {
	case *pb.TraceSettingRequest:
		return len(m.GetSettings()) > 0
	case *pb.LogSettingsRequest:
		return len(m.GetSettings()) > 0
	default:
		return false
	}
}

// namesOf returns the names in the certificate of a connection's client.
func namesOf(info credentials.AuthInfo) []string {
	secure, ok := info.(credentials.TLSInfo)
	if !ok || len(secure.State.VerifiedChains) == 0 {
		return nil
	}
	return callers.NamesOf(secure.State.VerifiedChains[0][0])
}
