package offline

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/registry"
)

// Digests are the digests of a version's folder.
type Digests struct {
	Digest string `json:"digest"`
	// Former is the digest in journals of earlier releases, over all files of the folder. It is the
	// same as Digest if there are no files outside the digest.
	Former string `json:"former"`
}

// FolderDigests returns the digests of MODEL/VERSION in a repository, or of MODEL if the model file
// is there.
func FolderDigests(ctx context.Context, folder string) (d Digests, err error) {
	abs, err := filepath.Abs(folder)
	if err != nil {
		return d, err
	}
	if _, err := os.Stat(filepath.Join(abs, registry.ModelFile)); err != nil {
		return d, infer.Errorf(infer.NotFound, "%s has no %s; expected the folder of a version, for example models/iris/2", folder, registry.ModelFile)
	}
	model, repository := filepath.Dir(abs), filepath.Dir(filepath.Dir(abs))
	number, ok := infer.ParseVersion(filepath.Base(abs))
	if !ok {
		model, repository, number = abs, filepath.Dir(abs), 1
	}
	repo, err := registry.OpenRepository(repository, onnxfile.DataFiles)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, repo.Close()) }()
	files, err := repo.Open(infer.Version{Model: filepath.Base(model), Number: number})
	if err != nil {
		return d, err
	}
	defer files.Close() //nolint:errcheck // only read
	if d.Digest, err = files.Digest(ctx); err == nil {
		d.Former, err = files.FormerDigest(ctx)
	}
	return d, err
}
