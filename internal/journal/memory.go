package journal

import "sync"

// Memory returns a log that is lost with the process.
func Memory() *Log { return newLog(&memory{}, head{}) }

// memory keeps the same records as a file, so that both behave in the same way.
type memory struct {
	mu      sync.RWMutex
	records [][]byte // event n is at n-1
}

func (m *memory) put(_ head, records [][]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = append(m.records, records...)
	return nil
}

func (m *memory) each(r span, f func(seq int64, record []byte) (bool, error)) error {
	m.mu.RLock()
	records := m.records // records never change, so the loop needs no lock
	m.mu.RUnlock()
	for seq := r.after + 1; seq <= int64(len(records)); seq++ {
		if more, err := f(seq, records[seq-1]); err != nil || !more {
			return err
		}
	}
	return nil
}

func (m *memory) beat([]byte) error { return nil } // the Log keeps the last one

func (m *memory) snapshots() (map[string]snapshot, error) { return nil, nil } //nolint:nilnil // none

func (m *memory) segments() []segment { return nil }

func (m *memory) bytes() int64 { return 0 }

func (m *memory) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = nil
	return nil
}
