package rollout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"sluice.io/sluice/internal/infer"
)

// Marks is a file with the ids of rollouts that were aborted and whose event is not in the journal yet. It has its full size from the
// beginning, so that it can be written even if no file can grow.
type Marks struct{ path string }

// marksBytes is the size of the file: some 60 ids of the usual length.
const marksBytes = 4096

// OpenMarks makes the file if it does not exist.
func OpenMarks(path string) (*Marks, error) {
	m := &Marks{path}
	switch info, err := os.Stat(path); {
	case err == nil && info.Size() == marksBytes:
		return m, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, infer.Errorf(infer.Internal, "the file of aborted rollouts cannot be read: %v", err)
	}
	if err := m.Set(nil); err != nil {
		return nil, infer.Errorf(infer.Internal, "the file of aborted rollouts cannot be made: %v", err)
	}
	return m, nil
}

// Set replaces the ids. When it has returned nil, they survive a crash.
func (m *Marks) Set(ids []string) error {
	data, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	if len(data) > marksBytes {
		return fmt.Errorf("%d ids have no room", len(ids))
	}
	f, err := os.OpenFile(m.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(append(data, bytes.Repeat([]byte{'\n'}, marksBytes-len(data))...), 0)
	return errors.Join(err, f.Sync(), f.Close())
}

// Get returns the ids that were set last.
func (m *Marks) Get() (ids []string, err error) {
	data, err := os.ReadFile(m.path)
	if err != nil {
		return nil, err
	}
	return ids, json.Unmarshal(data, &ids)
}
