package httpapi

import (
	"testing"
	"testing/synctest"
)

// A long computation waits while another one runs. A request has one turn for all its computations.
func TestLongComputationsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{turns: make(chan struct{}, 1)}
		first, second, began := &exchange{srv: s}, &exchange{srv: s}, make(chan struct{})
		first.takeTurn()
		first.takeTurn()
		go func() {
			second.takeTurn()
			close(began)
			second.endTurn()
		}()
		synctest.Wait()
		select {
		case <-began:
			t.Error("two long computations run at the same time")
		default:
		}
		first.endTurn()
		first.endTurn()
		<-began
		synctest.Wait()
		if len(s.turns) != 0 {
			t.Error("a turn is never given back")
		}
	})
}

// Decoding, decompressing and encoding take a turn only if they are long.
func TestWhatTakesATurn(t *testing.T) {
	s := benchServer(t)
	f := func(name string, grow func(*exchange) error, want bool) {
		t.Helper()
		x := s.exchanges.Get().(*exchange)
		s.front.Hold(&x.memory)
		if err := grow(x); err != nil || x.turn != want {
			t.Errorf("%s: %v, has a turn: %t", name, err, x.turn)
		}
		x.endTurn()
		x.memory.End()
	}
	inflate := func(size int) func(*exchange) error {
		return func(x *exchange) error {
			_, err := x.inflated(nil, size, 1<<30)
			return err
		}
	}
	answer := func(size, n int) func(*exchange) error {
		return func(x *exchange) error {
			_, err := x.growAnswer(make([]byte, size), n)
			if cap(x.out) < size+n {
				t.Errorf("room for %d bytes, want %d", cap(x.out), size+n)
			}
			return err
		}
	}
	f("little plain text", inflate(longText/2), false)
	f("much plain text", inflate(longText), true)
	f("a small answer", answer(1000, 4000), false)
	f("a large answer in JSON", answer(longText, 4000), true)
	f("a large answer of binary data", answer(1000, 4*longText), false)
}
