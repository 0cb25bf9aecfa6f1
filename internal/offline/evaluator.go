package offline

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/serving"
)

// Evaluator is a model that is loaded for a command. It serves no requests, and belongs to one
// goroutine.
type Evaluator struct {
	runtime  serving.Runtime
	session  serving.Session
	settings config.Model
	instance batch.Instance // nil until it is needed
}

// Model returns the model's signature.
func (e *Evaluator) Model() *infer.Model { return e.session.Model() }

// Close frees the model.
func (e *Evaluator) Close() error {
	var err error
	if e.instance != nil {
		err = e.instance.Close()
	}
	return errors.Join(err, e.session.Close(), e.runtime.Close())
}

// RepositoryEvaluator loads a model of the configured repository without serving it: the newest
// version if the number is 0.
func RepositoryEvaluator(cfg *config.Config, v infer.Version, log *zap.Logger) (*Evaluator, error) {
	path, v, err := versionFile(cfg, v)
	if err != nil {
		return nil, err
	}
	return openEvaluator(cfg, path, v, log)
}

// FileEvaluator loads a model file.
func FileEvaluator(cfg *config.Config, path string, log *zap.Logger) (*Evaluator, error) {
	return openEvaluator(cfg, path, infer.Version{}, log)
}

// versionFile finds a version's file, of the newest one if the number is 0.
func versionFile(cfg *config.Config, v infer.Version) (path string, found infer.Version, err error) {
	repo, err := registry.OpenRepository(cfg.Repository.Path, onnxfile.DataFiles)
	if err != nil {
		return "", v, err
	}
	defer func() { err = errors.Join(err, repo.Close()) }()
	model, ok := repo.ScanModel(v.Model)
	if !ok {
		return "", v, infer.Errorf(infer.NotFound, "the repository has no model '%s'", v.Model)
	}
	at := len(model.Versions) - 1
	for i := range model.Versions {
		if model.Versions[i].Number == v.Number {
			at = i
		}
	}
	if v.Number != 0 && model.Versions[at].Number != v.Number {
		return "", v, infer.Errorf(infer.NotFound, "the repository has no version %d of model '%s'", v.Number, v.Model)
	}
	if err := model.Versions[at].Err; err != nil {
		return "", v, err
	}
	v.Number = model.Versions[at].Number
	files, err := repo.Open(v)
	if err != nil {
		return "", v, err
	}
	return files.Path(registry.ModelFile), v, files.Close()
}

// openEvaluator loads a model file.
func openEvaluator(cfg *config.Config, path string, v infer.Version, log *zap.Logger) (*Evaluator, error) {
	dir, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close() //nolint:errcheck // only read
	runtime, err := serving.OpenORT(cfg, log)
	if err != nil {
		return nil, err
	}
	settings := cfg.Model(v.Model)
	session, err := serving.Load(runtime, dir, path, v, settings, log)
	if err != nil {
		return nil, errors.Join(err, runtime.Close())
	}
	return &Evaluator{runtime: runtime, session: session, settings: settings}, nil
}

// run runs a single request.
func (e *Evaluator) run(ctx context.Context, req *infer.Request, resp *infer.Response) error {
	instance := endingInstance{e.instance, ctx}
	if err := instance.Gather([]*infer.Request{req}); err != nil {
		return err
	}
	if err := instance.Run(); err != nil {
		return err
	}
	return instance.Scatter(0, resp)
}

// endingInstance is an instance with runs that return soon after ctx ends.
type endingInstance struct {
	batch.Instance
	ctx context.Context //nolint:containedctx // Run of the interface has no context
}

// Run implements batch.Instance.
func (s endingInstance) Run() error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	stop := context.AfterFunc(s.ctx, s.Terminate)
	defer stop()
	if err := s.Instance.Run(); err != nil {
		return errors.Join(s.ctx.Err(), err)
	}
	return nil
}
