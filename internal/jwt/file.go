package jwt

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"time"
)

const pollEvery = 10 * time.Second

// file is a key set in a file. Its errors do not tell the path.
type file struct {
	path   string
	digest [sha256.Size]byte // of the last key set
}

// CheckFile checks a file of keys as New does.
func CheckFile(path string) error {
	text, err := readFile(path)
	if err == nil {
		_, err = parseKeys(text)
	}
	return err
}

func (f *file) load(context.Context) (*keySet, time.Duration, error) {
	text, err := readFile(f.path)
	if err != nil {
		return nil, 0, err
	}
	keys, err := parseKeys(text)
	if err != nil {
		return nil, 0, err
	}
	return changed(&f.digest, text, keys), pollEvery, nil
}

// readFile returns the content of a regular file of a sensible size.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path) // first, since opening a pipe would wait
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, err := readAll(f)
	if err != nil {
		return nil, withoutPath(err)
	}
	return text, nil
}

func withoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
