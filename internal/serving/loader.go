package serving

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/registry"
)

// Loader makes versions ready. Its methods may be called from any goroutine.
type Loader struct {
	repo    *registry.Repository
	runtime Runtime
	log     *zap.Logger
}

// NewLoader returns a loader of the repository's versions.
func NewLoader(repo *registry.Repository, runtime Runtime, log *zap.Logger) *Loader {
	return &Loader{repo: repo, runtime: runtime, log: log}
}

// Load makes a version ready that answers callers. observe is told of each run that
// serves them. The digest is returned with an error too if it is known by then.
// Errors are *infer.Error and name no path of the host.
func (l *Loader) Load(ctx context.Context, v infer.Version, m config.Model, observe func(batch.Run)) (_ *Version, digest string, err error) {
	s, digest, err := l.load(ctx, v, m, purpose{log: l.log, observe: observe})
	if err != nil {
		return nil, digest, err
	}
	l.log.Info("loaded", zap.String("model", v.Model), zap.Int64("version", v.Number), zap.String("digest", digest),
		zap.Any("providers", s.detail.Providers), zap.Int("instances", s.detail.Instances),
		zap.Bool("batching", s.detail.Batching.Enabled), zap.String("finding", s.detail.Batching.Reason))
	return s, digest, nil
}

// purpose is what distinguishes a version that answers callers from a shadow's.
type purpose struct {
	log        *zap.Logger
	observe    func(batch.Run) // told of each run once the version serves; may be nil
	background bool            // runs have the lowest priority of the OS
}

// load verifies, loads, probes and warms a version. On an error everything it had
// taken is given back.
func (l *Loader) load(ctx context.Context, v infer.Version, m config.Model, p purpose) (_ *Version, digest string, err error) {
	files, err := l.repo.Open(v)
	if err != nil {
		return nil, "", err
	}
	defer files.Close() //nolint:errcheck // only read
	if err := onnxfile.VerifyExternalData(files.Root, registry.ModelFile); err != nil {
		return nil, "", err
	}
	if digest, err = files.Digest(ctx); err != nil {
		return nil, "", err
	}
	session, err := l.runtime.Load(files.Path(registry.ModelFile), v, m)
	if err != nil {
		return nil, digest, err
	}
	trial, cancel := context.WithTimeout(ctx, m.WarmupTimeout)
	defer cancel()
	s, err := compose(session, m, p)
	if err != nil {
		return nil, digest, errors.Join(err, session.Close())
	}
	s.warm(trial, m)
	if err := ctx.Err(); err != nil {
		return nil, digest, errors.Join(infer.Errorf(infer.CodeOf(err), "the load was given up"), s.Shutdown(ctx))
	}
	s.serving.Store(true)
	return s, digest, nil
}

// compose builds slots and a batcher over a session, and starts the batcher.
func compose(session Session, m config.Model, p purpose) (*Version, error) {
	slots, err := newSlots(session, instances(m))
	if err != nil {
		return nil, err
	}
	model := session.Model()
	finding := Batchable(slots[0], model, m)
	s := &Version{session: session, ended: make(chan error, 1)}
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
