package app

import (
	"cmp"
	"slices"
	"strconv"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/reconcile"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/oip"
)

// ModelConfig implements httpapi.Describer and grpcapi.Describer. A route has the configuration of
// its default version, under its own name.
func (c control) ModelConfig(name string, version int64) (oip.ModelConfig, error) {
	m, err := c.Model(name, version)
	if err != nil {
		return oip.ModelConfig{}, err
	}
	cfg := c.app.config.Load().Model(m.Name)
	s := oip.Serving{
		MaxDelay: cfg.Batching.MaxDelay, PriorityLevels: cfg.PriorityLevels, DefaultPriority: cfg.DefaultPriority,
		MaxQueue: cfg.Batching.Queue.MaxRequests, Timeout: cfg.Timeout, Optimization: cfg.Optimization,
		Latest: cfg.Versions.Latest, Versions: cfg.Versions.Numbers,
	}
	if serving, ok := c.app.reconcile.Serving(infer.Version{Model: m.Name, Number: m.Version}); ok {
		detail := serving.Leased.Detail()
		s.Instances = detail.Instances
		s.GPU = len(detail.Providers) > 0 && onGPU(detail.Providers[0].Name)
		if detail.Batching.Enabled {
			s.MaxBatch = detail.Batching.MaxSize
		}
		if slices.Contains(detail.LabelsFrom, onnxfile.LabelsFile) {
			s.LabelsFile = onnxfile.LabelsFile
		}
	}
	return oip.NewModelConfig(name, front.Platform, m, &s), nil
}

// onGPU reports whether an execution provider runs models on one.
func onGPU(provider string) bool {
	switch provider {
	case "CUDAExecutionProvider", "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider", "ROCMExecutionProvider", "MIGraphXExecutionProvider", "DmlExecutionProvider":
		return true
	default:
		return false
	}
}

// Statistics implements httpapi.Describer and grpcapi.Describer. A route has the statistics of the versions that
// serve it, under its own name.
func (c control) Statistics(name string, version int64) ([]oip.ModelStatistics, error) {
	model := ""
	if name != "" {
		called, err := c.Model(name, version)
		if err != nil {
			return nil, err
		}
		model = called.Name
	}
	list := []oip.ModelStatistics{}
	for _, m := range c.app.reconcile.Models() {
		if m.State != api.StateReady || model != "" && m.Name != model || version != 0 && m.Version != version {
			continue
		}
		if s, ok := c.app.reconcile.Serving(infer.Version{Model: m.Name, Number: m.Version}); ok {
			list = append(list, statistics(cmp.Or(name, m.Name), m.Version, s))
		}
	}
	return list, nil
}

// statistics turns a version's counters into the protocol's document.
func statistics(name string, version int64, served reconcile.Served) oip.ModelStatistics {
	s := served.Series.Snapshot()
	doc := oip.ModelStatistics{
		Name: name, Version: strconv.FormatInt(version, 10), LastInference: s.LastInference,
		InferenceCount: s.InferenceCount, ExecutionCount: s.ExecutionCount,
		InferenceStats: oip.InferenceStatistics{
			Success: duration(s.Success), Fail: duration(s.Fail), Queue: duration(s.Queue),
			ComputeInput: duration(s.ComputeInput), ComputeInfer: duration(s.ComputeInfer), ComputeOutput: duration(s.ComputeOutput),
		},
	}
	for _, b := range s.Batches {
		doc.BatchStats = append(doc.BatchStats, oip.BatchStatistics{
			BatchSize: b.Size, ComputeInput: duration(b.ComputeInput), ComputeInfer: duration(b.ComputeInfer), ComputeOutput: duration(b.ComputeOutput),
		})
	}
	doc.MemoryUsage = []oip.MemoryUsage{{Type: "CPU", ByteSize: uint64(max(0, served.Leased.Memory().InstanceBytes))}}
	return doc
}

func duration(t metrics.Total) oip.StatisticDuration {
	return oip.StatisticDuration{Count: t.Count, NS: t.NS}
}
