//go:build !race

package slot_test

import (
	"strings"
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/slot"
)

func TestSlotAllocatesNothing(t *testing.T) {
	seed := strings.Repeat("s", api.MaxSeedBytes)
	for _, n := range []int{0, 1, 36, 255, 256, 257, 1 << 10, 2 << 10, 16 << 10, 1 << 20} {
		key := strings.Repeat("k", n)
		if allocs := testing.AllocsPerRun(50, func() { slot.Slot(seed, key); slot.Slot("iris", key) }); allocs != 0 {
			t.Errorf("a key of %d bytes: %v allocations", n, allocs)
		}
	}
}
