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

// Observer observes a version that answers callers. Its functions must not block.
type Observer struct {
	Run     func(batch.Run)     // called for each run that serves callers
	Settled func(batch.Finding) // called if a trial has shown whether requests can be joined
}

// Load makes a version ready that answers callers. It also returns the digest with an error, if
// it is known by then. Errors are *infer.Error and have no path of the host.
func (l *Loader) Load(ctx context.Context, v infer.Version, m config.Model, o Observer) (_ *Version, digest string, err error) {
	s, digest, err := l.load(ctx, v, m, purpose{log: l.log, Observer: o})
	if err != nil {
		return nil, digest, err
	}
	l.log.Info("loaded", zap.String("model", v.Model), zap.Int64("version", v.Number), zap.String("digest", digest),
		zap.Any("providers", s.detail.Providers), zap.Int("instances", s.detail.Instances),
		zap.Bool("batching", s.finding.Batchable), zap.String("finding", s.finding.Reason))
	return s, digest, nil
}

// purpose is what distinguishes a version that answers callers from a shadow's.
type purpose struct {
	Observer // nil functions are not called

	log        *zap.Logger
	background bool // runs have the lowest priority of the OS
}

// load verifies, loads, probes and warms a version. If it fails it frees everything.
func (l *Loader) load(ctx context.Context, v infer.Version, m config.Model, p purpose) (_ *Version, digest string, err error) {
	files, err := l.repo.Open(v)
	if err != nil {
		return nil, "", err
	}
	defer files.Close()                              //nolint:errcheck // only read
	if digest, err = files.Digest(ctx); err != nil { // first: every later failure is one of these files
		return nil, "", err
	}
	if err := files.Recorded(digest); err != nil {
		return nil, digest, err
	}
	f, err := openFile(files.Root, files.Path(registry.ModelFile), m.ClassLabels)
	if err != nil {
		return nil, digest, err
	}
	bounded, cancel := context.WithTimeout(ctx, m.WarmupTimeout)
	defer cancel()
	session, finding, err := l.session(bounded, f, v, m)
	if err != nil {
		return nil, digest, err
	}
	labels := nameClasses(session.Model(), f, m.ClassLabels, p.log)
	s, err := compose(session, finding, m, p)
	if err != nil {
		return nil, digest, errors.Join(err, session.Close())
	}
	s.detail.ZipMaps, s.detail.LabelsFrom = f.cutOff(), labels
	s.warm(bounded, m)
	if err := s.validate(ctx, files); err != nil {
		return nil, digest, errors.Join(err, s.Shutdown(ctx))
	}
	if err := ctx.Err(); err != nil {
		return nil, digest, errors.Join(infer.Errorf(infer.CodeOf(err), "the load was canceled"), s.Shutdown(ctx))
	}
	s.serving.Store(true)
	if !p.background {
		s.try()
	}
	return s, digest, nil
}

// session loads a model and finds out whether its requests can be joined. If the only reason
// against it is first dimensions of 1, and the settings allow it, the model is loaded with
// these made free, unless that does not help.
func (l *Loader) session(ctx context.Context, f *File, v infer.Version, m config.Model) (Session, batch.Finding, error) {
	session, err := l.runtime.Load(f, v, m)
	if err != nil {
		return nil, batch.Finding{}, err
	}
	finding, err := find(ctx, session, m)
	if err != nil {
		return nil, finding, errors.Join(err, session.Close())
	}
	if !finding.Relaxable || !m.Batching.Relax {
		return session, finding, nil
	}
	relaxed, found, err := l.relaxed(ctx, f, v, m)
	switch {
	case err != nil:
		return session, batch.NotRelaxed(infer.Message(err)), nil
	case !found.Batchable:
		return session, batch.NotRelaxed(found.Reason), relaxed.Close()
	default:
		return relaxed, found, session.Close()
	}
}

// relaxed loads a model with its first dimensions of 1 made free.
func (l *Loader) relaxed(ctx context.Context, f *File, v infer.Version, m config.Model) (Session, batch.Finding, error) {
	free := *f
	var err error
	if free.changed, err = onnxfile.Relax(f.root, f.name, f.changed); err != nil {
		return nil, batch.Finding{}, err
	}
	session, err := l.runtime.Load(&free, v, m)
	if err != nil {
		return nil, batch.Finding{}, err
	}
	finding, err := find(ctx, session, m)
	if err != nil {
		return nil, finding, errors.Join(err, session.Close())
	}
	return session, finding, nil
}

// compose starts a batcher over a session.
func compose(session Session, finding batch.Finding, m config.Model, p purpose) (*Version, error) {
	s := &Version{session: session, finding: finding, joins: finding.Batchable, settings: m, purpose: p}
	s.ending, s.cut = context.WithCancel(context.Background()) //nolint:forbidigo // ends with Shutdown
	first, err := s.start(finding.Batchable)
	if err != nil {
		return nil, err
	}
	s.runner.Store(first)
	model := session.Model()
	s.detail = api.ModelDetail{
		Inputs: describe(model.Inputs), Outputs: describe(model.Outputs), Instances: instanceCount(m), Providers: session.Providers(),
	}
	return s, nil
}
