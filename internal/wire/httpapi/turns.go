package httpapi

// longText is how much JSON makes reading it a long computation: some 10 ms.
const longText = 1 << 20

// takeTurn waits until text of so many bytes may be read, and returns what ends
// the turn. Long texts together leave a core to everybody else: nothing is lost
// by waiting, since they would share the cores anyway, and a small request behind
// a dozen of them would wait for a time slice of each.
func (s *Server) takeTurn(bytes int) (end func()) {
	if bytes < longText {
		return func() {}
	}
	s.turns <- struct{}{}
	return func() { <-s.turns }
}
