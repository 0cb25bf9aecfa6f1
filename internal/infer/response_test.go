package infer_test

import (
	"runtime"
	"testing"

	"sluice.io/sluice/internal/infer"
)

// ledger is a memory of a fixed number of bytes.
type ledger struct{ limit, held int }

func (l *ledger) Reserve(n int) error {
	if l.held+n > l.limit {
		return infer.Errorf(infer.Overloaded, "%d bytes are too many", n)
	}
	l.held += n
	return nil
}

func (l *ledger) Release(n int) { l.held -= n }

func TestOutputsAreReservedBeforeTheyAreAllocated(t *testing.T) {
	const large = 8 << 20
	l := &ledger{limit: large + large/2}
	r := infer.NewResponse()
	r.ReserveFrom(l)
	if data := r.Add("a", 0, infer.Uint8, infer.Shape{large}, large); len(data) != large || l.held < large {
		t.Fatalf("%d bytes, %d reserved", len(data), l.held)
	}
	held := l.held
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	data := r.Add("b", 1, infer.Uint8, infer.Shape{large}, large)
	runtime.ReadMemStats(&after)
	if data != nil || infer.CodeOf(r.Err()) != infer.Overloaded || l.held != held {
		t.Errorf("%d bytes, %v, %d reserved", len(data), r.Err(), l.held)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > large/2 {
		t.Errorf("%d bytes are allocated for a refused output", got)
	}
	r.Release()
	if l.held != 0 {
		t.Errorf("%d bytes are never given back", l.held)
	}
}

// A response from the pool has the buffer of an earlier one, which counts too. If it cannot be
// reserved, the response does not use it.
func TestPooledBuffersAreReserved(t *testing.T) {
	for range 20 {
		r := infer.NewResponse()
		r.Add("a", 0, infer.Uint8, infer.Shape{1000}, 1000)
		r.Release()
		l := &ledger{limit: 10}
		r = infer.NewResponse()
		r.ReserveFrom(l)
		if data := r.Add("a", 0, infer.Uint8, infer.Shape{10}, 10); len(data) != 10 || r.Err() != nil || l.held < 10 {
			t.Errorf("%d bytes, %v, %d reserved", len(data), r.Err(), l.held)
		}
		r.Release()
		if l.held != 0 {
			t.Errorf("%d bytes are never given back", l.held)
		}
	}
}
