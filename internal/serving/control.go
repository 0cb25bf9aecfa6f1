package serving

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
)

// PredictControl is Predict for requests of a control variant. They have a queue and instances of their own over the
// same session, as many as the canary has. Without those a canary would be compared with requests that wait in a far longer queue
// and are joined in far larger runs. Before SetControl they are served as all others.
func (s *Version) PredictControl(ctx context.Context, req *infer.Request) (*infer.Response, error) {
	return s.predict(ctx, req, &s.control)
}

// SetControl makes the queue and the instances of a control variant, or frees them once they have answered what they have
// accepted. It does not wait for a run. If they cannot be made, that is logged, and requests of the control are served as all others.
func (s *Version) SetControl(on bool) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if on == (s.control.Load() != nil) {
		return
	}
	if !on {
		s.retire(s.control.Swap(nil))
		return
	}
	next, err := s.start(s.joins)
	if err != nil {
		model := s.session.Model()
		s.purpose.log.Error("a control has no queue of its own", zap.String("model", model.Name), zap.Int64("version", model.Version), zap.Error(err))
		return
	}
	s.control.Store(next)
}

// retire stops a replaced batcher, which answers the requests that it has accepted. Shutdown waits for that.
func (s *Version) retire(old *runner) {
	s.retiring.Go(func() {
		if err := old.stop(s.ending); err != nil && !errors.Is(err, context.Canceled) {
			model := s.session.Model()
			s.purpose.log.Error("a replaced batcher ended with an error", zap.String("model", model.Name), zap.Int64("version", model.Version), zap.Error(err))
		}
	})
}
