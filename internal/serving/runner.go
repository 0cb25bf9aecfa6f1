package serving

import (
	"cmp"
	"context"
	"errors"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/config"
)

// service is a part that works from Run until Shutdown.
type service interface {
	Run(ctx context.Context) error
	Shutdown(ctx context.Context) error
}

// running is a service that is running.
type running struct {
	service service
	ended   chan error // the result of Run
}

// run starts a service, which outlives the load that starts it.
func run(s service) running {
	r := running{service: s, ended: make(chan error, 1)}
	go func() { r.ended <- s.Run(context.Background()) }() //nolint:forbidigo // it outlives the load; stop waits for it
	return r
}

// stop shuts the service down. It returns when nothing of it runs any more, even if ctx has
// ended.
func (r running) stop(ctx context.Context) error {
	err := r.service.Shutdown(ctx)
	return errors.Join(err, <-r.ended)
}

// runner is a running batcher, with instances of its own over the version's session.
type runner struct {
	running
	batcher *batch.Batcher
}

// start starts a batcher.
func (s *Version) start(batchable bool) (*runner, error) {
	m := &s.settings
	instances, err := newInstances(s.session, instanceCount(*m))
	if err != nil {
		return nil, err
	}
	b, err := batch.New(batch.Options{
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
	return &runner{run(b), b}, nil
}
