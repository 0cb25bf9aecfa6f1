//go:build !race

package httpapi

import "testing"

func TestStagesAllocateNothing(t *testing.T) {
	for _, s := range stages(t) {
		if n := testing.AllocsPerRun(500, func() {
			if !s.run() {
				t.Fatalf("%s, %s: not as it should be", s.part, s.name)
			}
		}); n != 0 {
			t.Errorf("%s, %s: %v allocations", s.part, s.name, n)
		}
	}
}
