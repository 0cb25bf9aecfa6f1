package serving

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
)

// Version is a loaded version that answers callers: batcher → instances → session. It is a
// registry.Servable.
type Version struct {
	session  Session
	runner   atomic.Pointer[runner]
	settings config.Model
	purpose  purpose
	detail   api.ModelDetail
	finding  batch.Finding
	serving  atomic.Bool // probe and warm-up are over: runs count from now on
	trial    *trial      // it finds out whether requests can be joined; nil if that is known

	changing sync.Mutex             // locked while a batcher is replaced
	joins    bool                   // whether batchers join requests
	control  atomic.Pointer[runner] // of a control variant; nil for none
	retiring sync.WaitGroup         // replaced batchers

	ending context.Context //nolint:containedctx // ends when replaced batchers must end at once
	cut    context.CancelFunc
}

// Predict implements registry.Servable.
func (s *Version) Predict(ctx context.Context, req *infer.Request) (*infer.Response, error) {
	return s.predict(ctx, req, &s.runner)
}

// predict has the batcher in from serve, or that of all requests if there is none.
func (s *Version) predict(ctx context.Context, req *infer.Request, from *atomic.Pointer[runner]) (*infer.Response, error) {
	for {
		r := from.Load()
		if r == nil {
			from = &s.runner
			continue
		}
		resp, err := r.batcher.Predict(ctx, req)
		if err != nil && infer.CodeOf(err) == infer.Unavailable && from.Load() != r {
			continue // it was replaced before it accepted the request
		}
		if err == nil && s.trial != nil {
			s.trial.Offer(req, resp)
		}
		return resp, err
	}
}

// Model implements registry.Servable.
func (s *Version) Model() *infer.Model { return s.session.Model() }

// Queued implements registry.Servable.
func (s *Version) Queued() int {
	n := s.runner.Load().batcher.Queued()
	if c := s.control.Load(); c != nil {
		n += c.batcher.Queued()
	}
	return n
}

// Memory implements registry.Servable.
func (s *Version) Memory() api.ModelMemory {
	n := s.session.MemoryInUse()
	return api.ModelMemory{InstanceBytes: n, SlotBytes: n} //nolint:staticcheck // the old name is written for one release
}

// Detail implements registry.Servable.
func (s *Version) Detail() *api.ModelDetail {
	detail, finding := s.detail, s.finding
	if s.trial != nil {
		finding = s.trial.Finding()
	}
	detail.Batching = finding.Status(s.settings.Batching.MaxSize)
	detail.Batching.RunTimes = runTimes(s.runner.Load().batcher.Fits(maxRunTimes))
	return &detail
}

// Shutdown implements registry.Servable. No SetControl may come after it. It closes the session when the last run has returned,
// even if ctx has ended.
func (s *Version) Shutdown(ctx context.Context) error {
	detach := context.AfterFunc(ctx, s.cut)
	defer detach()
	var err error
	if s.trial != nil {
		err = s.trial.stop(ctx)
	}
	s.SetControl(false)
	err = errors.Join(err, s.runner.Load().stop(ctx))
	s.retiring.Wait()
	return errors.Join(err, s.session.Close())
}

// maxRunTimes is the number of shapes whose run times the detail of a version shows.
const maxRunTimes = 16

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

func describe(specs []infer.TensorSpec) []api.Tensor {
	tensors := make([]api.Tensor, len(specs))
	for i, s := range specs {
		tensors[i] = api.Tensor{Name: s.Name, Datatype: s.DType.String(), Shape: s.Shape, Symbols: s.Symbols, Optional: s.Optional, Labels: s.Labels}
	}
	return tensors
}
