package offline

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/registry"
)

// Bundle is a version's files as a tar archive, for a push.
type Bundle struct {
	Left []string // files of the folder that the archive does not have

	files    []bundled
	metadata api.VersionMetadata
	root     *os.Root
}

// bundled is a file of an archive.
type bundled struct {
	name string // in the archive
	path string // in the root, or of the host if outside is set
	size int64

	outside bool
}

// BundleExtra are files from other places than the version's folder. Empty means none.
type BundleExtra struct{ Golden, Profile string }

// NewBundle prepares the archive of a model file, with its external data, or of a folder with
// one model file: with external data, labels, profile and golden rows. The caller must call
// Close.
func NewBundle(path string, extra BundleExtra, m api.VersionMetadata) (_ *Bundle, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	dir, model := filepath.Dir(path), filepath.Base(path)
	if info.IsDir() {
		dir = path
		if model, err = onlyModel(path); err != nil {
			return nil, err
		}
	}
	b := &Bundle{metadata: m}
	if b.root, err = os.OpenRoot(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if err := onnxfile.VerifyExternalData(b.root, model); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	data, err := onnxfile.DataFiles(b.root, model)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := b.add(registry.ModelFile, model); err != nil {
		return nil, err
	}
	for _, name := range data {
		if err := b.add(name, name); err != nil {
			return nil, err
		}
	}
	if err := b.besides(info.IsDir() || model == registry.ModelFile, extra); err != nil {
		return nil, err
	}
	if info.IsDir() {
		b.Left = b.left(path, model)
	}
	return b, nil
}

// besides adds the files that are not part of the version, and the labels. own means that those
// in the folder belong to the model.
func (b *Bundle) besides(own bool, extra BundleExtra) error {
	for _, f := range []struct{ name, given string }{
		{registry.LabelsFile, ""}, {registry.ProfileFile, extra.Profile}, {registry.GoldenFile, extra.Golden},
	} {
		if f.given != "" {
			info, err := os.Stat(f.given)
			if err != nil {
				return err
			}
			b.files = append(b.files, bundled{name: f.name, path: f.given, size: info.Size(), outside: true})
			continue
		}
		if info, err := b.root.Stat(f.name); own && err == nil && info.Mode().IsRegular() {
			if err := b.add(f.name, f.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// onlyModel returns the model file of a folder: model.onnx, or the only one.
func onlyModel(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var found []string
	for _, e := range entries {
		if e.Name() == registry.ModelFile {
			return e.Name(), nil
		}
		if strings.HasSuffix(e.Name(), ".onnx") {
			found = append(found, e.Name())
		}
	}
	if len(found) != 1 {
		return "", infer.Errorf(infer.Invalid, "%s has no %s and %d other .onnx files; expected one model file", dir, registry.ModelFile, len(found))
	}
	return found[0], nil
}

func (b *Bundle) add(name, path string) error {
	info, err := b.root.Stat(path)
	if err != nil {
		return err
	}
	b.files = append(b.files, bundled{name: name, path: path, size: info.Size()})
	return nil
}

// left returns the files of the folder that are not in the archive.
func (b *Bundle) left(dir, model string) (list []string) {
	_ = fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		known := p == model || p == registry.RecordFile || slices.ContainsFunc(b.files, func(f bundled) bool { return f.name == p && !f.outside })
		if err == nil && !d.IsDir() && !known {
			list = append(list, p)
		}
		return nil // what cannot be read is not pushed
	})
	return list
}

// Write writes the archive. It ends early if ctx ends.
func (b *Bundle) Write(ctx context.Context, w io.Writer) error {
	t := tar.NewWriter(w)
	record, err := json.Marshal(b.metadata)
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Name: registry.RecordFile, Mode: 0o644, Size: int64(len(record))}); err != nil {
		return err
	}
	if _, err := t.Write(record); err != nil {
		return err
	}
	for _, f := range b.files {
		if err := b.write(ctx, t, f); err != nil {
			return err
		}
	}
	return t.Close()
}

func (b *Bundle) write(ctx context.Context, t *tar.Writer, f bundled) error {
	open := b.root.Open
	if f.outside {
		open = os.Open
	}
	file, err := open(f.path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	if err := t.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: f.size}); err != nil {
		return err
	}
	n, err := io.Copy(t, untilEnd{ctx, file})
	if err == nil && n != f.size {
		err = fmt.Errorf("%s changed while it was read", f.name)
	}
	return err
}

// untilEnd reads until ctx ends.
type untilEnd struct {
	ctx context.Context //nolint:containedctx // io.Reader has no parameter for it
	io.Reader
}

// Read implements io.Reader.
func (r untilEnd) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// Close releases the folder.
func (b *Bundle) Close() error { return b.root.Close() }
