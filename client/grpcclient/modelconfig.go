package grpcclient

import (
	"context"

	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// ModelConfig returns how a version is served. Version 0 means the default version.
func (c *Client) ModelConfig(ctx context.Context, model string, version int64) (client.ModelConfig, error) {
	m, _, err := call(c.authorized(ctx), c, true, c.calls.ModelConfig, &pb.ModelConfigRequest{Name: model, Version: versionText(version)})
	if err != nil {
		return client.ModelConfig{}, err
	}
	in := m.GetConfig()
	config := client.ModelConfig{
		Name: in.GetName(), Platform: in.GetPlatform(), Backend: in.GetBackend(), MaxBatchSize: in.GetMaxBatchSize(),
		VersionPolicy: versionPolicy(in.GetVersionPolicy()), DynamicBatching: batching(in.GetDynamicBatching()),
	}
	for _, t := range in.GetInput() {
		config.Inputs = append(config.Inputs, client.TensorConfig{Name: t.GetName(), DataType: t.GetDataType().String(), Dims: t.GetDims(), Optional: t.GetOptional()})
	}
	for _, t := range in.GetOutput() {
		config.Outputs = append(config.Outputs, client.TensorConfig{Name: t.GetName(), DataType: t.GetDataType().String(), Dims: t.GetDims()})
	}
	for _, g := range in.GetInstanceGroup() {
		config.InstanceGroups = append(config.InstanceGroups, client.InstanceGroup{Name: g.GetName(), Kind: g.GetKind().String(), Count: g.GetCount()})
	}
	return config, nil
}

func versionPolicy(m *pb.ModelVersionPolicy) (policy client.VersionPolicy) {
	switch choice := m.GetPolicyChoice().(type) {
	case *pb.ModelVersionPolicy_Latest_:
		policy.Latest = &client.LatestVersions{Count: choice.Latest.GetNumVersions()}
	case *pb.ModelVersionPolicy_All_:
		policy.All = &struct{}{}
	case *pb.ModelVersionPolicy_Specific_:
		policy.Specific = &client.SpecificVersions{Versions: choice.Specific.GetVersions()}
	}
	return policy
}

func batching(m *pb.ModelDynamicBatching) *client.DynamicBatching {
	if m == nil {
		return nil
	}
	queue := m.GetDefaultQueuePolicy()
	return &client.DynamicBatching{
		PreferredBatchSize: m.GetPreferredBatchSize(), MaxQueueDelayMicroseconds: m.GetMaxQueueDelayMicroseconds(),
		PriorityLevels: m.GetPriorityLevels(), DefaultPriorityLevel: m.GetDefaultPriorityLevel(),
		DefaultQueuePolicy: client.QueuePolicy{
			DefaultTimeoutMicroseconds: queue.GetDefaultTimeoutMicroseconds(), AllowTimeoutOverride: queue.GetAllowTimeoutOverride(),
			MaxQueueSize: queue.GetMaxQueueSize(),
		},
	}
}
