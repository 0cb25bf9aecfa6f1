package serving

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/batch"
)

// trial is a running trial.
type trial struct {
	running
	*batch.Trial
}

// try starts a trial with real requests if the probe did not decide whether requests can be
// joined.
func (s *Version) try() {
	m, model := &s.settings.Batching, s.session.Model()
	if !s.finding.Undecided || !m.Trial.Enabled {
		return
	}
	t, err := batch.NewTrial(batch.TrialOptions{
		Model: model, NewInstance: s.session.NewInstance, Why: s.finding, Tolerance: m.Tolerance, MaxSize: m.MaxSize,
		Requests: m.Trial.Requests, MaxBytes: int64(m.Trial.MaxBytes), CheckEvery: m.Trial.CheckEvery, Timeout: s.settings.Timeout,
		Settled: s.settled, Logger: s.purpose.log,
	})
	if err != nil {
		s.purpose.log.Error("a trial of batching cannot start", zap.String("model", model.Name), zap.Int64("version", model.Version), zap.Error(err))
		return
	}
	s.trial = &trial{run(t), t}
}

// settled replaces the batcher by one that joins requests, or by one that no longer does. The
// old one answers the requests that it has accepted. It runs on the trial's goroutine.
func (s *Version) settled(f batch.Finding) {
	model := s.session.Model()
	log := s.purpose.log.With(zap.String("model", model.Name), zap.Int64("version", model.Version))
	log.Info("batching is decided", zap.Bool("batching", f.Batchable), zap.String("finding", f.Reason))
	if s.purpose.Settled != nil {
		s.purpose.Settled(f)
	}
	if s.joins == f.Batchable {
		return
	}
	next, err := s.start(f.Batchable)
	if err != nil {
		log.Error("the batcher cannot be replaced after a trial", zap.Error(err))
		return
	}
	s.joins = f.Batchable
	if err := s.runner.Swap(next).stop(s.ending); err != nil && !errors.Is(err, context.Canceled) {
		log.Error("a replaced batcher ended with an error", zap.Error(err))
	}
}
