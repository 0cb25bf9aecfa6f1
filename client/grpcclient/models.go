package grpcclient

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// Live returns nil if the gateway answers.
func (c *Client) Live(ctx context.Context) error {
	m, id, err := call(c.authorized(ctx), c, false, c.calls.ServerLive, &pb.ServerLiveRequest{})
	return isReady(m.GetLive(), id, err, "the gateway is not live")
}

// Ready returns nil if the gateway is ready, and otherwise an error.
func (c *Client) Ready(ctx context.Context) error {
	m, id, err := call(c.authorized(ctx), c, false, c.calls.ServerReady, &pb.ServerReadyRequest{})
	return isReady(m.GetReady(), id, err, "the gateway is not ready")
}

// ModelReady returns nil if a model or route is ready. Otherwise it returns a client.Error with
// status 503, also for an unknown name. Version 0 means the default version.
func (c *Client) ModelReady(ctx context.Context, model string, version int64) error {
	m, id, err := call(c.authorized(ctx), c, false, c.calls.ModelReady, &pb.ModelReadyRequest{Name: model, Version: versionText(version)})
	return isReady(m.GetReady(), id, err, fmt.Sprintf("model '%s' is not ready", model))
}

func isReady(ready bool, requestID string, err error, message string) error {
	if err == nil && !ready {
		return answered(codes.Unavailable, message, requestID)
	}
	return err
}

// ModelMetadata returns the signature of a model or route. It has no labels of outputs, which the
// messages do not have. Version 0 means the default version.
func (c *Client) ModelMetadata(ctx context.Context, model string, version int64) (client.Metadata, error) {
	m, _, err := call(c.authorized(ctx), c, true, c.calls.ModelMetadata, &pb.ModelMetadataRequest{Name: model, Version: versionText(version)})
	return client.Metadata{
		Name: m.GetName(), Versions: m.GetVersions(), Platform: m.GetPlatform(), Inputs: tensors(m.GetInputs()), Outputs: tensors(m.GetOutputs()),
	}, err
}

func tensors(list []*pb.ModelMetadataResponse_TensorMetadata) []client.TensorMetadata {
	tensors := make([]client.TensorMetadata, len(list))
	for i, t := range list {
		tensors[i] = client.TensorMetadata{Name: t.GetName(), Datatype: t.GetDatatype(), Shape: t.GetShape()}
	}
	return tensors
}

// Index returns every version of every model in the repository with its state.
func (c *Client) Index(ctx context.Context) ([]client.IndexEntry, error) {
	m, _, err := call(c.authorized(ctx), c, true, c.calls.RepositoryIndex, &pb.RepositoryIndexRequest{})
	index := make([]client.IndexEntry, len(m.GetModels()))
	for i, row := range m.GetModels() {
		index[i] = client.IndexEntry{Name: row.GetName(), Version: row.GetVersion(), State: row.GetState(), Reason: row.GetReason()}
	}
	return index, err
}

// Load loads a model, or its newer files, and returns when its versions serve. The gateway allows it
// only under explicit model control.
func (c *Client) Load(ctx context.Context, model string) error {
	_, _, err := call(c.acting(ctx), c, false, c.calls.RepositoryModelLoad, &pb.RepositoryModelLoadRequest{ModelName: model})
	return err
}

// Unload unloads a model. The gateway allows it only under explicit model control.
func (c *Client) Unload(ctx context.Context, model string) error {
	_, _, err := call(c.acting(ctx), c, false, c.calls.RepositoryModelUnload, &pb.RepositoryModelUnloadRequest{ModelName: model})
	return err
}

// acting is authorized that adds the actor.
func (c *Client) acting(ctx context.Context) context.Context {
	if c.actor != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "sluice-actor", c.actor)
	}
	return c.authorized(ctx)
}

// Statistics returns those of the versions of a model. An empty name means all models, and version 0
// all versions.
func (c *Client) Statistics(ctx context.Context, model string, version int64) ([]client.Statistics, error) {
	m, _, err := call(c.authorized(ctx), c, true, c.calls.ModelStatistics, &pb.ModelStatisticsRequest{Name: model, Version: versionText(version)})
	list := make([]client.Statistics, len(m.GetModelStats()))
	for i, s := range m.GetModelStats() {
		list[i] = statistics(s)
	}
	return list, err
}

func statistics(m *pb.ModelStatistics) client.Statistics {
	t := m.GetInferenceStats()
	s := client.Statistics{
		Name: m.GetName(), Version: m.GetVersion(), LastInference: int64(m.GetLastInference()), //nolint:gosec // a time
		InferenceCount: m.GetInferenceCount(), ExecutionCount: m.GetExecutionCount(),
		Inference: client.InferenceStatistics{
			Success: total(t.GetSuccess()), Fail: total(t.GetFail()), Queue: total(t.GetQueue()), ComputeInput: total(t.GetComputeInput()),
			ComputeInfer: total(t.GetComputeInfer()), ComputeOutput: total(t.GetComputeOutput()),
			CacheHit: total(t.GetCacheHit()), CacheMiss: total(t.GetCacheMiss()),
		},
	}
	for _, b := range m.GetBatchStats() {
		s.Batches = append(s.Batches, client.BatchStatistics{
			BatchSize: b.GetBatchSize(), ComputeInput: total(b.GetComputeInput()),
			ComputeInfer: total(b.GetComputeInfer()), ComputeOutput: total(b.GetComputeOutput()),
		})
	}
	for _, u := range m.GetMemoryUsage() {
		s.Memory = append(s.Memory, client.MemoryUsage{Type: u.GetType(), ID: u.GetId(), Bytes: u.GetByteSize()})
	}
	return s
}

func total(t *pb.StatisticDuration) client.Total {
	return client.Total{Count: t.GetCount(), Nanoseconds: t.GetNs()}
}
