package httpapi

import (
	"testing"
	"testing/synctest"
)

// A long text waits while another is read, and a short one does not.
func TestLongTextsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{turns: make(chan struct{}, 1)}
		end, began := s.takeTurn(longText), make(chan struct{})
		go func() {
			defer s.takeTurn(longText)()
			close(began)
		}()
		s.takeTurn(longText - 1)()
		synctest.Wait()
		select {
		case <-began:
			t.Error("two long texts are read at the same time")
		default:
		}
		end()
		<-began
		synctest.Wait()
		s.takeTurn(longText)() // both have given their turns back
	})
}
