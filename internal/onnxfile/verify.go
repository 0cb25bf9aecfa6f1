package onnxfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// memoryTag marks a location that ONNX Runtime reads as an address in its own memory, whether
// or not such a file exists. No file may have that.
const memoryTag = "_MEM_ADDR_"

// VerifyExternalData checks that the model at path in root is an ONNX file, and that all its
// external data is in plain files under root, which is the version's folder: no symbolic link
// leads out, no file has other hard links, and each is long enough. Errors are Invalid and name
// tensor and location.
//
// The check is valid only at that time: a process that may write into the folder can change it
// afterwards.
func VerifyExternalData(root *os.Root, path string) error {
	locations, err := locate(root, path)
	if err != nil {
		return err
	}
	files := map[string]fs.FileInfo{} // large models keep thousands of tensors in one file
	for _, l := range locations {
		file, ok := files[l.Path]
		if !ok {
			if file, err = l.stat(root); err != nil {
				return err
			}
			files[l.Path] = file
		}
		if size := file.Size(); l.Offset > size || l.Length > size-l.Offset {
			return l.invalid("%d bytes from %d on are beyond the file's end at %d", max(l.Length, 0), l.Offset, size)
		}
	}
	return nil
}

// DataFiles returns the files with external data of the model at path in root, with paths
// relative to root, sorted. A path that leads out of root is left out: VerifyExternalData
// refuses it. The error is Invalid if the file is not an ONNX model.
func DataFiles(root *os.Root, path string) ([]string, error) {
	locations, err := locate(root, path)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, l := range locations {
		if filepath.IsLocal(l.Path) {
			list = append(list, filepath.ToSlash(filepath.Clean(l.Path)))
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

func locate(root *os.Root, path string) (locations []Location, err error) {
	err = open(root, path, nil, func(w *walker, size int64) error {
		locations, err = w.externalData(size)
		return err
	})
	return locations, err
}

// open calls visit with a walker of a model file, or of changed if that is not nil.
func open(root *os.Root, path string, changed []byte, visit func(w *walker, size int64) error) error {
	if changed != nil {
		return visit(newWalker(bytes.NewReader(changed)), int64(len(changed)))
	}
	info, err := root.Stat(path)
	if err != nil {
		return &infer.Error{Code: infer.Invalid, Msg: "the model file " + path + " " + reason(err), Err: err}
	}
	if !info.Mode().IsRegular() { // opening a pipe would block for ever
		return infer.Errorf(infer.Invalid, "the model file %s is not a regular file", path)
	}
	file, err := root.Open(path)
	if err != nil {
		return &infer.Error{Code: infer.Invalid, Msg: "the model file " + path + " " + reason(err), Err: err}
	}
	defer file.Close() //nolint:errcheck // only read
	return visit(newWalker(file), info.Size())
}

// stat returns the file of a location.
func (l Location) stat(root *os.Root) (fs.FileInfo, error) {
	switch {
	case strings.Contains(l.Path, memoryTag):
		return nil, l.invalid("it is an address in memory and not a file")
	case !filepath.IsLocal(l.Path), strings.ContainsAny(l.Path, "\\\x00"), slices.Contains(strings.Split(l.Path, "/"), ".."):
		return nil, l.invalid("it must be a relative path inside the version's folder, without '..' and backslashes")
	}
	info, err := root.Stat(l.Path)
	if err != nil {
		e := l.invalid("the file %s", reason(err))
		e.Err = err
		return nil, e
	}
	if !info.Mode().IsRegular() {
		return nil, l.invalid("it is not a regular file")
	}
	if n := links(info); n > 1 {
		return nil, l.invalid("the file has %d hard links and may belong elsewhere; copy it", n)
	}
	return info, nil
}

func reason(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "is missing"
	case errors.Is(err, fs.ErrPermission):
		return "may not be read"
	default: // os.Root has no error of its own for a link that leads out
		return "cannot be opened inside the version's folder"
	}
}
