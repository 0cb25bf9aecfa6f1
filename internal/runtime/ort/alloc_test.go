//go:build !race

package ort_test

import (
	"testing"

	"sluice.io/sluice/internal/infer"
)

func TestSteadyStateAllocatesNothing(t *testing.T) {
	s := load(t, double("alloc"), options())
	instance := newInstance(t, s)
	reqs := []*infer.Request{
		request(t, s, nil, floats("x", infer.Shape{1, 2}, 1, 2)),
		request(t, s, []string{"first"}, floats("x", infer.Shape{2, 2}, 3, 4, 5, 6)),
	}
	run := func(reqs []*infer.Request) {
		if err := instance.Gather(reqs); err != nil {
			t.Fatal(err)
		}
		if err := instance.Run(); err != nil {
			t.Fatal(err)
		}
		for i := range reqs {
			resp := infer.NewResponse()
			if err := instance.Scatter(i, resp); err != nil {
				t.Fatal(err)
			}
			resp.Release()
		}
	}
	f := func(name string, step func()) {
		t.Helper()
		step() // meets the shapes
		step() // binds the outputs
		if n := testing.AllocsPerRun(200, step); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	f("one member", func() { run(reqs[:1]) })
	f("a batch", func() { run(reqs) })
	f("changing shapes", func() { run(reqs[:1]); run(reqs) })
}
