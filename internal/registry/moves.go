package registry

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

func sortStored(list []Stored) {
	slices.SortFunc(list, func(a, b Stored) int { return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Number, b.Number)) })
}

// free returns an error unless a new version can be made. writing must be held.
func (r *Repository) free(model string, number int64) error {
	v := path.Join(model, strconv.FormatInt(number, 10))
	for _, at := range []string{v, path.Join(archiveFolder, v)} {
		if !r.absent(at) {
			return infer.Errorf(infer.Conflict, "version %d of model '%s' exists", number, model)
		}
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.flat(model) {
		return infer.Errorf(infer.Conflict, "model '%s' keeps its only version in its own folder; move its files to %s/1 first", model, model)
	}
	return nil
}

// change calls f with the repository's folder, while nobody else writes to it.
func (w *Writer) change(f func(root *os.Root) error) error {
	if err := w.claim(); err != nil {
		return err
	}
	w.repo.writing.Lock()
	defer w.repo.writing.Unlock()
	root, err := w.repo.clone()
	if err != nil {
		return writeError(err)
	}
	defer root.Close() //nolint:errcheck // a folder
	return f(root)
}

// move renames a version's folder, and syncs.
func move(root *os.Root, from, to string) error {
	if _, err := root.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return infer.Errorf(infer.Conflict, "the folder %s exists", to)
	}
	if err := root.MkdirAll(archiveFolder, 0o755); err != nil {
		return writeError(err)
	}
	spare := path.Join(stagingFolder, rand.Text())
	defer root.RemoveAll(spare) //nolint:errcheck // the next start removes it
	if err := place(root, from, to, spare); err != nil {
		return err
	}
	return leave(root, path.Dir(from))
}

// leave removes the folder of a model that has no version any more, and syncs it otherwise.
func leave(root *os.Root, folder string) error {
	if entries, err := fs.ReadDir(root.FS(), folder); err == nil && len(entries) == 0 {
		if err := root.Remove(folder); err != nil {
			return writeError(err)
		}
		return writeError(syncFolder(root, path.Dir(folder)))
	}
	return writeError(syncFolder(root, folder))
}

func folderOf(v infer.Version) string {
	return path.Join(v.Model, strconv.FormatInt(v.Number, 10))
}

// placeOf returns where the folder of a version is.
func placeOf(v infer.Version, archived bool) string {
	if archived {
		return path.Join(archiveFolder, folderOf(v))
	}
	return folderOf(v)
}

// Archive moves a version out of the models. It cannot be loaded until Restore.
func (w *Writer) Archive(v infer.Version) error {
	return w.change(func(root *os.Root) error {
		w.repo.moving.Lock()
		defer w.repo.moving.Unlock()
		return move(root, folderOf(v), path.Join(archiveFolder, folderOf(v)))
	})
}

// Restore undoes Archive.
func (w *Writer) Restore(v infer.Version) error {
	return w.change(func(root *os.Root) error {
		w.repo.moving.Lock()
		defer w.repo.moving.Unlock()
		return move(root, path.Join(archiveFolder, folderOf(v)), folderOf(v))
	})
}

// Delete removes the files of a version, archived or not. It first moves them out of sight, so
// that no part of the version stays visible after a crash.
func (w *Writer) Delete(v infer.Version, archived bool) error {
	return w.change(func(root *os.Root) error {
		from, trash := placeOf(v, archived), path.Join(stagingFolder, rand.Text())
		w.repo.moving.Lock() // a reader that has seen its folder reads its record
		err := root.Rename(from, trash)
		w.repo.moving.Unlock()
		if err != nil {
			return writeError(err)
		}
		if err := leave(root, path.Dir(from)); err != nil {
			return err
		}
		return writeError(root.RemoveAll(trash))
	})
}

// Describe replaces the record of a version.
func (w *Writer) Describe(rec api.VersionRecord, archived bool) error {
	text, err := encodeRecord(rec)
	if err != nil {
		return err
	}
	folder := placeOf(infer.Version{Model: rec.Model, Number: rec.Version}, archived)
	return w.change(func(root *os.Root) error { return writeRecord(root, folder, text) })
}

// writeRecord replaces the record in a version's folder.
func writeRecord(root *os.Root, folder string, text []byte) error {
	next := path.Join(stagingFolder, rand.Text())
	defer root.Remove(next) //nolint:errcheck // after a rename it is gone
	file, err := root.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return writeError(err)
	}
	_, err = io.Copy(file, bytes.NewReader(text))
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = root.Rename(next, path.Join(folder, RecordFile))
	}
	if err == nil {
		err = syncFolder(root, folder)
	}
	return writeError(err)
}

// Usage returns the bytes of all files in the repository, also of archived versions and of
// uploads in progress.
func (w *Writer) Usage() (bytes int64, err error) {
	root, err := w.repo.clone()
	if err != nil {
		return 0, writeError(err)
	}
	defer root.Close() //nolint:errcheck // only read
	err = fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			if p == "." {
				return err
			}
			return nil // it has gone, or may not be read
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil
	})
	return bytes, writeError(err)
}
