package registry

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// ModelFile is the name of the model file in a version's folder.
const ModelFile = "model.onnx"

// Repository reads a folder of models, <model>/<version>/model.onnx. A model with one
// version needs no version folder: <model>/model.onnx is version 1. Every access goes
// through os.Root, so a link that leads out of the folder is an error. All methods may be
// called from any goroutine.
type Repository struct {
	path  string // as configured, absolute
	named named

	writing sync.Mutex   // held while versions appear, move or go, and while that is written to the disk; locked before the others
	moving  sync.RWMutex // locked for writing while a version leaves its place; locked before mu

	mu   sync.RWMutex // locked for writing while the folder is opened again
	dir  string       // the folder of root, without links
	root *os.Root
}

// OpenRepository opens the folder at path. external returns the files with external data of
// a model file. If it is nil, all data is in the model file. Close the result when done.
func OpenRepository(path string, external External) (*Repository, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	r := &Repository{path: abs, named: named{read: external, known: map[string]data{}}}
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}

// open opens the folder at the configured path. It can be another one than before: created
// again, mounted, or the target of a changed link.
func (r *Repository) open() error {
	dir, err := filepath.EvalSymlinks(r.path)
	if err != nil {
		return fmt.Errorf("model repository: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("model repository: %w", err)
	}
	if r.root != nil {
		_ = r.root.Close() // only read
	}
	r.dir, r.root = dir, root
	return nil
}

// follow opens the folder again if the path leads to another one now.
func (r *Repository) follow() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, err := os.Stat(r.path)
	if err != nil {
		return fmt.Errorf("model repository: %w", err)
	}
	if open, err := r.root.Stat("."); err == nil && os.SameFile(now, open) {
		return nil
	}
	return r.open()
}

// clone returns the folder, opened once more. The caller closes it.
func (r *Repository) clone() (*os.Root, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.root.OpenRoot(".")
}

// absent reports whether there is nothing at a path in the repository.
func (r *Repository) absent(rel string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, err := r.root.Lstat(rel)
	return errors.Is(err, fs.ErrNotExist)
}

// Close releases the folder.
func (r *Repository) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.root.Close()
}

// Found is a model folder.
type Found struct {
	Name     string
	Versions []FoundVersion // ascending
	Ignored  []string       // known files that are not used
}

// FoundVersion is a version folder.
type FoundVersion struct {
	Number int64
	// Fingerprint changes if the path, size or time of a file of the version changes. It is
	// cheap to compute. The digest is the identity.
	Fingerprint string
	Size        int64 // bytes of these files
	// Profile changes if ProfileFile changes, which is not part of the version. It is empty
	// if there is no ProfileFile.
	Profile string
	// Registered is set if the version was pushed: it has a RecordFile.
	Registered bool
	// Err says why the version cannot be loaded, without a path of the host.
	Err error
}

// Scan lists the models, with warnings about entries that look like models but are not used.
// It leaves out folders without a version, and names that are not valid for a model.
func (r *Repository) Scan() (Listing, error) {
	if err := r.follow(); err != nil {
		return Listing{}, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	entries, err := fs.ReadDir(r.root.FS(), ".")
	if err != nil {
		return Listing{}, fmt.Errorf("model repository: %w", err)
	}
	var l Listing
	var ownVersions []string // version folders in the repository itself
	for _, e := range entries {
		name := e.Name()
		if name == ownFolder {
			continue
		}
		if info, err := r.root.Stat(name); err == nil && !info.IsDir() {
			if w, ok := stray(name); ok {
				l.warn(w)
			}
			continue
		}
		m, warnings := r.scanModel(name)
		if _, version := infer.ParseVersion(name); version && len(m.Versions) == 0 && r.holdsModel(name) {
			ownVersions = append(ownVersions, name)
			continue
		}
		if l.warn(warnings...); len(m.Versions) > 0 {
			l.Models = append(l.Models, m)
		}
	}
	l.finish(ownVersions)
	r.named.forget()
	return l, nil
}

// ScanModel scans one model. It returns false if the folder does not exist or has no
// version.
func (r *Repository) ScanModel(name string) (Found, bool) {
	if err := r.follow(); err != nil {
		return Found{Name: name}, false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	m, _ := r.scanModel(name)
	return m, len(m.Versions) > 0
}

// scanModel scans one model. The result has no versions if the model cannot be used.
func (r *Repository) scanModel(name string) (Found, []api.RepositoryWarning) {
	m := Found{Name: name}
	if name == ownFolder {
		return m, nil
	}
	if !infer.ValidName(name) {
		return m, []api.RepositoryWarning{{
			Path: fmt.Sprintf("%.100q", name), Problem: "the name of the folder is not valid for a model",
			Advice: "rename it: use UTF-8 of at most 255 bytes, without control characters, backslashes, or blanks at its ends",
		}}
	}
	entries, err := fs.ReadDir(r.root.FS(), name) // follows links inside the root
	if err != nil {
		if bystander(name) {
			return m, nil
		}
		return m, []api.RepositoryWarning{{
			Path: name, Problem: "the folder cannot be read, or is a link that leads out of the repository", Advice: "check its mode and owner, or copy it into the repository",
		}}
	}
	for _, e := range entries {
		if e.Name() == "config.pbtxt" {
			m.Ignored = append(m.Ignored, e.Name())
		}
		if number, ok := infer.ParseVersion(e.Name()); ok {
			m.Versions = append(m.Versions, r.scanVersion(path.Join(name, e.Name()), number))
		}
	}
	slices.SortFunc(m.Versions, func(a, b FoundVersion) int { return cmp.Compare(a.Number, b.Number) })
	if len(m.Versions) == 0 && r.flat(name) {
		m.Versions = append(m.Versions, r.scanVersion(name, 1))
		return m, nil
	}
	if len(m.Versions) == 0 && bystander(name) {
		return m, nil
	}
	return m, r.misplaced(name, entries, len(m.Versions) == 0)
}

// flat reports whether a model's folder has the file of its only version itself. A folder
// whose name is a version does not count: then the repository is the folder of one model.
func (r *Repository) flat(model string) bool {
	_, version := infer.ParseVersion(model)
	return !version && r.holdsModel(model)
}

// hidePath removes the path of the host from an error.
func hidePath(err error) error {
	var pe *fs.PathError
	var ie *infer.Error
	switch {
	case errors.As(err, &ie):
		return err
	case errors.As(err, &pe):
		return &infer.Error{Code: infer.Invalid, Msg: "cannot read '" + path.Base(pe.Path) + "': " + pe.Err.Error(), Err: err}
	default:
		return &infer.Error{Code: infer.Invalid, Msg: "cannot read the version's folder", Err: err}
	}
}

// rel returns the folder of a version in the repository.
func (r *Repository) rel(v infer.Version) string {
	dir := path.Join(v.Model, strconv.FormatInt(v.Number, 10))
	if _, err := r.root.Lstat(dir); errors.Is(err, fs.ErrNotExist) && v.Number == 1 && r.flat(v.Model) {
		return v.Model
	}
	return dir
}
