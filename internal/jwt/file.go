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

func (f *file) load(context.Context) (*keySet, time.Duration, error) {
	info, err := os.Stat(f.path) // first, since opening a pipe would wait
	if err != nil {
		return nil, 0, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.New("not a regular file")
	}
	opened, err := os.Open(f.path)
	if err != nil {
		return nil, 0, withoutPath(err)
	}
	defer opened.Close() //nolint:errcheck // it was only read
	text, err := readAll(opened)
	if err != nil {
		return nil, 0, withoutPath(err)
	}
	keys, err := parseKeys(text)
	if err != nil {
		return nil, 0, err
	}
	return changed(&f.digest, text, keys), pollEvery, nil
}

func withoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
