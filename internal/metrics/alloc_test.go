//go:build !race

package metrics_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
)

func TestObservingAllocatesNothing(t *testing.T) {
	v := metrics.New(prometheus.NewRegistry()).Version("iris", 1)
	req := request()
	n := testing.AllocsPerRun(1000, func() {
		v.ObserveRun(300, 3, ms, 5*ms, ms, nil)
		v.ObserveRequest(req, infer.OK, 10*ms)
		v.ObserveRequest(req, infer.Overloaded, 10*ms)
	})
	if n != 0 {
		t.Errorf("%v allocations per request, want 0", n)
	}
}
