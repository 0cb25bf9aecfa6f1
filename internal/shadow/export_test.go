package shadow

// Kept returns how many pairs are kept, old ones too, and their bytes.
func (m *Mirror) Kept() (n int, bytes int64) {
	m.pairs.mu.Lock()
	defer m.pairs.mu.Unlock()
	return len(m.pairs.kept), m.pairs.held
}
