package capture

// JoinAtMost sets the size of the labels that an export may have in memory.
func (s *Store) JoinAtMost(bytes int) { s.joinBytes = bytes }

// DropEvents drops the requests that wait to be sent as events.
func (s *Store) DropEvents() {
	for {
		select {
		case t := <-s.events.queue:
			s.events.held.Add(-int64(len(t.record) + recordBeside))
		default:
			return
		}
	}
}
