package httpapi

import "testing"

func TestSpares(t *testing.T) {
	var s spares
	seen := map[any]int{}
	for n := maxKeptBytes + 1; n < 1<<31-1; n += n/50 + 1 {
		size := spareSize(n)
		if size < n || size > n+n/4 || spareSize(size) != size {
			t.Fatalf("%d bytes: a buffer of %d", n, size)
		}
		pool := s.pool(size)
		if other, ok := seen[pool]; ok && other != size {
			t.Fatalf("%d bytes: a pool for buffers of %d and %d", n, other, size)
		}
		seen[pool] = size
	}
	if len(seen) != len(s) {
		t.Errorf("%d of %d pools are used", len(seen), len(s))
	}
	for _, size := range []int{1, maxKeptBytes, maxKeptBytes + 1, 3 << 20, 3<<20 + 1} { // also sizes without a pool
		for range 3 {
			buf := s.get(size)
			if len(buf) != 0 || cap(buf) != size && size > 32<<10 {
				t.Errorf("%d bytes: %d, room for %d", size, len(buf), cap(buf))
			}
			s.put(append(buf, 1))
		}
	}
}
