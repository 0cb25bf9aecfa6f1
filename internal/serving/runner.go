package serving

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/config"
)

// runner is a batcher that runs, with instances of its own over the version's session.
type runner struct {
	batcher *batch.Batcher
	ended   chan error // the result of the batcher's Run
}

// start starts a batcher.
func (s *Version) start(batchable bool) (*runner, error) {
	m := &s.settings
	instances, err := newInstances(s.session, instanceCount(*m))
	if err != nil {
		return nil, err
	}
	r := &runner{ended: make(chan error, 1)}
	r.batcher, err = batch.New(batch.Options{
		Model: s.session.Model(), Instances: instances, Batchable: batchable,
		MaxSize: m.Batching.MaxSize, Split: m.Batching.Oversize == config.OversizeSplit, MaxDelay: m.Batching.MaxDelay,
		MaxRequests: m.Batching.Queue.MaxRequests, MaxBytes: int64(m.Batching.Queue.MaxBytes),
		Timeout: m.Timeout, PriorityLevels: m.PriorityLevels, DefaultPriority: cmp.Or(m.DefaultPriority, m.PriorityLevels),
		ObserveRun: func(run batch.Run) {
			if s.purpose.Run != nil && s.serving.Load() {
				s.purpose.Run(run)
			}
		},
		Steady:     s.session.Traits().Steady,
		Background: s.purpose.background,
		Logger:     s.purpose.log,
	})
	if err != nil {
		return nil, errors.Join(err, closeInstances(instances))
	}
	go func() { r.ended <- r.batcher.Run(context.Background()) }() //nolint:forbidigo // it outlives the load; shutdown waits for it
	return r, nil
}

// shutdown returns when the last run has returned, however long ago ctx ended.
func (r *runner) shutdown(ctx context.Context) error {
	err := r.batcher.Shutdown(ctx)
	if rerr := <-r.ended; rerr != nil {
		err = errors.Join(err, fmt.Errorf("batcher: %w", rerr))
	}
	return err
}
