package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/registry"
)

// servable is one version as it is composed here: batcher → slots → session.
type servable struct {
	session Session
	batcher *batch.Batcher
	detail  api.ModelDetail
	ended   chan error  // the result of the batcher's Run
	serving atomic.Bool // probe and warm-up are over: runs count from now on
}

// composer makes servables.
type composer struct {
	repo    *registry.Repository
	runtime Runtime
	log     *zap.Logger
}

// load verifies, loads, probes and warms a version that answers callers.
func (c *composer) load(ctx context.Context, v infer.Version, m config.Model, series *metrics.Version) (registry.Servable, string, error) {
	s, digest, err := c.servable(ctx, v, m, part{log: c.log, observe: func(r batch.Run) {
		series.ObserveRun(r.Rows, r.Members, r.Input, r.Compute, r.Output, r.Err)
	}})
	if err != nil {
		return nil, "", err // not s: a nil *servable is no nil Servable
	}
	c.log.Info("loaded", zap.String("model", v.Model), zap.Int64("version", v.Number), zap.String("digest", digest),
		zap.Any("providers", s.detail.Providers), zap.Int("instances", s.detail.Instances),
		zap.Bool("batching", s.detail.Batching.Enabled), zap.String("finding", s.detail.Batching.Reason))
	return s, digest, nil
}

// part is what distinguishes a servable that answers callers from a shadow's.
type part struct {
	log        *zap.Logger
	observe    func(batch.Run) // told of each run once it serves; may be nil
	background bool            // lowest priority of the OS
}

// servable verifies, loads, probes and warms a version. On an error everything it
// had taken is given back.
func (c *composer) servable(ctx context.Context, v infer.Version, m config.Model, p part) (*servable, string, error) {
	root, err := c.repo.Root(v)
	if err != nil {
		return nil, "", &infer.Error{Code: infer.Invalid, Msg: "cannot open the version's folder", Err: err}
	}
	defer root.Close() //nolint:errcheck // only read
	if err := onnxfile.VerifyExternalData(root, registry.ModelFile); err != nil {
		return nil, "", err
	}
	digest, err := c.repo.Digest(v)
	if err != nil {
		return nil, "", err
	}
	session, err := c.runtime.Load(filepath.Join(c.repo.Dir(v), registry.ModelFile), v, m)
	if err != nil {
		return nil, "", err
	}
	s, err := c.compose(session, m, p)
	if err != nil {
		return nil, "", errors.Join(err, session.Close())
	}
	if err := s.warm(ctx, m); err != nil {
		return nil, "", errors.Join(err, s.Shutdown(ctx))
	}
	s.serving.Store(true)
	return s, digest, nil
}

// compose builds slots and batcher over a session, and starts the batcher.
func (c *composer) compose(session Session, m config.Model, p part) (*servable, error) {
	slots, err := newSlots(session, instances(m))
	if err != nil {
		return nil, err
	}
	model := session.Model()
	finding := batchable(slots[0], model, m)
	s := &servable{session: session, ended: make(chan error, 1)}
	s.batcher, err = batch.New(batch.Options{
		Model: model, Slots: slots, Batchable: finding.Batchable,
		MaxSize: m.Batching.MaxSize, Split: m.Batching.Oversize == config.OversizeSplit, MaxDelay: m.Batching.MaxDelay,
		MaxRequests: m.Batching.Queue.MaxRequests, MaxBytes: int64(m.Batching.Queue.MaxBytes),
		Timeout: m.Timeout, PriorityLevels: m.PriorityLevels, DefaultPriority: m.DefaultPriority,
		ObserveRun: func(r batch.Run) {
			if p.observe != nil && s.serving.Load() {
				p.observe(r)
			}
		},
		Steady:     session.Steady(),
		Background: p.background,
		Logger:     p.log,
	})
	if err != nil {
		return nil, errors.Join(err, closeSlots(slots))
	}
	s.detail = api.ModelDetail{
		Inputs: describe(model.Inputs), Outputs: describe(model.Outputs), Instances: len(slots), Providers: session.Providers(),
		Batching: api.BatchingStatus{Enabled: finding.Batchable, Reason: finding.Reason},
	}
	if finding.Batchable {
		s.detail.Batching.MaxSize = m.Batching.MaxSize
	}
	go func() { s.ended <- s.batcher.Run(context.Background()) }() //nolint:forbidigo // it outlives the load; Shutdown waits for it
	return s, nil
}

// instances is the number of worker slots: as configured, else one per core.
func instances(m config.Model) int {
	if m.Instances > 0 {
		return m.Instances
	}
	return runtime.GOMAXPROCS(0)
}

func newSlots(session Session, n int) ([]batch.Slot, error) {
	slots := make([]batch.Slot, 0, n)
	for range n {
		slot, err := session.NewSlot()
		if err != nil {
			return nil, errors.Join(err, closeSlots(slots))
		}
		slots = append(slots, slot)
	}
	return slots, nil
}

func closeSlots(slots []batch.Slot) error {
	errs := make([]error, 0, len(slots))
	for _, s := range slots {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// batchable decides whether requests are joined: as configured, else by probing.
func batchable(slot batch.Slot, model *infer.Model, m config.Model) batch.Finding {
	switch m.Batching.Enabled {
	case config.BatchingOn:
		return batch.Finding{Batchable: true, Reason: "configured"}
	case config.BatchingOff:
		return batch.Finding{Batchable: false, Reason: "configured"}
	default:
		return batch.Probe(slot, model, batch.ProbeOptions{Tolerance: m.Batching.Tolerance})
	}
}

// warm runs a few example requests, as many at once as there are slots. A model
// that refuses them (random data may not suit it) is listed as not warmed; that
// never fails a load. The only error is a ctx that ended.
func (s *servable) warm(ctx context.Context, m config.Model) error {
	s.detail.Warmup = "ok"
	if !m.Warmup {
		s.detail.Warmup = "configured off"
		return nil
	}
	const rounds = 3
	for round := range rounds {
		errs := make(chan error, s.detail.Instances)
		for i := range s.detail.Instances {
			go func() { errs <- s.example(ctx, uint64(round), uint64(i)) }() // received below
		}
		for range s.detail.Instances {
			if err := <-errs; err != nil {
				s.detail.Warmup = "not warmed: the model refused example data"
			}
		}
		if s.detail.Warmup != "ok" {
			break
		}
	}
	return ctx.Err()
}

func (s *servable) example(ctx context.Context, seed1, seed2 uint64) error {
	model := s.session.Model()
	req := &infer.Request{Inputs: model.Example(1, rand.New(rand.NewPCG(seed1, seed2)))} //nolint:gosec // example data, fixed seed
	if err := model.Check(req); err != nil {
		return err
	}
	resp, err := s.batcher.Predict(ctx, req)
	if err == nil {
		resp.Release()
	}
	return err
}

// Predict implements registry.Servable.
func (s *servable) Predict(ctx context.Context, req *infer.Request) (*infer.Response, error) {
	return s.batcher.Predict(ctx, req)
}

// Model implements registry.Servable.
func (s *servable) Model() *infer.Model { return s.session.Model() }

// Queued implements registry.Servable.
func (s *servable) Queued() int { return s.batcher.Queued() }

// Memory implements registry.Servable.
func (s *servable) Memory() api.ModelMemory {
	return api.ModelMemory{SlotBytes: s.session.MemoryInUse()}
}

// Detail implements registry.Servable.
func (s *servable) Detail() *api.ModelDetail {
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
func (s *servable) Shutdown(ctx context.Context) error {
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
