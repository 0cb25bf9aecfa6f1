package batch_test

import (
	"sync"
	"testing"

	"sluice.io/sluice/internal/infer"
)

// ledger is a memory of a fixed number of bytes.
type ledger struct {
	mu          sync.Mutex
	limit, held int
}

func (l *ledger) Reserve(n int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held+n > l.limit {
		return infer.Errorf(infer.Overloaded, "%d bytes are too many", n)
	}
	l.held += n
	return nil
}

func (l *ledger) Release(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held -= n
}

// The outputs of a request are reserved from its memory, or the request is refused and nothing
// is held. The requests beside it are answered.
func TestOutputsAreReserved(t *testing.T) {
	f := func(name string, rows, limit int, want infer.Code) {
		t.Helper()
		virtual(t, func(t *testing.T) {
			s := start(t, 2, split)
			l := &ledger{limit: limit}
			req := numbered(rows, 2000)
			req.Memory = l
			c, other := s.sendOnly(req), s.sendOnly(numbered(1, 2000))
			if want == infer.OK {
				c.wantDoubled(t)
			} else {
				c.wantCode(t, want)
			}
			other.wantDoubled(t)
			if l.held != 0 {
				t.Errorf("%s: %d bytes are never given back", name, l.held)
			}
		})
	}
	const row, pooled = 8000, 64 << 10 // bytes; pooled is the most that buffers of earlier responses may add
	f("enough", 3, 3*row+pooled, infer.OK)
	f("too little", 3, 2*row, infer.Overloaded)
	f("enough for the pieces and the joined output", 40, 80*row+11*pooled, infer.OK)
	f("too little for the joined output", 40, 60*row, infer.Overloaded)
	f("too little for the pieces", 40, 20*row, infer.Overloaded)
}
