package httpapi

import (
	"bytes"
	"runtime"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
)

// A buffer is reserved before it is allocated. If the reservation is refused, the old buffer is
// unchanged.
func TestBuffersAreReservedFirst(t *testing.T) {
	s := benchServer(t)
	s.front = newFront(t, &fixed{}, 2<<20)
	x := s.exchanges.Get().(*exchange)
	s.front.Hold(&x.memory)
	buf, err := x.larger(nil, 1<<20, 1<<30)
	if err != nil || cap(buf) != 1<<20 || s.front.Memory() != 1<<20 {
		t.Fatalf("room for %d bytes, %v, %d taken", cap(buf), err, s.front.Memory())
	}
	buf = append(buf, "abc"...)
	other := s.exchanges.New().(*exchange)
	s.front.Hold(&other.memory)
	var before, after runtime.MemStats
	for _, f := range []struct {
		x    *exchange
		want infer.Code
	}{{x, infer.TooLarge}, {other, infer.Overloaded}} {
		runtime.ReadMemStats(&before)
		same, err := f.x.larger(buf, 3<<19, 1<<30)
		runtime.ReadMemStats(&after)
		if infer.CodeOf(err) != f.want || &same[0] != &buf[0] || !bytes.Equal(same, []byte("abc")) {
			t.Errorf("%v, want %v", err, f.want)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
			t.Errorf("%d bytes are allocated for what was refused", got)
		}
	}
	x.drop(buf)
	if got := s.front.Memory(); got != 0 {
		t.Errorf("%d bytes stay taken", got)
	}
	x.memory.End()
	other.memory.End()
}

// Buffers of earlier requests count for the current one. Without room for them it starts with none.
func TestKeptBuffersCount(t *testing.T) {
	const size = 16 << 10
	s := benchServer(t)
	s.front = newFront(t, &fixed{}, 10*size)
	x := s.exchanges.Get().(*exchange)
	var others [10]front.Reservation
	for _, full := range []bool{false, true} {
		x.raw, x.spare = make([]byte, 0, size), make([]byte, 0, size)
		for i := range others {
			s.front.Hold(&others[i])
			if err := others[i].Reserve(size); full && err != nil {
				t.Fatal(err)
			}
			if !full {
				others[i].End()
			}
		}
		s.front.Hold(&x.memory)
		x.reserveKept()
		held := x.memory.Held()
		if want := cap(x.raw) + cap(x.spare) + cap(x.out) + x.call.Kept(); held != want && !full || (x.raw == nil) != full || full && held != 0 {
			t.Errorf("holds %d bytes of which %d are counted, kept: %t", want, held, x.raw != nil)
		}
		x.memory.End()
	}
}
