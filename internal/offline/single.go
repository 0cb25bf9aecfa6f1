package offline

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/registry"
)

// Single is one version of a model in its own temporary repository. The model file is linked or
// copied. Its labels and its external data files are copied, in their current state. So is a
// profile.json beside a model.onnx.
type Single struct {
	Version    infer.Version
	Repository string // a folder
}

// StageModel makes a repository from a model file, from a folder with model.onnx in it, or from the
// newest version in a model's folder. The model has the name of the file or else of its folder, and
// the folder's number if that is a version. The caller must call Close.
func StageModel(path string) (_ *Single, err error) {
	file, v, err := singleModel(path)
	if err != nil {
		return nil, err
	}
	if !infer.ValidName(v.Model) {
		return nil, fmt.Errorf("%s: '%s' is not a valid model name; rename the file or its folder", path, v.Model)
	}
	from, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	defer from.Close() //nolint:errcheck // only read
	data, err := onnxfile.DataFiles(from, filepath.Base(file))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := &Single{Version: v}
	if s.Repository, err = os.MkdirTemp("", "sluice-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	to := filepath.Join(s.Repository, v.Model, strconv.FormatInt(v.Number, 10))
	if err := os.MkdirAll(to, 0o700); err != nil {
		return nil, err
	}
	if err := linkOrCopy(file, filepath.Join(to, registry.ModelFile)); err != nil {
		return nil, err
	}
	for _, name := range append(data, onnxfile.LabelsFile) {
		if err := copyIn(from, name, to); err != nil {
			return nil, fmt.Errorf("external data of %s: %w", path, err)
		}
	}
	if filepath.Base(file) == registry.ModelFile { // beside another file it may belong to another model
		if info, err := from.Stat(registry.ProfileFile); err == nil && info.Mode().IsRegular() {
			if err := copyIn(from, registry.ProfileFile, to); err != nil {
				return nil, fmt.Errorf("profile of %s: %w", path, err)
			}
		}
	}
	return s, nil
}

// Close removes the repository.
func (s *Single) Close() error { return os.RemoveAll(s.Repository) }

// singleModel finds the model file for a path, and its model and version.
func singleModel(path string) (file string, v infer.Version, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", v, err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return "", v, err
	}
	if !info.IsDir() {
		if stem := strings.TrimSuffix(filepath.Base(abs), ".onnx"); filepath.Base(abs) != registry.ModelFile {
			return abs, infer.Version{Model: stem, Number: 1}, nil
		}
		return abs, folderVersion(filepath.Dir(abs)), nil
	}
	if file := filepath.Join(abs, registry.ModelFile); isFile(file) {
		return file, folderVersion(abs), nil
	}
	entries, err := os.ReadDir(abs)
	if err != nil {
		return "", v, err
	}
	for _, e := range entries {
		n, ok := infer.ParseVersion(e.Name())
		if candidate := filepath.Join(abs, e.Name(), registry.ModelFile); ok && n > v.Number && isFile(candidate) {
			file, v = candidate, infer.Version{Model: filepath.Base(abs), Number: n}
		}
	}
	if file == "" {
		return "", v, fmt.Errorf("%s has neither %s nor a version folder with one; to serve a folder of models, use --model-repository", path, registry.ModelFile)
	}
	return file, v, nil
}

// folderVersion returns the version of a folder: a version folder of a model, or a model's folder
// without versions.
func folderVersion(dir string) infer.Version {
	if n, ok := infer.ParseVersion(filepath.Base(dir)); ok {
		return infer.Version{Model: filepath.Base(filepath.Dir(dir)), Number: n}
	}
	return infer.Version{Model: filepath.Base(dir), Number: 1}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// linkOrCopy makes a file with the same content, by a link if possible, to save space.
func linkOrCopy(from, to string) error {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	return copyTo(in, to)
}

// copyIn copies a file. A link out of the root is an error. A missing file is skipped: the loader
// reports it.
func copyIn(root *os.Root, name, to string) error {
	in, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o700); err != nil {
		return err
	}
	return copyTo(in, filepath.Join(to, name))
}

func copyTo(in io.Reader, to string) error {
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
