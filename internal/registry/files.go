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

	"sluice.io/sluice/internal/infer"
)

// Files are the files of one version. They stay those of the repository that was open
// when they were opened, whatever its path leads to later.
type Files struct {
	Root *os.Root // the version's folder; no reader can leave it

	repository *os.Root // links may lead to other folders in here
	rel        string   // the version's folder in it
	dir        string   // the host's path of the version's folder
}

// Open opens the folder of a version. Close the result when done.
func (r *Repository) Open(v infer.Version) (*Files, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	rel := r.rel(v)
	f := &Files{rel: rel, dir: filepath.Join(r.dir, filepath.FromSlash(rel))}
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

// Path returns the host's path of a file of the version, for readers that take
// nothing else.
func (f *Files) Path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

// Digest returns "sha256:" and the hex of the SHA-256 over the version's files in
// the order of their paths: length and text of the path, length and contents of
// the file, lengths as 8 bytes little-endian. It reads all of them, and ends early
// with ctx.
func (f *Files) Digest(ctx context.Context) (string, error) {
	h := sha256.New()
	writeLen := func(n int64) { _ = binary.Write(h, binary.LittleEndian, n) } // a hash never fails
	err := walk(f.repository, f.rel, func(rel string, info fs.FileInfo) error {
		file, err := f.repository.Open(path.Join(f.rel, rel))
		if err != nil {
			return err
		}
		defer file.Close() //nolint:errcheck // only read
		writeLen(int64(len(rel)))
		_, _ = io.WriteString(h, rel)
		writeLen(info.Size())
		n, err := io.Copy(h, reader{ctx, file})
		if err == nil && n != info.Size() {
			err = infer.Errorf(infer.Unavailable, "file '%s' changed while it was read", rel)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

// Close releases the folder.
func (f *Files) Close() error { return errors.Join(f.Root.Close(), f.repository.Close()) }

// reader reads until ctx ends.
type reader struct {
	ctx context.Context //nolint:containedctx // io.Reader takes none
	io.Reader
}

// Read implements io.Reader.
func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, infer.Errorf(infer.CodeOf(err), "the load was given up")
	}
	return r.Reader.Read(p)
}
