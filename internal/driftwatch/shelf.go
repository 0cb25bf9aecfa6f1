package driftwatch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
)

// shelf is a folder with a file for each stream: what it has learned.
type shelf struct{ dir string }

// The limits of a shelf. A file has about 2 KiB for each feature.
const (
	maxShelfFile  = 64 << 20
	maxShelfFiles = 10_000
	shelfSuffix   = ".json"
)

// stream returns the stream that has learned it.
func (l *learned) stream() drift.Stream {
	return drift.Stream{Version: infer.Version{Model: l.Model, Number: l.Version}, Role: l.Role}
}

// openShelf opens a folder, which is made if it does not exist, and reads its files. A file that cannot be
// read is logged and left out.
func openShelf(dir string, logger *zap.Logger) (*shelf, []*learned, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	var list []*learned
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), shelfSuffix) || !file.Type().IsRegular() || len(list) >= maxShelfFiles {
			continue
		}
		l, err := readLearned(filepath.Join(dir, file.Name()))
		if err != nil {
			logger.Warn("what was learned of clean windows cannot be read; the stream learns anew", zap.String("file", file.Name()), zap.Error(err))
			continue
		}
		list = append(list, l)
	}
	return &shelf{dir: dir}, list, nil
}

func readLearned(path string) (*learned, error) {
	file, err := os.Open(path) //nolint:gosec // in the data directory
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(file, maxShelfFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxShelfFile:
		return nil, fmt.Errorf("it has more than %d bytes", maxShelfFile)
	}
	var l learned
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, err
	}
	if l.Model == "" || l.What == nil {
		return nil, errors.New("it is incomplete")
	}
	return &l, nil
}

func (s *shelf) path(x drift.Stream) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %d %q", x.Version.Model, x.Version.Number, x.Role))
	return filepath.Join(s.dir, hex.EncodeToString(sum[:16])+shelfSuffix)
}

// put writes a file. The earlier one stays until the new one is complete.
func (s *shelf) put(l *learned) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	path := s.path(l.stream())
	file, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // in the data directory
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// drop removes the file of a stream, if there is one.
func (s *shelf) drop(x drift.Stream) error {
	if err := os.Remove(s.path(x)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
