package app_test

import (
	"testing"

	"sluice.io/sluice/api"
)

// The control API and the metrics show the fitted run times.
func TestRunTimesAreShown(t *testing.T) {
	g := start(t, demo(t))
	if n := g.series(t, "sluice_batch_cost_seconds"); n != 0 {
		t.Errorf("%v before the first request", n)
	}
	for range 3 {
		g.answer(t, "double")
	}
	times := g.models(t)["double/1"].Detail.Batching.RunTimes
	var found *api.RunTime
	for i := range times {
		if times[i].Shape == "x[-1,3]" {
			found = &times[i]
		}
	}
	switch {
	case found == nil:
		t.Fatalf("%+v: want the shape of the requests", times)
	case found.Runs < 3 || found.MinRows != 1 || found.MaxRows != 1 || found.Fixed <= 0 || !found.Joined:
		t.Errorf("%+v: want at least three runs of one row", *found)
	}
	if n := g.series(t, "sluice_batch_cost_seconds", `model="double"`, `term="fixed"`); n <= 0 {
		t.Errorf("a fixed cost of %v s", n)
	}
}
