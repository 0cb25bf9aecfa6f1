package trail

// Failures returns how many failures are remembered, for the test of the bound.
func (s *State) Failures() int { return len(s.failed) }
