package registry

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"sluice.io/sluice/internal/infer"
)

// The folders of a repository that are not models. They are in its file system, so that a
// rename moves a version as a whole.
const (
	ownFolder     = ".sluice"
	stagingFolder = ownFolder + "/staging"
	archiveFolder = ownFolder + "/archive" // MODEL/VERSION below it
	lockFile      = ownFolder + "/lock"

	stagedFiles = "files" // the version's files in its staging folder
	stagedModel = "model" // a model's folder, while it is made
)

// maxFileName is the max size of a file's path in a version's folder.
const maxFileName = 512

// Writer writes versions into a repository, and moves them. One process at a time can write
// to a repository. Its methods may be called from any goroutine. Errors are *infer.Error and
// have no path of the host.
type Writer struct {
	repo *Repository
	lock io.Closer // held while the process may write
}

// NewWriter returns the writer of a repository. It removes what an earlier process has left
// behind, if there is anything. It writes nothing else until the first Stage.
func NewWriter(repo *Repository) (*Writer, error) {
	w := &Writer{repo: repo}
	if repo.absent(stagingFolder) {
		return w, nil
	}
	return w, w.claim()
}

// Close ends writing.
func (w *Writer) Close() error {
	w.repo.writing.Lock()
	defer w.repo.writing.Unlock()
	if w.lock == nil {
		return nil
	}
	err := w.lock.Close()
	w.lock = nil
	return err
}

// claim makes this process the one that writes, and removes staging folders of others, which
// have ended.
func (w *Writer) claim() error {
	w.repo.writing.Lock()
	defer w.repo.writing.Unlock()
	if w.lock != nil {
		return nil
	}
	if err := w.repo.follow(); err != nil {
		return writeError(err)
	}
	root, err := w.repo.clone()
	if err != nil {
		return writeError(err)
	}
	defer root.Close() //nolint:errcheck // a folder
	if err := root.MkdirAll(stagingFolder, 0o755); err != nil {
		return writeError(err)
	}
	file, err := root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return writeError(err)
	}
	if err := lock(file); err != nil {
		return &infer.Error{Code: infer.Conflict, Msg: "another gateway writes to this repository; push to that one", Err: errors.Join(err, file.Close())}
	}
	w.lock = file
	entries, err := fs.ReadDir(root.FS(), stagingFolder)
	if err != nil {
		return writeError(err)
	}
	for _, e := range entries {
		if err := root.RemoveAll(path.Join(stagingFolder, e.Name())); err != nil {
			return writeError(err)
		}
	}
	return nil
}

// Staging is a version's folder that is being written. It is not visible in the repository.
type Staging struct {
	w     *Writer
	repo  *os.Root // the repository
	dir   string   // in it
	root  *os.Root // the version's files
	taken func(n int64) error
	names map[string]bool
	size  int64
}

// Stage makes a folder for a new version. take is called before bytes are written, and can
// refuse them. Publish or Discard ends the staging.
func (w *Writer) Stage(take func(n int64) error) (_ *Staging, err error) {
	if err := w.claim(); err != nil {
		return nil, err
	}
	s := &Staging{w: w, taken: take, names: map[string]bool{}, dir: path.Join(stagingFolder, rand.Text())}
	if s.repo, err = w.repo.clone(); err != nil {
		return nil, writeError(err)
	}
	files := path.Join(s.dir, stagedFiles)
	if err = s.repo.MkdirAll(files, 0o755); err == nil {
		s.root, err = s.repo.OpenRoot(files)
	}
	if err != nil {
		return nil, errors.Join(writeError(err), s.Discard())
	}
	return s, nil
}

// Size returns the number of bytes written so far.
func (s *Staging) Size() int64 { return s.size }

// Has reports whether a file was written.
func (s *Staging) Has(name string) bool { return s.names[name] }

// Write writes a file from r, and syncs it. name is its path in the version's folder. If want
// is not negative, r must have so many bytes. Errors: Invalid for a path that is not inside of
// the folder or a second file of that path, what take returns, and Invalid if r fails.
func (s *Staging) Write(name string, r io.Reader, want int64) error {
	if err := checkFileName(name); err != nil {
		return err
	}
	if s.names[name] {
		return infer.Errorf(infer.Invalid, "file '%s' is there twice", name)
	}
	if len(s.names) >= maxFiles {
		return infer.Errorf(infer.Invalid, "the version has more than %d files", maxFiles)
	}
	if err := s.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return fileError(name, err)
	}
	file, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fileError(name, err)
	}
	s.names[name] = true
	n, err := io.Copy(counted{file, s}, source{r})
	switch {
	case err != nil:
	case want >= 0 && n != want:
		err = infer.Errorf(infer.Invalid, "file '%s' is cut off: got %d bytes, expected %d", name, n, want)
	default:
		err = file.Sync()
	}
	return writeError(errors.Join(err, file.Close()))
}

