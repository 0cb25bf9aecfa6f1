package httpapi

import "testing"

func TestSpares(t *testing.T) {
	var s spares
	seen := map[any]int{}
	for n := maxKeptBytes + 1; n < 1<<31-1; n += n/50 + 1 {
		pool, size := s.class(n)
		if size < n || size > n+n/4 {
			t.Fatalf("%d bytes: a buffer of %d", n, size)
		}
		if other, ok := seen[pool]; ok && other != size {
			t.Fatalf("%d bytes: a pool for buffers of %d and %d", n, other, size)
		}
		seen[pool] = size
		if _, again := s.class(size); again != size {
			t.Fatalf("%d bytes: a buffer of %d, which counts as one of %d", n, size, again)
		}
	}
	if len(seen) != len(s) {
		t.Errorf("%d of %d pools are used", len(seen), len(s))
	}
	buf := s.get(3 << 20)
	if len(buf) != 0 || cap(buf) < 3<<20 {
		t.Fatalf("%d bytes, room for %d", len(buf), cap(buf))
	}
	s.put(append(buf, 1))
	s.put(make([]byte, 3<<20+1)) // not of ours
	for range 3 {
		if got := s.get(3 << 20); len(got) != 0 || cap(got) != cap(buf) {
			t.Errorf("%d bytes, room for %d", len(got), cap(got))
		}
	}
}
