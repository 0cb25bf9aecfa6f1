package app

import (
	"errors"
	"os"
	"path/filepath"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/serving"
)

// RepositorySignature reads the signature of a model in the configured repository
// without serving it: of the newest version where the number is 0.
func RepositorySignature(cfg *config.Config, v infer.Version, log *zap.Logger) (*infer.Model, error) {
	return signatureOf(RepositoryEvaluator(cfg, v, log))
}

// FileSignature reads the signature of a model file.
func FileSignature(cfg *config.Config, path string, log *zap.Logger) (*infer.Model, error) {
	return signatureOf(FileEvaluator(cfg, path, log))
}

func signatureOf(e *Evaluator, err error) (*infer.Model, error) {
	if err != nil {
		return nil, err
	}
	return e.Model(), e.Close()
}

// RepositoryEvaluator loads a model of the configured repository without serving
// it: the newest version where the number is 0.
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

// versionFile finds a version's file, that of the newest one where the number is 0.
func versionFile(cfg *config.Config, v infer.Version) (path string, found infer.Version, err error) {
	repo, err := registry.OpenRepository(cfg.Repository.Path)
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

// openEvaluator loads a model that nothing was made of yet.
func openEvaluator(cfg *config.Config, path string, v infer.Version, log *zap.Logger) (*Evaluator, error) {
	dir, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close() //nolint:errcheck // only read
	if err := onnxfile.VerifyExternalData(dir, filepath.Base(path)); err != nil {
		return nil, err
	}
	runtime, err := serving.OpenORT(cfg, log)
	if err != nil {
		return nil, err
	}
	settings := cfg.Model(v.Model)
	session, err := runtime.Load(path, nil, v, settings)
	if err != nil {
		return nil, errors.Join(err, runtime.Close())
	}
	return &Evaluator{runtime: runtime, session: session, settings: settings}, nil
}
