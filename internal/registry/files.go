package registry

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// Files are the files of one version. They belong to the folder that the repository had
// when they were opened, even if its path leads to another folder later.
type Files struct {
	Root *os.Root // the version's folder; a reader cannot leave it

	repository *os.Root // links may lead to other folders in it
	rel        string   // the path of the version's folder in it
	dir        string   // the host's path of the version's folder
	external   External
}

// Open opens the folder of a version. It fails with Invalid if it cannot. Close the result
// when done.
func (r *Repository) Open(v infer.Version) (*Files, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	rel := r.rel(v)
	f := &Files{rel: rel, dir: filepath.Join(r.dir, filepath.FromSlash(rel)), external: r.named.read}
	var err error
	if f.repository, err = r.root.OpenRoot("."); err == nil {
		if f.Root, err = r.root.OpenRoot(rel); err != nil {
			_ = f.repository.Close() // nothing was read
		}
	}
	if err != nil {
		return nil, &infer.Error{Code: infer.Invalid, Msg: "cannot open the version's folder", Err: err}
	}
	return f, nil
}

// Path returns the host's path of a file of the version, for readers that need a path.
func (f *Files) Path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

// Digest returns the identity of the version: "sha256:" and the hex of the SHA-256 over its
// model file, the external data that this names, and its labels, sorted by path. For each
// file it hashes the length and text of the path, and the length and contents of the file.
// Lengths are 8 bytes little-endian. It reads all of these files, and fails if ctx ends.
// Other files of the folder, such as the profile, do not count.
func (f *Files) Digest(ctx context.Context) (string, error) {
	var external []string
	if f.external != nil {
		external, _ = f.external(f.Root, ModelFile) // the load reports why the file is not a model
	}
	files := slices.DeleteFunc(identity(external), func(name string) bool {
		_, err := f.Root.Stat(name)
		return name != ModelFile && errors.Is(err, fs.ErrNotExist) // the load reports missing data with its tensor
	})
	return f.digest(ctx, files)
}

// FormerDigest returns the digest of earlier releases: over all files of the folder. If the
// folder has no other files than those of Digest, both digests are equal, so that the
// digests in an old journal are still valid.
func (f *Files) FormerDigest(ctx context.Context) (string, error) {
	var files []string
	err := fs.WalkDir(f.repository.FS(), f.rel, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := p[len(f.rel)+1:]
		if info, err := f.repository.Stat(p); err != nil || !info.IsDir() { // a link to a folder did not count
			files = append(files, name)
		}
		if len(files) > maxFiles {
			return infer.Errorf(infer.Invalid, "the version's folder has more than %d files", maxFiles)
		}
		return nil
	})
	if err != nil {
		return "", hidePath(err)
	}
	slices.Sort(files)
	return f.digest(ctx, files)
}

// digest hashes files of the version's folder.
func (f *Files) digest(ctx context.Context, names []string) (string, error) {
	h := sha256.New()
	for _, name := range names {
		if err := f.hash(ctx, h, name); err != nil {
			return "", hidePath(err)
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

func (f *Files) hash(ctx context.Context, h io.Writer, name string) error {
	writeLen := func(n int64) { _ = binary.Write(h, binary.LittleEndian, n) } // a hash never fails
	at := path.Join(f.rel, name)
	info, err := f.repository.Stat(at)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // opening a pipe would block
		return infer.Errorf(infer.Invalid, "file '%s' is not a regular file", name)
	}
	file, err := f.repository.Open(at)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	writeLen(int64(len(name)))
	_, _ = io.WriteString(h, name)
	writeLen(info.Size())
	n, err := io.Copy(h, reader{ctx, file})
	if err == nil && n != info.Size() {
		err = infer.Errorf(infer.Unavailable, "file '%s' changed during the read", name)
	}
	return err
}

// Close releases the folder.
func (f *Files) Close() error { return errors.Join(f.Root.Close(), f.repository.Close()) }

// reader reads until ctx ends.
type reader struct {
	ctx context.Context //nolint:containedctx // io.Reader has no parameter for it
	io.Reader
}

// Read implements io.Reader.
func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, infer.Errorf(infer.CodeOf(err), "the load was canceled")
	}
	return r.Reader.Read(p)
}
