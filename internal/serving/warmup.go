package serving

import (
	"context"
	"math/rand/v2"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
)

// warm runs a few example requests, as many at a time as there are instances, until ctx ends. A
// model that refuses them (random data may not suit it), or that takes too long, is listed as
// not warmed. That never fails a load.
func (s *Version) warm(ctx context.Context, m config.Model) {
	s.detail.Warmup = "ok"
	if !m.Warmup {
		s.detail.Warmup = "configured off"
		return
	}
	const rounds = 3
	for round := range rounds {
		errs := make(chan error, s.detail.Instances)
		for i := range s.detail.Instances {
			go func() { errs <- s.example(ctx, uint64(round), uint64(i)) }() // the loop below receives the result
		}
		for range s.detail.Instances {
			switch err := <-errs; {
			case err == nil:
			case infer.CodeOf(err) == infer.Deadline:
				s.detail.Warmup = "not warmed: example data took longer than warmup_timeout or timeout allows"
			default:
				s.detail.Warmup = "not warmed: the model refused example data"
			}
		}
		if s.detail.Warmup != "ok" {
			return
		}
	}
}

func (s *Version) example(ctx context.Context, seed1, seed2 uint64) error {
	model := s.session.Model()
	req := &infer.Request{Inputs: model.Example(1, rand.New(rand.NewPCG(seed1, seed2)))} //nolint:gosec // example data, fixed seed
	if err := model.Check(req); err != nil {
		return err
	}
	resp, err := s.Predict(ctx, req)
	if err == nil {
		resp.Release()
	}
	return err
}
