//go:build !race

package drift_test

import (
	"math/rand/v2"
	"testing"
)

func TestCountingAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	f := feature("x", take(1000, normal(rng)))
	c, o := f.NewCounts(), f.NewCounts()
	x := 0.0
	if n := testing.AllocsPerRun(100, func() { c.Add(&f, x); c.AddMissing(); c.Merge(o); x++ }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
