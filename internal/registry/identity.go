package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"sluice.io/sluice/internal/infer"
)

// The files that a version's folder may have beside ModelFile.
const (
	LabelsFile  = "labels.txt"   // labels of classes; part of the version
	ProfileFile = "profile.json" // profile of the training data; not part of the version
	GoldenFile  = "golden.json"  // rows with their answers, which each load repeats; not part of the version
	RecordFile  = "sluice.json"  // what is known of a version that was pushed; not part of the version
)

// maxFiles is the max number of files of one version.
const maxFiles = 10_000

// External returns the files with external data of a model file in root, sorted, with paths
// relative to its folder. It may fail if the file is not a model.
type External func(root *os.Root, model string) ([]string, error)

// identity returns the files that make up a version. A change of another file, such as
// ProfileFile or a note, does not change the version.
func identity(external []string) []string {
	list := append([]string{ModelFile, LabelsFile}, external...)
	slices.Sort(list)
	return slices.Compact(list)
}

// scanVersion reads the state of a version's files. It sets Err if they cannot be loaded.
func (r *Repository) scanVersion(dir string, number int64) FoundVersion {
	v := FoundVersion{Number: number}
	if info, err := r.root.Lstat(path.Join(dir, RecordFile)); err == nil && info.Mode().IsRegular() {
		v.Registered = true
	}
	info, err := r.root.Stat(dir)
	if err != nil || !info.IsDir() {
		v.Err = infer.Errorf(infer.Invalid, "the version is not a folder inside the repository")
		return v
	}
	model, err := r.root.Stat(path.Join(dir, ModelFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.Err = infer.Errorf(infer.Invalid, "the version's folder has no %s", ModelFile)
		return v
	case err != nil:
		v.Err = hidePath(err)
		return v
	case !model.Mode().IsRegular():
		v.Err = infer.Errorf(infer.Invalid, "file '%s' is not a regular file", ModelFile)
		return v
	}
	files := identity(r.named.of(r.root, dir, model))
	if len(files) > maxFiles {
		v.Err = infer.Errorf(infer.Invalid, "the model names more than %d files", maxFiles)
		return v
	}
	var b strings.Builder
	for _, name := range files {
		info, err := r.root.Stat(path.Join(dir, name))
		switch {
		case err == nil && info.Mode().IsRegular():
			v.Size += info.Size()
			fmt.Fprintf(&b, "%q %d %d\n", name, info.Size(), info.ModTime().UnixNano())
		case !errors.Is(err, fs.ErrNotExist) || name != LabelsFile:
			fmt.Fprintf(&b, "%q none\n", name) // the load reports the problem
		}
	}
	v.Fingerprint = b.String()
	if info, err := r.root.Stat(path.Join(dir, ProfileFile)); err == nil {
		v.Profile = fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano())
	}
	return v
}

// named caches the names of external files of model files. They change only if the model
// file does.
type named struct {
	read External

	mu    sync.Mutex
	known map[string]data // by the version's folder
	scan  int             // the number of the current scan
}

type data struct {
	size, time int64 // of the model file
	files      []string
	scan       int // the last scan that asked for it
}

// of returns the files that the model file in a folder names, or none if it cannot be read.
func (n *named) of(root *os.Root, dir string, model fs.FileInfo) []string {
	if n.read == nil {
		return nil
	}
	size, time := model.Size(), model.ModTime().UnixNano()
	n.mu.Lock()
	d, ok := n.known[dir]
	d.scan = n.scan
	if ok = ok && d.size == size && d.time == time; ok {
		n.known[dir] = d
	}
	n.mu.Unlock()
	if ok {
		return d.files
	}
	d.size, d.time, d.files = size, time, nil
	if folder, err := root.OpenRoot(dir); err == nil {
		d.files, _ = n.read(folder, ModelFile) // the load reports why it is not a model
		_ = folder.Close()                     // it was only read
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known[dir] = d
	return d.files
}

// forget ends a scan and removes the entries that it did not ask for.
func (n *named) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for dir, d := range n.known {
		if d.scan < n.scan {
			delete(n.known, dir)
		}
	}
	n.scan++
}
