package capture

// JoinAtMost sets the size of the labels that an export may have in memory.
func (s *Store) JoinAtMost(bytes int) { s.joinBytes = bytes }
