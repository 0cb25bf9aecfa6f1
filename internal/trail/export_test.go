package trail

// Failures returns the number of failures that the state remembers, for the test of the
// limit.
func (s *State) Failures() int { return len(s.failed) }
