package serving

import (
	"context"
	"errors"
	"runtime"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/config"
)

// instanceCount is the number of instances of a version: as configured, else one per core.
func instanceCount(m config.Model) int {
	if m.Instances > 0 {
		return m.Instances
	}
	return runtime.GOMAXPROCS(0)
}

func newInstances(session Session, n int) ([]batch.Instance, error) {
	instances := make([]batch.Instance, 0, n)
	for range n {
		instance, err := session.NewInstance()
		if err != nil {
			return nil, errors.Join(err, closeInstances(instances))
		}
		instances = append(instances, instance)
	}
	return instances, nil
}

func closeInstances(instances []batch.Instance) error {
	errs := make([]error, 0, len(instances))
	for _, instance := range instances {
		errs = append(errs, instance.Close())
	}
	return errors.Join(errs...)
}

// Batchable decides whether requests are joined: by the configuration, or else by a probe.
func Batchable(ctx context.Context, instance batch.Instance, session Session, m config.Model) batch.Finding {
	switch m.Batching.Enabled {
	case config.BatchingOn:
		return batch.Configured(true)
	case config.BatchingOff:
		return batch.Configured(false)
	default:
		return batch.Probe(ctx, instance, session.Model(), batch.ProbeOptions{
			Tolerance: m.Batching.Tolerance, Mixes: session.Traits().Mixes,
			Timeout: m.Batching.Probe.Timeout, MaxBytes: int64(m.Batching.Probe.MaxBytes),
		})
	}
}

// find is Batchable on an instance of its own.
func find(ctx context.Context, session Session, m config.Model) (batch.Finding, error) {
	instance, err := session.NewInstance()
	if err != nil {
		return batch.Finding{}, err
	}
	return Batchable(ctx, instance, session, m), instance.Close()
}
