package driftwatch

import (
	"context"
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
	"sync"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
)

// shelf is a folder with a file for each stream: what it has learned. put and drop only note what is to be done: run does it, so that a slow
// disk delays neither the windows of streams nor changes of models.
type shelf struct {
	dir string
	log *zap.Logger

	mu    sync.Mutex
	todo  map[drift.Stream]*learned // nil: the file is to be removed
	woken chan struct{}
}

// The limits of a shelf. A file has about 2 KiB for each feature.
const (
	maxShelfFile  = 64 << 20
	maxShelfFiles = 10_000
	shelfSuffix   = ".json"
)

// stream returns the stream that has learned it.
func (l *learned) stream() drift.Stream {
	return drift.Stream{Version: infer.Version{Model: l.Model, Number: l.Version}, Role: l.Role, Segment: l.Segment}
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
	return &shelf{dir: dir, log: logger, todo: map[drift.Stream]*learned{}, woken: make(chan struct{}, 1)}, list, nil
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
	name := fmt.Appendf(nil, "%q %d %q", x.Version.Model, x.Version.Number, x.Role)
	if x.Segment != "" {
		name = fmt.Appendf(name, " %q", x.Segment)
	}
	sum := sha256.Sum256(name)
	return filepath.Join(s.dir, hex.EncodeToString(sum[:16])+shelfSuffix)
}

// put has a file written, unless a later call for the stream comes before. The content of l must not change any more.
func (s *shelf) put(l *learned) { s.note(l.stream(), l) }

// drop has the file of a stream removed, if there is one.
func (s *shelf) drop(x drift.Stream) { s.note(x, nil) }

func (s *shelf) note(x drift.Stream, l *learned) {
	s.mu.Lock()
	s.todo[x] = l
	s.mu.Unlock()
	select {
	case s.woken <- struct{}{}:
	default: // it will look anyway
	}
}

// run writes and removes files until ctx ends, and then what is left.
func (s *shelf) run(ctx context.Context) {
	for {
		s.mu.Lock()
		todo := s.todo
		s.todo = map[drift.Stream]*learned{}
		s.mu.Unlock()
		for x, l := range todo {
			if err := s.do(x, l); err != nil {
				s.log.Warn("the file with what was learned of clean windows cannot be written or removed", zap.String("model", x.Version.Model),
					zap.Int64("version", x.Version.Number), zap.String("role", x.Role), zap.Error(err))
			}
		}
		if len(todo) > 0 {
			continue
		}
		select {
		case <-s.woken:
		case <-ctx.Done():
			if !s.hasMore() {
				return
			}
		}
	}
}

func (s *shelf) hasMore() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.todo) > 0
}

func (s *shelf) do(x drift.Stream, l *learned) error {
	if l != nil {
		return s.write(l)
	}
	if err := os.Remove(s.path(x)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// write writes a file. The earlier one stays until the new one is complete.
func (s *shelf) write(l *learned) error {
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