// source marks the errors of a reader, so that they are not taken for those of the disk.
type source struct{ io.Reader }

func (s source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	if _, ok := errors.AsType[*infer.Error](err); !ok {
		err = &infer.Error{Code: infer.Invalid, Msg: "the upload is cut off, cannot be read, or did not arrive in time", Err: err}
	}
	return n, err
}

// counted counts what is written, before it is written.
type counted struct {
	io.Writer
	s *Staging
}

func (c counted) Write(p []byte) (int, error) {
	if err := c.s.taken(int64(len(p))); err != nil {
		return 0, err
	}
	c.s.size += int64(len(p))
	return c.Writer.Write(p)
}

// checkFileName returns an error unless name is a plain relative path.
func checkFileName(name string) error {
	switch {
	case len(name) > maxFileName:
		return infer.Errorf(infer.Invalid, "the name of a file is longer than %d bytes: %.40q…", maxFileName, name)
	case name == "", name != path.Clean(name), !filepath.IsLocal(name), name == ".", strings.ContainsAny(name, "\\\x00"):
		return infer.Errorf(infer.Invalid, "'%.100s' is not a valid name of a file: expected a path inside the version's folder, without '..'", name)
	}
	return nil
}

// fileError is writeError for a file that an upload names.
func fileError(name string, err error) error {
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR) {
		return infer.Errorf(infer.Invalid, "file '%s' is there twice, also as a folder", name)
	}
	if errors.Is(err, syscall.ENAMETOOLONG) {
		return infer.Errorf(infer.Invalid, "the name of a file is too long: %.40q…", name)
	}
	return writeError(err)
}

// Files returns the files that were written, for their digest. The staging owns them.
func (s *Staging) Files() *Files {
	return &Files{Root: s.root, repository: s.root, rel: ".", external: s.w.repo.named.read}
}

// Discard removes what was written.
func (s *Staging) Discard() error {
	err := s.repo.RemoveAll(s.dir)
	if s.root != nil {
		err = errors.Join(err, s.root.Close())
		s.root = nil
	}
	if err = errors.Join(err, s.repo.Close()); err != nil {
		return writeError(err)
	}
	return nil
}

// Publish makes the files version v of the repository: with one rename, after all of them are
// on disk. Errors: Conflict if the version exists, or the model keeps its only version in its
// own folder.
func (s *Staging) Publish(model string, number int64) error {
	s.w.repo.writing.Lock()
	defer s.w.repo.writing.Unlock()
	if err := syncTree(s.repo, path.Join(s.dir, stagedFiles)); err != nil {
		return writeError(err)
	}
	if err := s.w.repo.free(model, number); err != nil {
		return err
	}
	to := path.Join(model, strconv.FormatInt(number, 10))
	return place(s.repo, path.Join(s.dir, stagedFiles), to, path.Join(s.dir, stagedModel))
}

// place moves a version's folder to MODEL/VERSION below a folder of models. If the model has no
// folder, it is made in spare, and moved with the version in it. So there is never a folder of
// a model without a version.
func place(root *os.Root, from, to, spare string) error {
	folder := path.Dir(to)
	if _, err := root.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
		if err := root.MkdirAll(spare, 0o755); err != nil {
			return writeError(err)
		}
		if err := root.Rename(from, path.Join(spare, path.Base(to))); err != nil {
			return writeError(err)
		}
		from, to, folder = spare, folder, path.Dir(folder)
		if err := syncFolder(root, from); err != nil {
			return writeError(err)
		}
	}
	if err := root.Rename(from, to); err != nil {
		if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.ENOTDIR) {
			return infer.Errorf(infer.Conflict, "the folder %s exists", to)
		}
		return writeError(err)
	}
	if err := syncFolder(root, folder); err != nil {
		return writeError(err)
	}
	return nil
}

// syncTree syncs the folders below and including dir. The files are synced.
func syncTree(root *os.Root, dir string) error {
	return fs.WalkDir(root.FS(), dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return syncFolder(root, p)
	})
}

func syncFolder(root *os.Root, dir string) error {
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// writeError returns the error for a write that failed.
func writeError(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*infer.Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return &infer.Error{Code: infer.Conflict, Msg: "the gateway may not write to the model repository", Err: err}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &infer.Error{Code: infer.Unavailable, Msg: "the disk of the model repository is full", Err: err}
	default:
		return &infer.Error{Code: infer.Internal, Op: "registry: write", Msg: "the model repository cannot be written; the log has the details", Err: err}
	}
}
