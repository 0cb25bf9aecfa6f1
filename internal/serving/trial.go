package serving

import (
	"sync/atomic"

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

// settled replaces the batchers by ones that join requests, or by ones that no longer do. The
// old ones answer the requests that they have accepted. It runs on the trial's goroutine.
func (s *Version) settled(f batch.Finding) {
	model := s.session.Model()
	log := s.purpose.log.With(zap.String("model", model.Name), zap.Int64("version", model.Version))
	log.Info("batching is decided", zap.Bool("batching", f.Batchable), zap.String("finding", f.Reason))
	if s.purpose.Settled != nil {
		s.purpose.Settled(f)
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.joins == f.Batchable {
		return
	}
	for _, place := range []*atomic.Pointer[runner]{&s.runner, &s.control} {
		if place.Load() == nil {
			continue
		}
		next, err := s.start(f.Batchable)
		if err != nil {
			log.Error("the batcher cannot be replaced after a trial", zap.Error(err))
			return
		}
		s.retire(place.Swap(next))
	}
	s.joins = f.Batchable
}
