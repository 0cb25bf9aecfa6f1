package serving

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

// Version is a loaded version that answers callers: batcher → slots → session. It is a
// registry.Servable.
type Version struct {
	session Session
	batcher *batch.Batcher
	detail  api.ModelDetail
	ended   chan error  // the result of the batcher's Run
	serving atomic.Bool // probe and warm-up are over: runs count from now on
}

// Predict implements registry.Servable.
func (s *Version) Predict(ctx context.Context, req *infer.Request) (*infer.Response, error) {
	return s.batcher.Predict(ctx, req)
}

// Model implements registry.Servable.
func (s *Version) Model() *infer.Model { return s.session.Model() }

// Queued implements registry.Servable.
func (s *Version) Queued() int { return s.batcher.Queued() }

// Memory implements registry.Servable.
func (s *Version) Memory() api.ModelMemory {
	return api.ModelMemory{SlotBytes: s.session.MemoryInUse()}
}

// Detail implements registry.Servable.
func (s *Version) Detail() *api.ModelDetail {
	detail := s.detail
	detail.Batching.RunTimes = runTimes(s.batcher.Fits(mostRunTimes))
	return &detail
}

// mostRunTimes is of how many shapes a version's detail tells the run times.
const mostRunTimes = 16

func runTimes(fits []batch.Fit) []api.RunTime {
	times := make([]api.RunTime, len(fits))
	for i, f := range fits {
		times[i] = api.RunTime{
			Shape: f.Shape, Runs: f.Runs, MinRows: f.MinRows, MaxRows: f.MaxRows,
			Fixed: api.Duration(f.Fixed), PerRow: api.Duration(f.PerRow), RunRows: f.RunRows, Gain: f.Gain, Joined: f.Joined,
		}
	}
	return times
}

// Shutdown implements registry.Servable. The session is closed when the last
// run has returned, however long ago ctx ended.
func (s *Version) Shutdown(ctx context.Context) error {
	err := s.batcher.Shutdown(ctx)
	if rerr := <-s.ended; rerr != nil {
		err = errors.Join(err, fmt.Errorf("batcher: %w", rerr))
	}
	return errors.Join(err, s.session.Close())
}

func describe(specs []infer.TensorSpec) []api.Tensor {
	tensors := make([]api.Tensor, len(specs))
	for i, s := range specs {
		tensors[i] = api.Tensor{Name: s.Name, Datatype: s.DType.String(), Shape: s.Shape, Symbols: s.Symbols, Optional: s.Optional}
	}
	return tensors
}
