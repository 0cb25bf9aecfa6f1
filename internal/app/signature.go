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
)

// RepositorySignature reads the signature of a model in the configured repository
// without serving it: of the newest version where the number is 0.
func RepositorySignature(cfg *config.Config, v infer.Version, log *zap.Logger) (m *infer.Model, err error) {
	repo, err := registry.OpenRepository(cfg.Repository.Path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, repo.Close()) }()
	found, ok := repo.ScanModel(v.Model)
	if !ok {
		return nil, infer.Errorf(infer.NotFound, "the repository has no model '%s'", v.Model)
	}
	at := len(found.Versions) - 1
	for i := range found.Versions {
		if found.Versions[i].Number == v.Number {
			at = i
		}
	}
	if v.Number != 0 && found.Versions[at].Number != v.Number {
		return nil, infer.Errorf(infer.NotFound, "the repository has no version %d of model '%s'", v.Number, v.Model)
	}
	if err := found.Versions[at].Err; err != nil {
		return nil, err
	}
	v.Number = found.Versions[at].Number
	return signatureOf(cfg, filepath.Join(repo.Dir(v), registry.ModelFile), v, log)
}

// FileSignature reads the signature of a model file.
func FileSignature(cfg *config.Config, path string, log *zap.Logger) (*infer.Model, error) {
	return signatureOf(cfg, path, infer.Version{}, log)
}

// signatureOf loads a model that nothing was made of yet, and frees it again.
func signatureOf(cfg *config.Config, path string, v infer.Version, log *zap.Logger) (m *infer.Model, err error) {
	dir, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	if err := onnxfile.VerifyExternalData(dir, filepath.Base(path)); err != nil {
		return nil, err
	}
	runtime, err := openORT(cfg, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, runtime.Close()) }()
	session, err := runtime.Load(path, v, cfg.Model(v.Model))
	if err != nil {
		return nil, err
	}
	return session.Model(), session.Close()
}
