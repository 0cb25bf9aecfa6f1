//go:build !race

package metrics_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
)

func TestObservingAllocatesNothing(t *testing.T) {
	m := metrics.New(prometheus.NewRegistry())
	v, a, s := m.Version("iris", 1), m.Variant("iris", "iris", 1, api.RoleStable), m.Shadow("iris", "iris", 2)
	req, overloaded, late := request(), ended(infer.Overloaded), ended(infer.Deadline)
	f := func(what string, observe func()) {
		t.Helper()
		if n := testing.AllocsPerRun(1000, observe); n != 0 {
			t.Errorf("%s: %v allocations per request, want 0", what, n)
		}
	}
	f("version", func() {
		v.ObserveRun(300, 3, ms, 5*ms, ms, nil)
		v.ObserveRequest(req, nil, 10*ms)
		v.ObserveRequest(req, overloaded, 10*ms)
		v.ObserveRequest(req, errRefused, 10*ms)
	})
	f("variant", func() {
		a.Observe(infer.ReasonSticky, nil, 10*ms)
		a.Observe(infer.ReasonRandom, late, 10*ms)
		a.Observe(infer.ReasonRandom, errRefused, 10*ms)
		a.Observe(infer.ReasonFallback, nil, 10*ms)
		a.Observe(infer.ReasonPinned, nil, 10*ms)
	})
	f("shadow", func() {
		s.Answered(nil, 10*ms)
		s.Answered(errRefused, 10*ms)
		s.Dropped(api.DropQueueFull)
	})
}
